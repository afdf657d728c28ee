// Package docs holds README.md, SECURITY.md and the pages under docs to what they say.
//
//	pages_test.go      finds the pages, their blocks and their headings
//	blocks_test.go     every block is checked: settings are loaded, JSON is parsed, commands are run
//	play_test.go       runs a page with commands from top to bottom, against the real program and a stand-in
//	gateway_test.go    the program that the commands meet
//	links_test.go      links lead somewhere
//	complete_test.go   pages that promise to list everything do
//
// A fenced block is checked by what its first line says it is: env, json, sh with the text that it prints behind it, or
// mermaid. One in any other language is an error, unless another test runs it (elsewhere), or the paragraph in front of it
// tells the reader that it was not run by our tests.
package docs
