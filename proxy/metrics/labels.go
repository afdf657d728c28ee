package metrics

import "net/http"

// Route is what a request's path is to the gateway.
type Route int

// The routes.
const (
	RouteOther     Route = iota // passed through
	RoutePush                   // the push endpoint
	RouteAuthorize              // the authorization endpoint
	RouteBelow                  // a path below it, or one that a server may take for it
	RouteToken                  // the token endpoint, and the others that are never taken for an authorization
	RouteMetadata               // a metadata document
)

func (Route) label() string { return "route" }
func (Route) values() []string {
	return []string{"other", "par", "authorize", "below", "token", "metadata"}
}

// Method is the method of a request.
type Method int

func (Method) label() string    { return "method" }
func (Method) values() []string { return methods }

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete, "other"}

// MethodOf folds a method.
func MethodOf(method string) Method {
	last := len(methods) - 1
	for i, known := range methods[:last] {
		if method == known {
			return Method(i)
		}
	}
	return Method(last)
}

// Code is the class of a status code.
type Code int

// What is no status code.
const (
	NoAnswer Code = iota // there was none: an error, or somebody went away
	firstClass
)

func (Code) label() string    { return "code" }
func (Code) values() []string { return []string{"none", "2xx", "3xx", "4xx", "5xx"} }

// CodeOf returns the class of a status.
func CodeOf(status int) Code {
	if class := status / 100; class >= 2 && class <= 5 {
		return Code(class-2) + firstClass
	}
	return NoAnswer
}

// Push is what has come of a push.
type Push int

// The outcomes of a push.
const (
	PushCreated         Push = iota // 201
	PushInvalidRequest              // what was pushed, or how
	PushInvalidClient               // the client could not be authenticated
	PushInvalidProof                // the DPoP proof
	PushRefusedByDryRun             // the authorization server would refuse it
	PushTooLarge                    // more than PAR_MAX_BYTES or UPSTREAM_MAX_REQUEST
	PushRateLimited                 // 429, for pushes or for failed attempts to authenticate
	PushUnavailable                 // 503 without the store: the authorization server is not known, or could not be asked
	PushStoreFull                   // the memory store has no room
	PushStoreError                  // the store could not answer
	PushServerError                 // a mistake of the gateway's own
	PushAborted                     // the client has gone away while something was asked for it
)

func (Push) label() string { return "outcome" }
func (Push) values() []string {
	return []string{"created", "invalid_request", "invalid_client", "invalid_dpop_proof", "refused_by_dry_run", "too_large", "rate_limited", "unavailable",
		"store_full", "store_error", "server_error", "aborted"}
}

// Authorize is what has come of an authorization request: one by reference, one of a flow, or one that was not pushed.
type Authorize int

// NoAuthorization: a request that is none.
const NoAuthorization Authorize = -1

// The outcomes of an authorization request.
const (
	AuthorizeRefused Authorize = iota // for a reason that is not below
	Bounced                           // a first visit, sent to itself with its cookie
	Expanded                          // by reference, and forwarded as its flow
	Bound                             // without a reference, but of a flow of its browser, and forwarded as that
	PassedUnpushed                    // not pushed, and forwarded
	PassedNative                      // with a reference of the upstream's own push endpoint
	RefusedUnpushed                   // not pushed, where it must be
	UnknownOrUsed                     // the reference opens nothing for this browser
	UsedByOwner                       // the browser has used it itself
	CookieMissing                     // the browser has not kept the cookie of its first visit
	Malformed                         // a parameter is missing, twice or not allowed
	HeadAnswered                      // HEAD, answered here
	StoreError                        // the store could not answer
)

func (Authorize) label() string { return "outcome" }
func (Authorize) values() []string {
	return []string{"refused", "bounced", "expanded", "bound", "passed_unpushed", "passed_native", "refused_unpushed", "unknown_or_used", "used_by_owner",
		"cookie_missing", "malformed", "head", "store_error"}
}

// Flow is what has happened to a flow.
type Flow int

// What happens to flows.
const (
	FlowOpened   Flow = iota // a browser has claimed a pushed request
	FlowFinished             // its authorization response has passed
	FlowEvicted              // its browser began too many others
	FlowGone                 // its browser came back, and the store no longer has it
)

