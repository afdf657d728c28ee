package test

import (
	"testing"

	"go.uber.org/goleak"

	"pargate/pushstore"
)

func TestMain(m *testing.M) {
	pushstore.LogRedis(func(string) {}) // servers are stopped on purpose here
	// The token store of go-oauth2, one of the servers that stand behind the gateway here, cannot be closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/tidwall/buntdb.(*DB).backgroundManager"))
}
