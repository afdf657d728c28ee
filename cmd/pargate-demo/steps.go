package main

// step is one of the ten of the story.
type step struct{ Title, Text string }

// steps are the ten, on the page and in the terminal.
var steps = []step{
	{"The client pushes its request", "Instead of putting the request into the browser's address bar, the client sends it to pargate itself, and proves who it is (RFC 9126 §2.1)."},
	{"pargate keeps it", "Sealed under a key made of the reference, for as long as a browser may take to come."},
	{"pargate answers with a request_uri", "256 random bits that stand for the request and say nothing of it (RFC 9126 §2.2)."},
	{"The browser comes with two parameters", "The client sends it off with client_id and request_uri alone. The first visit gets a cookie and comes again, so that previews and scanners use nothing up."},
	{"pargate opens the request, for this browser alone", "From now on no other browser can use it."},
	{"The server receives an ordinary request", "All parameters, as they were pushed. The server has no PAR and needs none."},
	{"The login page comes up", "Where the server sends the whole request through the browser once more, a short reference is put in its place on the way out."},
	{"Somebody signs in", "What the browser sends back is bound to what was pushed, whatever is in its addresses and forms."},
	{"The code goes to the client", "The response to this request is recognised, gets iss, and is the only one."},
	{"The client redeems the code", "At the token endpoint nothing changes: bytes pass as they are."},
}
