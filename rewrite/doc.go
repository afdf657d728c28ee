// Package rewrite holds the pure functions of the gateway: values in, values out, no context and no logger.
//
//	Pairs      a query or form divided and decoded as leniently as anybody does
//	Pushed     a pushed request taken apart: what names it, and how forms are bound to it
//	Expand     a pushed request back into a query
//	Collapse   the inverse: requests taken out of addresses, for a reference and a Difference
//	EditPage   the attributes of a page that hold addresses, and Forms its forms
//	Metadata   the authorization server's metadata with the push endpoint in it (RFC 8414, RFC 9126 §5)
//	Response   the authorization response in a redirect (RFC 6749 §4.1.2), and its iss (RFC 9207)
package rewrite
