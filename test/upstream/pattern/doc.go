// Package pattern has stand-ins for legacy authorization servers: one for each way in which servers in use take a
// login through the browser, as small as it can be and named after what it does. They are trusting, as those servers
// are. What reaches them as the request is what their code stands for, and the token endpoint tells all of it: a
// protection that a gateway lacks is seen in what a code is worth.
//
//	opaque id          an id stands for the request; the last hop gives a second code when repeated
//	connector hop      the whole request again below the endpoint, sorted and re-encoded
//	connector page     links with the whole request, and a way back to them with more in it
//	foreign login      a login application on another origin, which gives the whole request back
//	interaction        everything below the endpoint, with cookies of that path
//	remembered URL     the session keeps the address and goes there after the login
//	carried URL        the login page's address holds the request
//	next field         the address travels in next=, and the consent form in hidden fields that are believed
//	absolute address   next= is absolute, and comes back in another encoding
//	same address       every form is sent to the authorization request's own address
//	body-only consent  the consent form has no query, and not all of the request
//	return_to          the same behind a login page with return_to=
//	callback app       a script goes on to callback_url= with one bare name more
//	session form       the session keeps the request, and an empty POST resumes it
//	negotiate          401 first, then a code at once
//	in-place form      a password form at the authorization request's own address
package pattern
