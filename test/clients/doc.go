// Package clients lets clients as they are in use push to a gateway, log somebody in and redeem the code: what they send
// is theirs, where the other tests send what the RFCs say.
//
//	oauth4webapi.mjs, openid-client.mjs   two libraries for Node, with every way in which they authenticate clients
//	conversation.mjs                      how a test talks with them
//
// The libraries' versions are in package-lock.json; make tools installs them outside of this tree. The other clients are
// in Go: golang.org/x/oauth2 does not push, so that its users do that themselves.
package clients
