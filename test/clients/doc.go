// Package clients lets clients as they are in use push to a gateway, log somebody in and redeem the code: what they send
// is theirs, where the other tests send what the RFCs say.
//
//	oauth4webapi.mjs, openid-client.mjs   two libraries for Node, with every way in which they authenticate clients, sign their
//	                                      requests and bind their tokens
//	oidc-provider.mjs                     the server behind the gateway, where it matters what a server makes of the requests
//	conversation.mjs                      how a test talks with them
//
// docs/request-objects.md has the libraries' lines for others to copy; a test runs them as they stand there. The packages'
// versions are in package-lock.json; make tools installs them outside of this tree. The other clients are in Go:
// golang.org/x/oauth2 does not push, so that its users do that themselves.
package clients
