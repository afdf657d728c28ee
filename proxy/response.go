package proxy

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"pargate/rewrite"
)

// reply is one upstream response on its way through the list.
type reply struct {
	*http.Response
	server    *Server
	x         *exchange
	cookies   []flowCookie           // of the browser's live flows
	page      *htmlPage              // nil: it is none, or none that is looked at
	sent      []sentResponse         // the authorization responses in it, whosever they are: one, but for odd pages
	response  *authorizationResponse // the one that is known to be this browser's; nil: none is
	collapsed bool                   // requests were taken out of it
}

// responseSteps are run in this order over every upstream response. An error replaces the response by its page.
var responseSteps = []func(*reply) error{
	(*reply).dropOwnCookies,
	(*reply).countValuesInCookies,
	(*reply).readPage,
	(*reply).recognise,
	(*reply).guard,
	(*reply).finish,
	(*reply).addIssuer,
	(*reply).countPassed,
	(*reply).collapse,
	(*reply).setHeaders,
	(*reply).sendPage,
}

// respond is the one way back.
func (s *Server) respond(res *http.Response) error {
	x := exchangeOf(res.Request)
	if x.upload != nil {
		x.upload.answered.Store(true)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return badGateway(http.StatusBadGateway, errors.New("the upstream switched protocols, which nobody asked for"))
	}
	r := &reply{Response: res, server: s, x: x, cookies: x.liveCookies()}
	for _, step := range responseSteps {
		if err := step(r); err != nil {
			return err
		}
	}
	return nil
}

// flows returns the live flows of this browser: those of its cookies that the store knows. A browser without such
// a cookie costs no store operation.
func (r *reply) flows() (live []*openFlow, err error) {
	for _, cookie := range r.cookies {
		flow, err := r.server.flowOf(r.Request, cookie)
		if err != nil {
			return nil, err
		}
		if flow != nil {
			live = append(live, flow)
		}
	}
	return live, nil
}

// setHeaders sets what holds on the trip: nothing is cached or linked to, no address is told to others, and nothing of the
// authorization endpoint is shared with other origins' scripts.
func (r *reply) setHeaders() error {
	r.Header.Del("Alt-Svc") // where else the upstream can be reached is nothing for browsers: they would go around the gateway
	if r.x.place.protected() && r.x.endpoints != nil {
		for name := range r.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				r.Header.Del(name)
			}
		}
	}
	if !r.onTrip() {
		if r.server.FAPI {
			r.keepForms()
		}
		return nil
	}
	r.Header.Set("Cache-Control", "no-store")
	r.Header.Del("Link") // which may repeat the request, and which no login needs
	r.Header.Del("Content-Location")
	r.settleCookie()
	r.keepForms()
	if r.response != nil {
		r.Header.Set("Referrer-Policy", "no-referrer")
	} else {
		r.Header.Set("Referrer-Policy", "same-origin") // Django and Rails check the Referer of their forms
	}
	return nil
}

// onTrip reports whether this is a page or a redirect for a browser in a flow. Its pictures and scripts are not.
func (r *reply) onTrip() bool {
	if r.x.flow != nil || r.response != nil {
		return true
	}
	if len(r.cookies) == 0 {
		return false
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Header.Get("Location") != "" || mediaType == "text/html" || mediaType == "application/xhtml+xml" || r.Header.Get("Content-Type") == ""
}

// keepForms keeps a form that was posted in the flow, which may hold a password, at this origin: 307 and 308 would make
// the browser post it again to where it is sent (RFC 9700 §4.12). FAPI 2.0 wants neither, wherever it leads and whosever
// the form is.
func (r *reply) keepForms() {
	posted := r.Request.Method == http.MethodPost && r.x.endpoints != nil && (r.StatusCode == http.StatusTemporaryRedirect || r.StatusCode == http.StatusPermanentRedirect)
	if !posted {
		return
	}
	location := rewrite.Resolve(r.x.endpoints.public, r.x.path, r.Header.Get("Location"))
	if target, err := url.Parse(location); r.server.FAPI || err != nil || !sameOrigin(target, r.x.endpoints.public) {
		r.StatusCode, r.Status = http.StatusSeeOther, "303 See Other"
	}
}

// settleCookie sets the cookie of a flow again that this first visit has claimed. Another tab of the browser that
// came at the same time may have been given another secret meanwhile, with which nothing opens.
func (r *reply) settleCookie() {
	if flow := r.x.flow; flow != nil && hasMarker(r.x.rawQuery) && (r.response == nil || r.response.flow == nil || r.response.flow.cookie.name != flow.cookie.name) {
		r.Header.Add("Set-Cookie", r.x.jar.set(flow.cookie))
	}
}

// dropOwnCookies drops cookies of the upstream's that have a flow cookie's name. It runs before the gateway sets any.
func (r *reply) dropOwnCookies() error {
	lines := r.Header["Set-Cookie"]
	if len(lines) == 0 || r.x.jar == nil {
		return nil
	}
	lines = slices.DeleteFunc(lines, func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return r.x.jar.isOurs(strings.TrimSpace(name))
	})
	if r.Header["Set-Cookie"] = lines; len(lines) == 0 {
		delete(r.Header, "Set-Cookie")
	}
	return nil
}
