// Package test looks at the gateway from outside: over real HTTP, in front of authorization servers that record what
// reaches them or that somebody else wrote.
//
//	harness/     starts a gateway in front of an upstream, on loopback; browsers with cookie jars
//	upstream/    the stand-in for a legacy authorization server
//	upstream/pattern/  a stand-in for each way in which a login goes through the browser
//	faults/      several gateways as processes, whose Redis, upstream or own process fails, and what became of the promises
//	clients/     client libraries that others wrote, which push, log in and redeem the code
//	browser/     the pages that people see, in a real browser
//	testdata/    scripts: behaviour that a reader of the RFC would recognise
//	rfc9126_test.go   the demands of RFC 9126 on a gateway, one subtest each
package test
