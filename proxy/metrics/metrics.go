package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pargate/proxy/oauth"
)

// Metrics are the families of one gateway.
type Metrics struct {
	maker

	Requests        Counters3[Route, Method, Code]
	RequestTimes    Times2[Route, Code]
	RequestsRefused Counters[Crowd]

	ConnectionsRefused Counters[Crowd]

	Pushes          Counters[Push]
	RedirectChecks  Counters[Checked]
	DryRuns         Counters[Opinion]
	Proofs          Counters[Proof]
	RateLimited     Counters[Limited]
	Authentications Counters3[AuthMethod, AuthBy, AuthResult]
	Assertions      Counters2[Audience, Accepted]
	Probes          Counters2[Probe, Answer]
	KeySetFetches   Counters[Success]
	FileReloads     Counters2[File, Success]
	pushToAuthorize prometheus.Observer
	Authorizations  Counters[Authorize]
	Flows           Counters[Flow]
	Responses       Counters[Response]
	Overwritten     Parameters
	resumeKeys      prometheus.Counter
	ValuesInCookies Parameters
	MetadataReads   Counters[Refresh]
	UpstreamTimes   Times2[Asked, Code]
	UpstreamRefused Counters[Slot]
	upstreamUp      prometheus.Gauge
	StoreTimes      Times2[Op, Stored]
}

// New returns metrics that r exports. Without one they are counted all the same, and exported nowhere. It panics when r has
// them already.
func New(r prometheus.Registerer) *Metrics {
	m := maker{r}
	return &Metrics{
		maker: m,
		Requests: counters3[Route, Method, Code](m, "pargate_http_requests_total",
			"Requests of clients and browsers that were answered, or ended without an answer (code none)."),
		RequestTimes: times2[Route, Code](m, "pargate_http_request_duration_seconds",
			"Time from a request's head to the end of its answer, the authorization server's share in it."),
		RequestsRefused: counters[Crowd](m, "pargate_http_requests_refused_total",
			"Requests that got 503 because too many were being served, in all or of one network."),
		ConnectionsRefused: counters[Crowd](m, "pargate_connections_refused_total",
			"Connections that were closed at once because there were too many, in all or of one network."),
		Pushes: counters[Push](m, "pargate_push_requests_total", "Pushed authorization requests, by what has come of them."),
		RedirectChecks: counters[Checked](m, "pargate_push_redirect_uri_checks_total",
			"Created pushes, by what has said that their redirect_uri is the client's: the client file, a dry run, or nobody yet, where the authorization server decides later."),
		DryRuns: counters[Opinion](m, "pargate_dry_runs_total",
			"Pushes about which the authorization server was asked, or would have been, by its opinion (UPSTREAM_DRY_RUN)."),
		Proofs: counters[Proof](m, "pargate_dpop_proofs_total",
			"DPoP headers of pushes. Ignored are those that the authorization server's metadata does not ask for."),
		RateLimited: counters[Limited](m, "pargate_rate_limited_total", "Answers 429 to more pushes, or logins by unpushed request objects, than RATE_LIMIT allows a client at one address. Failed attempts to authenticate are slowed in pargate_client_authentications_total."),
		Authentications: counters3[AuthMethod, AuthBy, AuthResult](m, "pargate_client_authentications_total",
			"Clients that authenticated at the push endpoint or failed to, by method and by who decides. The method of a failure is the one that was tried."),
		Assertions: counters2[Audience, Accepted](m, "pargate_client_assertions_total",
			"Client assertions by what their aud names, and whether ASSERTION_AUDIENCE takes it. Those of the client file have a right signature; others are not verified yet."),
		Probes: counters2[Probe, Answer](m, "pargate_client_probes_total",
			"Questions about clients to the authorization server, negative controls too, by what their answers say."),
		KeySetFetches: counters[Success](m, "pargate_key_set_fetches_total", "Fetches of a jwks_uri of a client."),
		FileReloads: counters2[File, Success](m, "pargate_file_reloads_total",
			"Files that had changed and were read again. Failed: what was read before stays."),
		pushToAuthorize: m.with().NewHistogram(prometheus.HistogramOpts{Name: "pargate_push_to_authorize_seconds",
			Help:    "Time from a push until its browser claimed it: what PAR_TTL is tuned by. Requests that expired unseen are not in it, nor those whose request object expires before PAR_TTL.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600}}),
		Authorizations: counters[Authorize](m, "pargate_authorize_requests_total",
			"Authorization requests: by reference, of a flow, or not pushed (in query or form of a protected path, or a whole one in any query)."),
		Flows: counters[Flow](m, "pargate_flows_total",
			"Logins: opened by a first browser, finished by their authorization response, evicted by a browser's newer ones, and found gone when a browser came back, once for each such request. "+
				"Nobody tells when one ends otherwise: opened less finished, FLOW_TTL later, are those that were abandoned and those whose response was not recognised, together."),
		Responses: counters[Response](m, "pargate_authorization_responses_total",
			"Authorization responses that were recognised. Passed, passed_error and unassigned went to the browser; the others were withheld."),
		Overwritten: m.parameters("pargate_parameters_overwritten_total",
			"Parameters of requests in a flow that were overwritten, put back or dropped because they were not as pushed. other: names of no authorization request that were pushed.",
			oauth.AuthorizationRequestNames()),
		resumeKeys: m.counter("pargate_resume_keys_dropped_total",
			"Parameters beside a reference that were neither pushed nor are known to resume a login. The log names them; RESUME_PARAMS keeps them."),
		ValuesInCookies: m.parameters("pargate_pushed_values_in_cookies_total",
			"Cookies of the authorization server that show the browser a pushed value, plainly, percent-encoded or in base64.",
			oauth.AuthorizationRequestNames()),
		MetadataReads: counters[Refresh](m, "pargate_metadata_refreshes_total",
			"Readings of the authorization server's metadata. issuer_changed and endpoint_lost are changes that were refused, and need a restart."),
		UpstreamTimes: times2[Asked, Code](m, "pargate_upstream_request_duration_seconds",
			"Time from a request to the head of the authorization server's response, without the wait for a place. Code none: there was no response, or the browser went away."),
		UpstreamRefused: counters[Slot](m, "pargate_upstream_refused_total",
			"Requests that got 503, or went without a question, because the authorization server had its number already."),
		upstreamUp: m.with().NewGauge(prometheus.GaugeOpts{Name: "pargate_upstream_up",
			Help: "1 when the authorization server answered the last time that it was asked, by the metadata refresh once a minute at least; 0 when not, or never yet."}),
		StoreTimes: times2[Op, Stored](m, "pargate_store_operation_duration_seconds",
			"Time of an operation of the store, retries included. No is an answer: there is no such request, or it is another browser's."),
	}
}

// Claimed counts a flow that a browser has opened, waited after its push; negative: that is not known.
func (m *Metrics) Claimed(waited time.Duration) {
	m.Flows.Inc(FlowOpened)
	if waited >= 0 {
		m.pushToAuthorize.Observe(waited.Seconds())
	}
}

// ResumeKeyDropped counts a parameter that might have been one.
func (m *Metrics) ResumeKeyDropped() { m.resumeKeys.Inc() }

// UpstreamAnswers says whether the upstream has answered just now.
func (m *Metrics) UpstreamAnswers(yes bool) {
	up := 0.0
	if yes {
		up = 1
	}
	m.upstreamUp.Set(up)
}
