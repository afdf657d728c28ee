// Package jar opens request objects (RFC 9101): authorization requests that a client has signed.
//
//	Read ──▶ token ──(the client's key has signed it)──▶ Open ──▶ parameters
//
// Between the two the caller has the signature verified; nothing of a token is used or told before that. Encrypted
// request objects are not opened: a pushed request is confidential already.
package jar
