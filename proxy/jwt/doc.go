// Package jwt reads the signed JWTs that clients make: client assertions (RFC 7523), request objects (RFC 9101) and DPoP
// proofs (RFC 9449). It says what a token states and whether a key has signed it. Who may sign what, and for how long it
// counts, is decided where the token is used.
//
//	Parse ──▶ Token ──VerifiedBy(Key)──▶ its claims may be believed
//	  strict: one text for one token, no member twice, no header that asks for something else
//
// The cryptography is go-jose's.
package jwt
