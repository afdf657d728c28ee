// Package chromium is a browser for tests: it is started, told what to do, asked what it shows, and ended.
//
//	chromium.go   the browser, and its end
//	texts.go      every text on a page, and whether it can be read in all colours
//	contrast.go   how well colours can be told apart (WCAG 2.2)
package chromium
