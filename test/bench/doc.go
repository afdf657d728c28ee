// Package bench measures what a request costs in the gateway: the released program as a process of its own, with a real
// redis-server, in one run with the barest Go code that does the same work (folder bare), with a gateway of nginx and Lua that
// checks nothing, and with nginx and HAProxy that only pass requests on. They take turns, so that a machine that has other things
// to do hits them alike.
//
// go test runs a moment of it, to see that every part of it still works. With -measure briefly or fully it measures, in some
// minutes, and prints the tables; with -write they go into docs/performance.md.
package bench
