// Package browser looks at the gateway's pages as people do: a Chromium opens them, walks through them with the Tab key,
// says what a screen reader is told, and measures colours and places.
//
//	pages_test.go          how each page comes about, at a real gateway
//	accessibility_test.go  what must hold on each: language, headings, focus, names, contrast, narrow windows, large text
//
// The browser itself is test/chromium.
//
// With PARGATE_SCREENSHOTS=FOLDER in the environment the test writes there what it has seen.
package browser
