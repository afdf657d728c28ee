package test

import (
	"testing"

	"go.uber.org/goleak"

	"pargate/pushstore"
)

func TestMain(m *testing.M) {
	pushstore.LogRedis(func(string) {}) // servers are stopped on purpose here
	goleak.VerifyTestMain(m)
}