func (Flow) label() string    { return "event" }
func (Flow) values() []string { return []string{"opened", "finished", "evicted", "gone"} }

// Response is what has come of an authorization response.
type Response int

// The outcomes of authorization responses.
const (
	ResponsePassed      Response = iota // it was the first one of its flow
	ResponseError                       // the same, with an error in place of a code
	ResponseSecond                      // its flow had one already: withheld
	ResponseTooLate                     // its flow had ended meanwhile: withheld
	ResponseStoreError                  // the store could not answer: withheld
	ResponseOtherIssuer                 // it names another issuer: withheld
	ResponseStray                       // with PAR required, one of no flow of its browser's: withheld
	ResponseUnassigned                  // it leads to a client of this browser's flows, but which flow's it is cannot be told: passed
)

func (Response) label() string { return "outcome" }
func (Response) values() []string {
	return []string{"passed", "passed_error", "second_refused", "too_late", "store_error", "other_issuer", "stray_refused", "unassigned"}
}

// AuthMethod is a client authentication method.
type AuthMethod int

func (AuthMethod) label() string    { return "method" }
func (AuthMethod) values() []string { return authMethods }

var authMethods = []string{"none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth",
	"self_signed_tls_client_auth"}

// AuthMethodOf returns the method of that name (RFC 7591 §2); of an unknown one "none".
func AuthMethodOf(name string) AuthMethod {
	for i, known := range authMethods {
		if name == known {
			return AuthMethod(i)
		}
	}
	return 0
}

// AuthBy is who authenticates a client.
type AuthBy int

// Who authenticates clients.
const (
	ByFile     AuthBy = iota // by the client file
	ByUpstream               // the upstream is asked
)

func (AuthBy) label() string    { return "by" }
func (AuthBy) values() []string { return []string{"file", "upstream"} }

// AuthResult is what has come of authenticating a client.
type AuthResult int

// The results of authenticating a client.
const (
	AuthOK      AuthResult = iota
	AuthRefused            // 401 or 400
	AuthSlowed             // 429: too many failed attempts
	AuthError              // it could not be found out
)

func (AuthResult) label() string    { return "result" }
func (AuthResult) values() []string { return []string{"ok", "refused", "slowed", "error"} }

// Audience is what the aud of a client assertion names.
type Audience int

func (Audience) label() string    { return "audience" }
func (Audience) values() []string { return audiences }

var audiences = []string{"other", "issuer", "token_endpoint", "push_endpoint", "issuer_array", "token_endpoint_array", "push_endpoint_array", "other_array", "several"}

// AudienceOf returns the audience of that name, which is the log's too; of an unknown one "other".
func AudienceOf(name string) Audience {
	for i, known := range audiences {
		if name == known {
			return Audience(i)
		}
	}
	return 0
}

// Accepted says whether something was taken.
type Accepted int

// AcceptedIf returns yes or no.
func AcceptedIf(yes bool) Accepted {
	if yes {
		return 1
	}
	return 0
}

func (Accepted) label() string    { return "accepted" }
func (Accepted) values() []string { return []string{"no", "yes"} }

// Probe is how the upstream is asked about a client.
type Probe int

// The probes.
const (
	ProbeCode Probe = iota
	ProbeRefresh
	ProbeRevocation
	ProbeIntrospection
)

func (Probe) label() string    { return "probe" }
func (Probe) values() []string { return []string{"code", "refresh", "revocation", "introspection"} }

// Answer is what the upstream's answer to a probe says.
type Answer int

// The answers.
const (
	AnswerCannotTell Answer = iota // nothing about the credentials
	AnswerRefused                  // they are wrong
	AnswerCandidate                // they may be right
	AnswerTrouble                  // the upstream failed, or does not want to be asked
)

func (Answer) label() string    { return "answer" }
func (Answer) values() []string { return []string{"cannot_tell", "refused", "candidate", "trouble"} }

// Checked is who has looked at the redirect_uri of a push that was created.
type Checked int

// Who looks at a redirect_uri.
const (
	CheckedByNobody   Checked = iota // but for its form; the upstream decides at the authorization endpoint
	CheckedByRegistry                // it is one of the client file
	CheckedByDryRun                  // the upstream has taken the request
)

