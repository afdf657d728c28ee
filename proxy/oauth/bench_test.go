package oauth_test

import (
	"testing"

	"pargate/proxy/oauth"
	"pargate/test/sample"
)

// BenchmarkParseForm is the strict decoding of a push.
func BenchmarkParseForm(b *testing.B) {
	for _, request := range sample.Requests {
		b.Run(request.Name, func(b *testing.B) {
			params, err := oauth.ParseForm(request.Form)
			if err != nil || len(params) < sample.Params || params.Get(oauth.ParamState) != sample.State {
				b.Fatal(params, err)
			}
			b.ReportAllocs()
			for b.Loop() {
				oauth.ParseForm(request.Form)
			}
		})
	}
}

// BenchmarkEncode is what is stored of a push.
func BenchmarkEncode(b *testing.B) {
	for _, request := range sample.Requests {
		b.Run(request.Name, func(b *testing.B) {
			params, err := oauth.ParseForm(request.Form)
			if err != nil {
				b.Fatal(err)
			}
			if again, err := oauth.ParseForm(params.Encode()); err != nil || len(again) != len(params) {
				b.Fatal(again, err)
			}
			b.ReportAllocs()
			for b.Loop() {
				params.Encode()
			}
		})
	}
}
