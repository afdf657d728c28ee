// Package faults breaks things under several real gateways at work, and counts what became of the promises: that one
// browser opens a request_uri, that a push which was acknowledged is there, that a fault stays where it is, and that a
// restart is not noticed.
//
// Everything is a process of its own: the gateways are the program as it is released, in front of one Redis, or of one
// that Sentinels watch, and behind HAProxy where they are restarted. The judge is the authorization server: it sees which browser came with which
// request. docs/promises.md has the figures of the last full run.
//
// The tests run one after the other, because each takes the whole machine. How much they do is for package count to say.
package faults
