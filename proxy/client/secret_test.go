package client_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"pargate/proxy/client"
	"pargate/proxy/oauth"
)

// argon hashes text, cheaply.
func argon(text string) string {
	const salt = "saltsalt"
	encode := base64.RawStdEncoding.EncodeToString
	return "$argon2id$v=19$m=64,t=1,p=1$" + encode([]byte(salt)) + "$" + encode(argon2.IDKey([]byte(text), []byte(salt), 1, 64, 1, 32))
}

func bcrypted(t testing.TB, text string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(text), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// counted authenticates, and returns with the error how many hashes were computed for it.
func counted(t testing.TB, a *client.Authenticator, sent request) (hashes int, c *client.Client, err error) {
	t.Helper()
	a.CountWork(func(what string) {
		if what == "hash" {
			hashes++
		}
	})
	form, err := oauth.ParseForm(sent.form)
	if err != nil {
		t.Fatal(err)
	}
	cred, _, err := client.Read(http.Header{"Authorization": sent.authorization}, form)
	if err == nil {
		c, err = a.Authenticate(t.Context(), cred, server)
	}
	return hashes, c, err
}

func TestHashedSecretsAreComparedLikeOthers(t *testing.T) {
	t.Parallel()
	r := load(t, `[{"client_id": "argon", "client_secret": "`+argon(secret)+`", "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"]},
		{"client_id": "bcrypt", "client_secret": "`+bcrypted(t, secret)+`", "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"]},
		{"client_id": "argon basic", "client_secret": "`+argon(secret)+`"}]`)
	for _, name := range []string{"argon", "bcrypt"} {
		for way, send := range ways {
			if way == "none" {
				check(t, r, name, send(name, ""), "client authentication failed")
				continue
			}
			check(t, r, name, send(name, secret), "")
			for _, wrong := range []string{"wrong", secret + "x", "", argon(secret)} {
				if wrong == "" && way == "post" {
					continue // that is none
				}
				check(t, r, name, send(name, wrong), "client authentication failed")
			}
		}
	}
	check(t, r, "argon basic", ways["post"]("argon basic", secret), "client_secret_post was used, but this client is registered for client_secret_basic")
}

// Where the client file has hashes, every failure costs as many computations as any other, and none tells whose it was.
func TestAFailureCostsAHashWhoeverItIsOf(t *testing.T) {
	t.Parallel()
	r := load(t, `[{"client_id": "argon", "client_secret": "`+argon("a")+`"}, 
		{"client_id": "plain", "client_secret": "p"}, {"client_id": "public", "token_endpoint_auth_method": "none"},
		{"client_id": "keys", "token_endpoint_auth_method": "private_key_jwt", `+keys(es256.JWK())+`}]`)
	for way, send := range ways {
		if way == "none" {
			continue
		}
		for _, wrong := range []string{"wrong", "wr%ong", "wr ong", "wr+ong"} {
			want, _, _ := counted(t, authenticator(t, r), send("nobody", wrong))
			if want == 0 || want > 2 {
				t.Errorf("%q of nobody by %s: %d hashes", wrong, way, want)
			}
			for _, name := range []string{"argon", "plain", "public", "keys"} {
				hashes, _, err := counted(t, authenticator(t, r), send(name, wrong))
				if told(err) != authFailed || hashes != want {
					t.Errorf("%q of %s by %s: %d hashes and %s, want %d", wrong, name, way, hashes, told(err), want)
				}
			}
		}
	}
	hashes, _, _ := counted(t, authenticator(t, load(t, `[{"client_id": "plain", "client_secret": "p"}]`)), ways["raw Basic"]("nobody", "x"))
	if hashes != 0 {
		t.Errorf("%d hashes for a file without any", hashes)
	}
}

func TestARightSecretIsComputedOnce(t *testing.T) {
	t.Parallel()
	registry := `[{"client_id": "a", "client_secret": "` + argon("s") + `"}, {"client_id": "b", "client_secret": "` + argon("s") + `"}]`
	r := load(t, registry)
	a := authenticator(t, r)
	push := func(name, secret string) int {
		hashes, _, err := counted(t, a, ways["raw Basic"](name, secret))
		if (err == nil) != (secret == "s") {
			t.Errorf("%s with %s: %v", name, secret, err)
		}
		return hashes
	}
	if n := push("a", "s"); n != 1 {
		t.Errorf("the first time: %d hashes", n)
	}
	for range 3 {
		if n := push("a", "s"); n != 0 {
			t.Errorf("again: %d hashes", n)
		}
	}
	for range 3 {
		if n := push("a", "x"); n != 1 {
			t.Errorf("a wrong one is computed each time: %d hashes", n)
		}
	}
}

// Clients push in bursts, and after a start none of their secrets is known.
func TestARightSecretThatComesOftenAtOnceIsComputedOnceATurn(t *testing.T) {
	t.Parallel()
	a := authenticator(t, load(t, `[{"client_id": "a", "client_secret": "`+argon("s")+`"}]`))
	turns := min(4, runtime.GOMAXPROCS(0))
	var hashes atomic.Int64
	release := make(chan struct{})
	a.CountWork(func(string) {
		hashes.Add(1)
		<-release
	})
	cred, _, err := client.Read(http.Header{"Authorization": {basic("a", "s")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var arrived, pushing sync.WaitGroup
	for range 50 {
		arrived.Add(1)
		pushing.Go(func() {
			arrived.Done()
			if _, err := a.Authenticate(t.Context(), cred, server); err != nil {
				t.Error(err)
			}
		})
	}
	arrived.Wait()
	close(release)
	pushing.Wait()
	if n := int(hashes.Load()); n > turns {
		t.Errorf("%d hashes in %d turns", n, turns)
	}
}

func TestAChangedHashIsComputedAnew(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/clients.json"
	one := func(secret string) string { return `[{"client_id": "a", "client_secret": "` + argon(secret) + `"}]` }
	write(t, path, one("old"))
	r, err := client.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	a := authenticator(t, r)
	if _, _, err := counted(t, a, ways["raw Basic"]("a", "old")); err != nil {
		t.Fatal(err)
	}
	write(t, path, one("new"))
	if _, err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := counted(t, a, ways["raw Basic"]("a", "old")); told(err) != authFailed {
		t.Errorf("the old secret: %v", err)
	}
	if _, _, err := counted(t, a, ways["raw Basic"]("a", "new")); err != nil {
		t.Errorf("the new secret: %v", err)
	}
}

func TestTheRightSecretsThatAreKnownAreBounded(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	total := client.MaxVerified + 50
	for i := range total {
		fmt.Fprintf(&file, `,{"client_id": "c%d", "client_secret": "%s"}`, i, argon(fmt.Sprint(i)))
	}
	a := authenticator(t, load(t, "["+file.String()[1:]+"]"))
	hashesOf := func(i int) int {
		n, _, err := counted(t, a, ways["raw Basic"](fmt.Sprintf("c%d", i), fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range total {
		hashesOf(i)
	}
	if hashesOf(total-1) != 0 || hashesOf(50) != 0 {
		t.Error("a late one has been forgotten")
	}
	if hashesOf(0) != 1 {
		t.Error("the first one is still known")
	}
}

// bcrypt looks at 72 bytes only: a longer secret would match whatever stands behind them.
func TestBcryptDoesNotTakeALongerSecret(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 72)
	r := load(t, `[{"client_id": "a", "client_secret": "`+bcrypted(t, long)+`"}]`)
	for text, want := range map[string]string{long: "", long + "y": authFailed, long[1:]: authFailed} {
		hashes, _, err := counted(t, authenticator(t, r), ways["raw Basic"]("a", text))
		if got := told(err); got != want || hashes != 1 {
			t.Errorf("%d bytes: %s after %d hashes, want %q", len(text), got, hashes, want)
		}
	}
}

func TestOfAClientOfTwoNamesTheRightOneIsFoundByItsHash(t *testing.T) {
	t.Parallel()
	r := load(t, `[{"client_id": "a b", "client_secret": "`+argon("s")+`"}, {"client_id": "a+b", "client_secret": "`+argon("t")+`"}]`)
	check(t, r, "a b", request{[]string{basic("a+b", "s")}, ""}, "")
	check(t, r, "a+b", request{[]string{basic("a+b", "t")}, ""}, "")
}

func TestASecretExpires(t *testing.T) {
	t.Parallel()
	end := now.Unix()
	r := load(t, fmt.Sprintf(`[{"client_id": "a", "client_secret": "s", "client_secret_expires_at": %d},
		{"client_id": "hash", "client_secret": %q, "client_secret_expires_at": %d},
		{"client_id": "jwt", "client_secret": %q, "client_secret_expires_at": %d, "token_endpoint_auth_method": "client_secret_jwt"},
		{"client_id": "both", "client_secret": "s", "client_secret_expires_at": %d, "token_endpoint_auth_method": ["client_secret_basic", "private_key_jwt"], %s}]`,
		end, argon("s"), end, longSecret, end, end, keys(es256.JWK())))
	const expired = "401 invalid_client the client_secret has expired"
	for _, test := range []struct {
		at   time.Time
		want string
	}{{time.Unix(end-1, 0), ""}, {time.Unix(end, 0), expired}, {time.Unix(end+1, 0), expired}} {
		a := authenticator(t, r, func(o *client.Options) { o.Now = func() time.Time { return test.at } })
		for _, name := range []string{"a", "hash", "both"} {
			if got := told(third(counted(t, a, ways["raw Basic"](name, "s")))); got != test.want {
				t.Errorf("%s at %v: %s, want %q", name, test.at, got, test.want)
			}
			if got := told(third(counted(t, a, ways["raw Basic"](name, "x")))); got != authFailed {
				t.Errorf("a wrong secret of %s: %s", name, got)
			}
		}
		if got := told(second(push(t, a, assertionForm(hs256.Sign(claimsOf("jwt")))))); got != test.want {
			t.Errorf("client_secret_jwt at %v: %s, want %q", test.at, got, test.want)
		}
		if got := told(second(push(t, a, assertionForm(es256.Sign(claimsOf("both")))))); got != "" {
			t.Errorf("a key does not expire with the secret: %s", got)
		}
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }

// Of many wrong secrets at once only a few are computed; whoever waits too long is told to come again.
func TestHashesQueueAndGiveUp(t *testing.T) {
	t.Parallel()
	r := load(t, `[{"client_id": "a", "client_secret": "`+argon("s")+`"}]`)
	a := authenticator(t, r)
	release := make(chan struct{})
	started := make(chan struct{}, 100)
	a.CountWork(func(string) {
		started <- struct{}{}
		<-release
	})
	cred, _, err := client.Read(http.Header{"Authorization": {basic("a", "x")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() { a.Authenticate(context.Background(), cred, server) })
	}
	for range min(4, runtime.GOMAXPROCS(0)) {
		<-started
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for range 8 {
		wait.Go(func() {
			if got := told(second(a.Authenticate(ctx, cred, server))); got != "503 temporarily_unavailable too many secrets are being checked; try again" {
				t.Error(got)
			}
		})
	}
	<-ctx.Done()
	if n := len(started); n > 0 {
		t.Errorf("%d hashes too many at once", n)
	}
	close(release)
	wait.Wait()
}
