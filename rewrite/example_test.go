package rewrite_test

import (
	"fmt"

	"pargate/rewrite"
)

func ExampleExpand() {
	pushed := "response_type=code&client_id=web&scope=openid%20email"
	beside := "client_id=web&request_uri=urn:ietf:params:oauth:request_uri:x&scope=admin&login_verifier=7"
	query, dropped := rewrite.Expand("tenant=1", pushed, beside, func(name string) bool { return name == "login_verifier" })
	fmt.Println(query)
	fmt.Println(dropped)
	// Output:
	// tenant=1&response_type=code&client_id=web&scope=openid%20email&login_verifier=7
	// [client_id request_uri scope]
}

func ExampleMetadata() {
	doc := []byte(`{"issuer":"https://as.example","x_vendor":1e3,"signed_metadata":"ey..."}`)
	patched, err := rewrite.Metadata(doc, rewrite.MetadataPatch{PushEndpoint: "https://as.example/par"})
	fmt.Println(string(patched), err)
	// Output:
	// {"issuer":"https://as.example","x_vendor":1e3,"pushed_authorization_request_endpoint":"https://as.example/par"} <nil>
}

func ExampleResponse() {
	r, _ := rewrite.ParseResponse("https://app.example/cb?code=x&state=1")
	fmt.Println(r.State, r.LeadsTo("https://app.example/cb"))
	fmt.Println(r.WithIssuer("https://as.example"))
	// Output:
	// 1 true
	// https://app.example/cb?code=x&state=1&iss=https%3A%2F%2Fas.example <nil>
}
