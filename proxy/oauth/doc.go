// Package oauth is the vocabulary that the gateway's endpoints share: parameter names, error codes and their
// wire form, and the decoding of forms. It holds no policy and imports nothing of the project.
//
//	ParseForm   strict: for what is pushed; one spelling, one value, or an error
//	Fold        what the most generous parser would take a parameter name for
//	Error       what went wrong, as a client is told it
package oauth
