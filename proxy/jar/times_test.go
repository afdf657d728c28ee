package jar_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"pargate/proxy/jar"
)

// openAt opens a right request object with the changes, under the rules at that time.
func openAt(t *testing.T, r jar.Rules, changes ...any) (jar.Request, error) {
	t.Helper()
	token, err := jar.Read(es256.Sign(claimsOf("web", changes...)))
	if err != nil {
		return jar.Request{}, err
	}
	r.Issuer, r.ClientID = issuer, "web"
	return jar.Open(token, r)
}

// The FAPI 2.0 suite wants an nbf 8 s ahead taken and one more than 60 s ahead refused, and an object of 70 minutes, or
// of 70 minutes ago, refused.
func TestTheTimesOfARequestObject(t *testing.T) {
	t.Parallel()
	whole := time.Unix(1_800_000_000, 0)
	const (
		anywhere = "taken"
		expired  = "has expired"
		far      = "has an exp that is more than 60 minutes ahead"
		nbfAhead = "has an nbf that lies ahead; set the clock"
		iatAhead = "has an iat that lies ahead; set the clock"
		farApart = "has an exp that is more than 60 minutes after its nbf"
	)
	for _, test := range []struct {
		exp, nbf, iat float64 // seconds from now
		plain, fapi   string
	}{
		{60, 0, 0, anywhere, anywhere},
		{1, 0, 0, anywhere, anywhere},
		{0.999, 0, 0, expired, expired},
		{0, 0, 0, expired, expired},
		{-1, -60, -60, expired, expired},
		{-300, -360, -360, expired, expired},
		{3600, 0, 0, anywhere, anywhere},
		{3600, 1, 0, anywhere, anywhere},
		{3601, 1, 0, anywhere, anywhere},
		{3601, 0, 0, anywhere, farApart},
		{3630, 30, 0, anywhere, anywhere},
		{3630.001, 30.001, 0, far, far},
		{4200, 0, 0, far, far},
		{86400, 0, 0, far, far},
		{120, 8, 8, anywhere, anywhere},
		{120, 10, 10, anywhere, anywhere},
		{120, 30, 30, anywhere, anywhere},
		{120, 30.001, 0, nbfAhead, nbfAhead},
		{120, 61, 0, nbfAhead, nbfAhead},
		{120, 0, 30.001, iatAhead, iatAhead},
		{120, 0, 61, iatAhead, iatAhead},
		{120, 0, -86400, anywhere, anywhere},
		{1, -3599, 0, anywhere, anywhere},
		{1, -3600, 0, anywhere, farApart},
		{1, -3601, 0, anywhere, farApart},
		{60, -4200, 0, anywhere, farApart},
	} {
		for _, rules := range []struct {
			of   jar.Rules
			want string
		}{{jar.Rules{Now: whole}, test.plain}, {jar.Rules{Now: whole, FAPI: true}, test.fapi}} {
			at := func(seconds float64) json.RawMessage { return json.RawMessage(fmt.Sprintf("%.3f", 1.8e9+seconds)) }
			request, err := openAt(t, rules.of, "exp", at(test.exp), "nbf", at(test.nbf), "iat", at(test.iat))
			if got := told(err); got != rules.want {
				t.Errorf("%+v, FAPI %t: %s, want %s", test, rules.of.FAPI, got, rules.want)
			}
			if want := whole.Add(time.Duration(test.exp*1000) * time.Millisecond); err == nil && !request.Expires.Equal(want) {
				t.Errorf("%+v expires %v, want %v", test, request.Expires, want)
			}
		}
	}
}

// What is made of a request object lives for whole seconds, one at least, and never beyond it.
func TestARequestThatIsOpenedHasASecondToLive(t *testing.T) {
	t.Parallel()
	for _, nanoseconds := range []int64{0, 1, 10, 100, 499_999, 900_000, 999_999, 1_000_001, 123_456_789, 999_999_000, 999_999_999} {
		for _, exp := range []string{"1800000001", "1800000002", "1800000001.0009", "1800000001.0001", "1800000001.9999999", "1800000001.1234567", "1800000002.123456"} {
			at := time.Unix(1_800_000_000, nanoseconds)
			request, err := openAt(t, jar.Rules{Now: at}, "exp", json.RawMessage(exp))
			if left := request.Expires.Sub(at); err == nil && left < time.Second {
				t.Errorf("exp %s at %v: it lives %v", exp, at, left)
			} else if err != nil && told(err) != "has expired" {
				t.Errorf("exp %s at %v: %v", exp, at, err)
			}
		}
	}
}

func TestFAPIWantsIssAndNbf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"iss": "has no iss; it must be the client_id", "nbf": "has no nbf"} {
		if _, err := openAt(t, jar.Rules{Now: now, FAPI: true}, name, nil); told(err) != want {
			t.Errorf("no %s: %s, want %s", name, told(err), want)
		}
		if _, err := openAt(t, jar.Rules{Now: now}, name, nil); err != nil {
			t.Errorf("no %s, and no FAPI: %v", name, err)
		}
	}
}
