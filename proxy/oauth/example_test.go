package oauth_test

import (
	"fmt"

	"pargate/proxy/oauth"
)

func ExampleParseForm() {
	params, err := oauth.ParseForm("response_type=code&scope=openid+email&resource=https://b.example&resource=https://a.example&g_continue")
	fmt.Println(params.Get("scope"), err)
	for resource := range params.All("resource") {
		fmt.Println(resource)
	}
	fmt.Println(params.Encode())
	// Output:
	// openid email <nil>
	// https://b.example
	// https://a.example
	// response_type=code&scope=openid%20email&resource=https%3A%2F%2Fb.example&resource=https%3A%2F%2Fa.example&g_continue
}

func ExampleParseForm_refused() {
	// PHP would take redirect_uri[] for redirect_uri, and the last one counts there.
	_, err := oauth.ParseForm("redirect_uri=https://app.example/cb&redirect_uri[]=https://evil.example/")
	fmt.Println(err)
	// Output:
	// invalid_request: a parameter name is redirect_uri in another spelling; send it as redirect_uri
}
