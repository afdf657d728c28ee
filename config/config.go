// Package config is the environment of the program, typed. It reads nothing but the list of variables it is given
// and the files that those name, and it builds nothing: no connection, no listener, no client list.
//
//	parse (config.go, environ.go, types.go) ──▶ check (validate.go, profile.go, urls.go, names.go) ──▶ the program builds
//
// Every problem is reported at once and in the names of the variables (Problems). The comments and the help texts of
// Config are the manual: `pargate help env` and the README's table are made from them (help.go).
package config

import (
	"errors"
	"net/url"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is every setting. A variable that is set to nothing, or to blanks, counts as unset.
//
// The tags: env is the variable; envDefault its default; unset says in words what an unset variable means when there
// is no default; help is the manual's text; group begins a group, which lasts until the next.
type Config struct {
	// UpstreamURL is the address of the authorization server: http or https, a host, and a path only when the
	// metadata lies under an issuer's path. Never nil.
	UpstreamURL *url.URL `env:"UPSTREAM_URL" group:"everyday" unset:"required" help:"Address of the authorization server. A path in it says only under which issuer path the server publishes its metadata."`
	// PublicURL is the address that browsers and clients use: https, or http on a loopback host. Nil means the
	// issuer in the upstream's metadata.
	PublicURL *url.URL `env:"PUBLIC_URL" unset:"the upstream's issuer" help:"Address that browsers and clients use. Needed when the authorization server publishes no metadata; otherwise its issuer must have this origin."`
	// ListenAddr is the host:port, or the socket, that serves clients and browsers.
	ListenAddr Addr `env:"LISTEN_ADDR" envDefault:":8080" help:"Address (host:port) that serves clients and browsers, or unix:/path for a socket, which its group may use too (0660)."`
	// AdminAddr is the host:port, or the socket, of /livez, /readyz and /metrics. Empty means off.
	AdminAddr Addr `env:"ADMIN_ADDR" envDefault:":8081" help:"Address (host:port, or unix:/path) that serves /livez, /readyz and /metrics. off serves them nowhere. Never expose it publicly."`
	// RedisURL is the store: a redis, rediss, unix, valkey or valkeys URL. Unset means the memory of this process.
	RedisURL Secret `env:"REDIS_URL" unset:"memory" help:"Address of Redis or Valkey: redis://, rediss:// (TLS) or unix://; with ?master_name= those of Sentinels, with ?addr= of a cluster. Without it pushed requests live in the memory of one process: run one replica only."`
	// PARRequired refuses every authorization request that was not pushed.
	PARRequired bool `env:"PAR_REQUIRED" envDefault:"false" help:"Refuse authorization requests that were not pushed, and say so in the metadata."`
	// PARTTL is the expires_in of a request_uri: whole seconds, 5 to 599.
	PARTTL time.Duration `env:"PAR_TTL" envDefault:"60s" help:"How long a request_uri waits for the browser, 5s to 599s. Clients see it as expires_in."`
	// ClientsFile is the path of the registered clients. Empty means none is registered here.
	ClientsFile string `env:"CLIENTS_FILE" unset:"none" help:"File with a JSON array of client metadata (RFC 7591), read again when it changes. Clients in it are authenticated here."`
	// TrustedProxies are the peers whose forwarding headers are believed. Empty means nobody's are.
	TrustedProxies Proxies `env:"TRUSTED_PROXIES" unset:"none" help:"Addresses or CIDR ranges of the proxies in front, whose X-Forwarded-For is believed; unix is whoever connects to the socket of LISTEN_ADDR."`
	// LogLevel is the least important level that is logged.
	LogLevel LogLevel `env:"LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error."`
	// LogFormat is how log lines look. LogAuto is console on a terminal and JSON elsewhere.
	LogFormat LogFormat `env:"LOG_FORMAT" envDefault:"auto" help:"json, console or auto, which is console on a terminal and json elsewhere."`

	// PARPath is the path of the push endpoint. Empty means the issuer's path + /par.
	PARPath string `env:"PAR_PATH" group:"endpoints" unset:"the issuer's path + /par" help:"Path of the push endpoint. What stands in front of pargate must route it here."`
	// AuthorizePath lists the paths of the authorization endpoint. Empty means the one in the metadata.
	AuthorizePath List `env:"AUTHORIZE_PATH" unset:"discovered" help:"Paths of the authorization endpoint, when the authorization server has more than its metadata names, or no metadata."`
	// TokenPath is the path of the token endpoint. Empty means the one in the metadata.
	TokenPath string `env:"TOKEN_PATH" unset:"discovered" help:"Path of the token endpoint, when the authorization server publishes no metadata."`
	// MetadataPatch adds PAR to the metadata that the upstream publishes.
	MetadataPatch bool `env:"METADATA_PATCH" envDefault:"true" help:"Add PAR to the metadata that the authorization server publishes. Clients that see it there begin to push."`
	// ResponseISS says whether authorization responses get iss (RFC 9207), and whether the metadata says so.
	ResponseISS ResponseISS `env:"RESPONSE_ISS" envDefault:"add" help:"iss in authorization responses (RFC 9207): add puts it there, advertise also says so in the metadata, off leaves responses alone."`
	// ResumeParams are further parameter names with which the upstream resumes its own authorization endpoint.
	ResumeParams List `env:"RESUME_PARAMS" unset:"none" help:"Further parameters that the authorization server adds when its login returns to the authorization endpoint. The log names the ones that were dropped."`

	// UpstreamAuthorizeMethod is the method with which the upstream gets a pushed request.
	UpstreamAuthorizeMethod Method `env:"UPSTREAM_AUTHORIZE_METHOD" group:"upstream" envDefault:"GET" help:"How a pushed request reaches the authorization server: GET puts it in the query, POST in the body, which suits servers where a POST begins an authorization and is not the consent to it."`
	// UpstreamMaxRequest is the longest query that the upstream takes, in bytes. A longer push is refused.
	UpstreamMaxRequest Bytes `env:"UPSTREAM_MAX_REQUEST" envDefault:"8KiB" help:"Longest query that the authorization server takes, 1KiB to 1MiB; by POST the longest form, and unset PAR_MAX_BYTES. A push that would become longer is refused."`
	// UpstreamTimeout bounds the wait for the headers of an upstream's response.
	UpstreamTimeout time.Duration `env:"UPSTREAM_TIMEOUT" envDefault:"30s" help:"Longest wait for the headers of the authorization server's response, 1s to 10m."`
	// UpstreamCAFile is a PEM bundle that is trusted besides the system's. Empty means the system's alone.
	UpstreamCAFile string `env:"UPSTREAM_CA_FILE" unset:"the system's" help:"PEM file with certificate authorities that are trusted for the authorization server, besides the system's; read again when it changes."`
	// UpstreamDryRun asks the upstream at push time whether it would take the request.
	UpstreamDryRun bool `env:"UPSTREAM_DRY_RUN" envDefault:"false" help:"Ask the authorization server at push time whether it would take the request, as a browser without cookies, for clients that authenticate. What it would refuse is refused at once."`

	// ClientAuth says who authenticates a client that pushes.
	ClientAuth ClientAuth `env:"CLIENT_AUTH" group:"clients" envDefault:"auto" help:"Who authenticates a client that pushes: file is CLIENTS_FILE alone, upstream the authorization server alone, auto the file for clients in it and the authorization server for others."`
	// AssertionAudience says which aud a client assertion may have.
	AssertionAudience Audience `env:"ASSERTION_AUDIENCE" envDefault:"rfc9126" help:"Audience of client assertions: rfc9126 takes the issuer, the token and the push endpoint, issuer exactly the issuer."`
	// ProbeAccept are further answers of the upstream that prove a client's credentials. Empty means invalid_grant.
	ProbeAccept List `env:"PROBE_ACCEPT" unset:"none" help:"Further error codes, besides invalid_grant, with which the authorization server shows that a client's credentials were right."`
	// CORSOrigins are the origins whose scripts may push. Empty means none.
	CORSOrigins List `env:"CORS_ORIGINS" unset:"none" help:"Origins whose scripts may push, as https://app.example."`
	// RateLimit bounds the pushes of one client from one address, per process. Zero means no bound.
	RateLimit Rate `env:"RATE_LIMIT" envDefault:"50/s" help:"Pushes of one client from one address, per replica, as 50/s or 600/m. off removes the limit."`
	// PARMaxBytes is the largest body of a push, in bytes.
	PARMaxBytes Bytes `env:"PAR_MAX_BYTES" envDefault:"64KiB" help:"Largest body of a push, 1KiB to 1MiB."`
	// Profile is a set of stricter rules. Empty means none.
	Profile Profile `env:"PROFILE" unset:"none" help:"fapi2 holds clients and their requests to the FAPI 2.0 security profile; pargate check lists what that changes."`
	// ClientCertHeader is the header in which a trusted proxy hands on the client's certificate. Empty means none.
	ClientCertHeader string `env:"CLIENT_CERT_HEADER" unset:"none" help:"Header in which a proxy in TRUSTED_PROXIES hands on the client's certificate: as RFC 9440 has it, or as percent-encoded PEM (nginx's $ssl_client_escaped_cert)."`

	// FlowTTL is how long a login may take once a browser has come. Whole seconds.
	FlowTTL time.Duration `env:"FLOW_TTL" group:"store" envDefault:"30m" help:"How long a login may take once the browser has come, 1m to 24h."`
	// RedisMode is the kind of Redis behind RedisURL.
	RedisMode RedisMode `env:"REDIS_MODE" envDefault:"auto" help:"auto, standalone, sentinel or cluster. auto tells from REDIS_URL: master_name in it means sentinel, addr means cluster."`
	// RedisUsername is the ACL user. Empty means the one in RedisURL.
	RedisUsername string `env:"REDIS_USERNAME" unset:"from REDIS_URL" help:"Redis user (ACL), for the data also where REDIS_URL names Sentinels."`
	// RedisPassword is that user's password. Unset means the one in RedisURL. One from a file is read again from there.
	RedisPassword Secret `env:"REDIS_PASSWORD" unset:"from REDIS_URL" help:"Redis password. The file is read again for every new connection."`
	// RedisCAFile is a PEM bundle for Redis. Empty means the system's.
	RedisCAFile string `env:"REDIS_CA_FILE" unset:"the system's" help:"PEM file with certificate authorities that are trusted for Redis, instead of the system's."`
	// RedisCertFile is our certificate towards Redis. Empty means none.
	RedisCertFile string `env:"REDIS_CERT_FILE" unset:"none" help:"PEM file with a client certificate for Redis."`
	// RedisKeyFile is the key of RedisCertFile.
	RedisKeyFile string `env:"REDIS_KEY_FILE" unset:"none" help:"PEM file with the key of REDIS_CERT_FILE."`
	// RedisKeyPrefix begins every key. It has no braces (they would choose a cluster slot) and no blanks.
	RedisKeyPrefix string `env:"REDIS_KEY_PREFIX" envDefault:"pargate:" help:"What every key in Redis begins with."`
	// RedisWaitReplicas is how many replicas must have a write before it is acknowledged, 0 to 8. Zero means none.
	RedisWaitReplicas int `env:"REDIS_WAIT_REPLICAS" envDefault:"0" help:"Replicas that must have a pushed request before the client is answered, and a browser's claim before it goes on, 0 to 8. 1 is right with Sentinel or a cluster."`

	// TLSCertFile is the certificate of ListenAddr. Empty means plain HTTP.
	TLSCertFile string `env:"TLS_CERT_FILE" group:"serving" unset:"plain HTTP" help:"PEM file with the certificate for LISTEN_ADDR, read again when it changes."`
	// TLSKeyFile is the key of TLSCertFile.
	TLSKeyFile string `env:"TLS_KEY_FILE" unset:"none" help:"PEM file with the key of TLS_CERT_FILE."`
	// TLSClientCAFile is whom client certificates must come from. Empty means that none is asked for.
	TLSClientCAFile string `env:"TLS_CLIENT_CA_FILE" unset:"none" help:"PEM file with certificate authorities of clients, read again when it changes; asks clients for a certificate."`
	// ShutdownDelay is how long readiness fails, while all is served, before the listeners close. Zero means at once.
	ShutdownDelay time.Duration `env:"SHUTDOWN_DELAY" envDefault:"5s" help:"After SIGTERM, serve this long while readiness fails, 0 to 5m."`
	// ShutdownTimeout is how long requests in flight may then take.
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"20s" help:"Then wait this long for requests in flight, 1s to 10m. Keep the sum of both under the grace period of what runs pargate."`
	// OTLPEndpoint is where traces go. Empty means that there are none.
	OTLPEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" unset:"no traces" help:"OpenTelemetry collector. The other OTEL_* variables are read with it."`
	// OTLPTracesEndpoint is the same for traces alone.
	OTLPTracesEndpoint string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" unset:"no traces" help:"The same, for traces alone."`
}

// Load parses and checks the variables in environ, which has the form of os.Environ(). Each name is also accepted
// with the prefix PARGATE_, which wins. When something is wrong with the settings the error is Problems, all of them,
// and there is no Config. Warnings are there in both cases.
func Load(environ []string) (*Config, []Warning, error) {
	settings := Settings()
	e := readEnviron(environ, settings)
	c := &checker{cfg: new(Config), env: e}

	c.secrets(settings)
	if err := c.parse(); err != nil {
		return nil, nil, err
	}
	c.rememberFiles(settings)
	c.dependentDefaults()
	c.settings()
	c.names(settings)

	c.sort(settings)
	if len(c.problems) > 0 {
		return nil, c.warnings, c.problems
	}
	return c.cfg, c.warnings, nil
}

// parse fills cfg and turns the library's errors, which name struct fields, into problems, which name variables. Any
// other error is a mistake in Config itself.
func (c *checker) parse() error {
	// The map holds our own names only. The library also reads the empty name for a field without a tag, and names
	// such as 0_X for the elements of a list, and neither may come from outside.
	err := env.ParseWithOptions(c.cfg, env.Options{Environment: c.env.values, FuncMap: parsers()})
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	variables := variablesOfFields()
	for _, one := range all.Errors {
		var bad env.ParseError
		if !errors.As(one, &bad) {
			return one
		}
		c.fail(variables[bad.Name], "%v", bad.Err)
	}
	return nil
}
