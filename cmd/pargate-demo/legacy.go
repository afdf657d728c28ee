package main

import (
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// A person that the example provider knows. The name of its other one depends on the host.
const (
	userName = "test-user2"
	password = "verysecure"
)

const legacyModule = "github.com/zitadel/oidc/v3"

// newLegacy returns zitadel/oidc's example provider with its own login page: an OpenID provider without PAR. Nothing
// about it was changed, but for the clients that it knows.
func newLegacy(issuer string, r registration) (http.Handler, error) {
	// SetupServer ends the process when it does not like the issuer, so it is asked before.
	if err := op.ValidateIssuer(issuer, true); err != nil {
		return nil, err
	}
	clients := map[string]*storage.Client{
		r.id:          storage.WebClient(r.id, r.secret, r.redirectURI),
		otherClientID: storage.WebClient(otherClientID, r.secret, r.redirectURI),
	}
	store := storage.NewStorageWithClients(storage.NewUserStore(issuer), clients)
	// It logs through slog's default, which it replaces for the whole process.
	return exampleop.SetupServer(issuer, store, slog.New(slog.DiscardHandler), false), nil
}

// legacyName is what the legacy server is, as it was built in.
func legacyName() string {
	const name = "zitadel/oidc's example provider"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return name
	}
	for _, dep := range info.Deps {
		if dep.Path == legacyModule {
			return name + " " + dep.Version
		}
	}
	return name
}
