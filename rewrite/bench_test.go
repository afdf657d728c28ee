package rewrite_test

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pargate/rewrite"
	"pargate/test/sample"
)

// reference is the query of a request by reference.
var reference = "client_id=web&request_uri=" + url.QueryEscape(ourPrefix+strings.Repeat("Ab-_9", 8)+"xyz")

// BenchmarkPairs divides and decodes a query, with "&" alone and with ";" too.
func BenchmarkPairs(b *testing.B) {
	for _, request := range sample.Requests {
		if got := slices.Collect(rewrite.Pairs(request.Form)); len(got) < sample.Params || !slices.Equal(got, slices.Collect(rewrite.StrictPairs(request.Form))) {
			b.Fatal(got)
		}
		b.Run("strict/"+request.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for range rewrite.StrictPairs(request.Form) {
				}
			}
		})
		b.Run("lenient/"+request.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for range rewrite.Pairs(request.Form) {
				}
			}
		})
	}
}

// BenchmarkExpand makes the query of an authorization request of a reference's.
func BenchmarkExpand(b *testing.B) {
	for _, request := range sample.Requests {
		b.Run(request.Name, func(b *testing.B) {
			if query, dropped := rewrite.Expand("", request.Form, reference, isResume); query != request.Form || len(dropped) != 2 {
				b.Fatal(query, dropped)
			}
			b.ReportAllocs()
			for b.Loop() {
				rewrite.Expand("", request.Form, reference, isResume)
			}
		})
	}
}

// BenchmarkPushed takes a pushed request apart, compares with it what names its flow and what does not, and finds out what
// an address of the upstream's has more or less.
func BenchmarkPushed(b *testing.B) {
	for _, request := range sample.Requests {
		pushed := vocabulary.Pushed(request.Form)
		own := slices.Collect(rewrite.Pairs(request.Form + "&prompt=select_account"))
		other := slices.Collect(rewrite.Pairs("client_id=other&redirect_uri=https%3A%2F%2Fother.example%2Fcb&state=1"))
		trust := rewrite.Trust{Additions: true, Prompt: true}
		switch difference := pushed.Difference(own, trust); {
		case pushed.Query() != request.Form:
			b.Fatal(pushed.Query())
		case pushed.Compare(slices.Values(own)) != rewrite.Likeness{Equal: 3, Exact: true} || pushed.Compare(slices.Values(other)) != rewrite.Likeness{}:
			b.Fatal(pushed.Compare(slices.Values(own)), pushed.Compare(slices.Values(other)))
		case difference.Encode() != "prompt=select_account":
			b.Fatal(difference)
		}
		b.Run("parts/"+request.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				vocabulary.Pushed(request.Form)
			}
		})
		b.Run("match/"+request.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pushed.Compare(slices.Values(own))
			}
		})
		b.Run("mismatch/"+request.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pushed.Compare(slices.Values(other))
			}
		})
		b.Run("difference/"+request.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				pushed.Difference(own, trust)
			}
		})
	}
}

// BenchmarkBindForm binds a consent form, which repeats the request, and a login form, which has nothing of it.
func BenchmarkBindForm(b *testing.B) {
	for _, request := range sample.Requests {
		pushed := vocabulary.Pushed(request.Form)
		for _, form := range []struct{ name, sent, want string }{
			{"consent", "csrf=u9Qy3vJr5kZbT0fP&" + request.Form + "&accept=yes", "csrf=u9Qy3vJr5kZbT0fP&" + request.Form + "&accept=yes"},
			{"tampering", "csrf=u9Qy3vJr5kZbT0fP&client_id=web&state=1&accept=yes&prompt=none", "csrf=u9Qy3vJr5kZbT0fP&client_id=web&state=" + sample.State + "&accept=yes&"},
			{"login", "csrf=u9Qy3vJr5kZbT0fP&username=someone&password=p%C3%A4ss+word&action=login", "csrf=u9Qy3vJr5kZbT0fP&username=someone&password=p%C3%A4ss+word&action=login"},
		} {
			b.Run(form.name+"/"+request.Name, func(b *testing.B) {
				if got, _ := pushed.BindForm(form.sent, false); !strings.HasPrefix(got, form.want) {
					b.Fatal(got)
				}
				b.ReportAllocs()
				for b.Loop() {
					pushed.BindForm(form.sent, false)
				}
			})
		}
	}
}

// BenchmarkMentions looks for a request in what a browser has sent: where it is a reference alone, and where it is not.
func BenchmarkMentions(b *testing.B) {
	for _, row := range []struct {
		name, text string
		want       bool
	}{
		{"reference", "https://as.example/login?next=" + url.QueryEscape("/authorize?"+reference), false},
		{"form", "csrf=u9Qy3vJr5kZbT0fP&username=someone&password=p%C3%A4ss+word&action=login", false},
		{"request", sample.Requests[0].LoginAddress(), true},
	} {
		b.Run(row.name, func(b *testing.B) {
			if vocabulary.Mentions(row.text) != row.want {
				b.Fatal(row.text)
			}
			b.ReportAllocs()
			for b.Loop() {
				vocabulary.Mentions(row.text)
			}
		})
	}
}

