// Package proxy is the gateway as an http.Handler: it adds Pushed Authorization Requests (RFC 9126) to an
// authorization server that has none, and passes everything else through.
//
// A request finds its way in Server.route, top to bottom:
//
//	POST push endpoint          push.go        decode, authenticate, bind to a key (dpop.go), validate, try out (dryrun.go), store, 201
//	GET metadata                metadata.go    the upstream's document with the push endpoint in it
//	a reference of ours         authorize.go   find its flow, expand, forward; a first visit is bounced once (bounce.go)
//	names a flow of its browser bind.go        bound to what was pushed
//	PAR is required, not pushed required.go    refused
//	everything else             forward.go     passed through
//
// Every upstream response then goes through one list, in response.go: read the page, recognise the authorization
// response, guard, finish, iss, collapse, headers.
//
// Handlers return errors. Server.json tells them to clients and Server.page to people; both log them, once. What has come of a
// request is counted when it has been served (counting.go).
package proxy