func (Checked) label() string    { return "by" }
func (Checked) values() []string { return []string{"nobody", "registry", "dry_run"} }

// Opinion is what a dry run has told.
type Opinion int

// The opinions.
const (
	OpinionNone Opinion = iota
	OpinionAccepted
	OpinionRejected
	OpinionGranted // a code for nobody: the dry run is off from then on
	OpinionNotAsked
)

func (Opinion) label() string { return "opinion" }
func (Opinion) values() []string {
	return []string{"none", "accepted", "rejected", "granted", "not_asked"}
}

// Proof is what has come of a DPoP header of a push.
type Proof int

// What comes of DPoP headers.
const (
	ProofTaken   Proof = iota
	ProofRefused       // it proves nothing, or was used before
	ProofIgnored       // the upstream does not know DPoP
)

func (Proof) label() string    { return "result" }
func (Proof) values() []string { return []string{"taken", "refused", "ignored"} }

// Limited is what was asked for too often.
type Limited int

// What is limited.
const (
	LimitedPushes Limited = iota
	LimitedRequestObjects
)

func (Limited) label() string    { return "what" }
func (Limited) values() []string { return []string{"pushes", "request_objects"} }

// Crowd is why there is no room for a request or a connection.
type Crowd int

// Why there is no room.
const (
	CrowdInAll   Crowd = iota // too many in all
	CrowdFromOne              // too many from one network
)

func (Crowd) label() string    { return "reason" }
func (Crowd) values() []string { return []string{"in_all", "one_network"} }

// Slot is a place of something that the upstream is spared too much of.
type Slot int

// The places at the upstream.
const (
	SlotForward  Slot = iota // requests that wait for the upstream's answer
	SlotUpload               // of these, requests whose body has not arrived
	SlotProbe                // questions about clients and requests
	SlotResponse             // responses on their way to browsers
)

func (Slot) label() string    { return "kind" }
func (Slot) values() []string { return []string{"forward", "upload", "probe", "response"} }

// Refresh is what has come of reading the upstream's metadata.
type Refresh int

// What comes of reading metadata.
const (
	RefreshOK       Refresh = iota
	RefreshFailed           // it could not be read
	RefreshIssuer           // refused: it names another issuer
	RefreshEndpoint         // refused: an authorization endpoint would no longer be protected
)

func (Refresh) label() string { return "result" }
func (Refresh) values() []string {
	return []string{"ok", "failed", "issuer_changed", "endpoint_lost"}
}

// Asked is what the upstream is asked for.
type Asked int

// What the upstream is asked for.
const (
	AskedOther     Asked = iota // what passes through
	AskedAuthorize              // a protected path
	AskedToken                  // the token endpoint and the like, for a client
	AskedProbe                  // by the gateway, about a client or a request
	AskedMetadata               // by the gateway
)

func (Asked) label() string    { return "route" }
func (Asked) values() []string { return []string{"other", "authorize", "token", "probe", "metadata"} }

// Success says whether something went well.
type Success int

// SuccessIf returns "ok" for no error.
func SuccessIf(err error) Success {
	if err != nil {
		return 1
	}
	return 0
}

func (Success) label() string    { return "result" }
func (Success) values() []string { return []string{"ok", "failed"} }

// File is one that is read again when it changes.
type File int

// The files.
const (
	FileClients File = iota
	FileCertificate
	FileAuthorities
)

func (File) label() string    { return "file" }
func (File) values() []string { return []string{"clients", "certificate", "authorities"} }

// Op is an operation of the store.
type Op int

// The operations.
const (
	OpPut Op = iota
	OpLook
	OpOpen
	OpFlow
	OpContinue
	OpFinish
	OpMark
	OpPing
)

func (Op) label() string { return "op" }
func (Op) values() []string {
	return []string{"put", "look", "open", "flow", "continue", "finish", "mark", "ping"}
}

// Stored is what has come of an operation of the store.
type Stored int

// The results of the store.
const (
	StoredOK    Stored = iota
	StoredNo           // it ran, and the answer is no: there is no such request, or it is another browser's
	StoredFull         // there is no room
	StoredError        // the store could not answer
)

func (Stored) label() string    { return "result" }
func (Stored) values() []string { return []string{"ok", "no", "full", "error"} }