// shortening are rules that replace each query that has the samples' state.
func shortening() *rewrite.Collapse {
	rules := collapse()
	rules.Shorten = func(a rewrite.Address) (string, bool) {
		return reference, slices.ContainsFunc(a.Pairs, func(pair rewrite.Pair) bool { return pair.Name == "state" && pair.Value == sample.State })
	}
	return rules
}

// BenchmarkCollapse takes a request out of a Location, and out of one that has none: that of another page, and an
// authorization response.
func BenchmarkCollapse(b *testing.B) {
	type row struct{ name, location, want string }
	rows := []row{
		{"none/page", "/login?lang=de&error=credentials", ""},
		{"none/response", sample.RedirectURI + "?code=SplxlOBeZQQYbYS6WxSbIA&state=" + sample.State, ""},
	}
	for _, request := range sample.Requests {
		rows = append(rows, row{"own/" + request.Name, "https://as.example/authorize?" + request.Form, "https://as.example/authorize?" + reference},
			row{"nested/" + request.Name, request.LoginAddress(), sample.Request{Form: reference}.LoginAddress()})
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			rules := shortening()
			if got, changed := rules.URL(row.location); got != row.want || changed != (row.want != "") {
				b.Fatal(got, changed)
			}
			b.ReportAllocs()
			for b.Loop() {
				rules.URL(row.location)
			}
		})
	}
}

// BenchmarkEditPage takes the request out of a login page, and looks through a long page that has none.
func BenchmarkEditPage(b *testing.B) {
	type row struct {
		name  string
		page  []byte
		edits bool
	}
	rows := []row{{"long", sample.LongPage(), false}}
	for _, request := range sample.Requests {
		rows = append(rows, row{"login/" + request.Name, request.LoginPage(), true})
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			rules := shortening()
			edit := func(a rewrite.Attribute) (string, bool) { return rules.URL(a.Value) }
			if got, changed := rewrite.EditPage(row.page, edit); changed != row.edits || bytes.Contains(got, []byte("code_challenge")) {
				b.Fatalf("%t %.1000s", changed, got)
			}
			b.ReportAllocs()
			for b.Loop() {
				rewrite.EditPage(row.page, edit)
			}
		})
	}
}

// BenchmarkForms finds the forms of the same pages.
func BenchmarkForms(b *testing.B) {
	for _, row := range []struct {
		name string
		page []byte
		want int
	}{{"long", sample.LongPage(), 0}, {"login", sample.Requests[0].LoginPage(), 1}} {
		b.Run(row.name, func(b *testing.B) {
			if got := rewrite.Forms(row.page); len(got) != row.want {
				b.Fatal(got)
			}
			b.ReportAllocs()
			for b.Loop() {
				rewrite.Forms(row.page)
			}
		})
	}
}

// BenchmarkMetadata adds the push endpoint, and what FAPI 2.0 wants.
func BenchmarkMetadata(b *testing.B) {
	added := rewrite.MetadataPatch{PushEndpoint: pushEndpoint, AdvertiseIssuer: true}
	fapi := rewrite.MetadataPatch{PushEndpoint: pushEndpoint, RequirePAR: true, AdvertiseIssuer: true, OpensRequestObjects: []string{"PS256", "ES256", "EdDSA"},
		ResponseTypes: []string{"code"}, Never: map[string][]string{"grant_types_supported": {"implicit"}}, Only: map[string][]string{
			"code_challenge_methods_supported":                 {"S256"},
			"token_endpoint_auth_methods_supported":            {"private_key_jwt", "tls_client_auth"},
			"token_endpoint_auth_signing_alg_values_supported": {"PS256", "ES256", "EdDSA"},
			"dpop_signing_alg_values_supported":                {"PS256", "ES256", "EdDSA"},
		}}
	for _, row := range []struct {
		name  string
		patch rewrite.MetadataPatch
		want  string
	}{{"addition", added, pushEndpoint}, {"profile", fapi, `"code_challenge_methods_supported":["S256"]`}} {
		b.Run(row.name, func(b *testing.B) {
			doc := []byte(sample.Metadata)
			if got, err := rewrite.Metadata(doc, row.patch); err != nil || !bytes.Contains(got, []byte(row.want)) {
				b.Fatal(string(got), err)
			}
			b.ReportAllocs()
			for b.Loop() {
				rewrite.Metadata(doc, row.patch)
			}
		})
	}
}
