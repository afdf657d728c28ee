package client

import (
	"net/http"
	"time"
)

// Classify is the classifier by itself. The probe is one of code, refresh, revocation and introspection.
func Classify(probe int, accept []string, status int, header http.Header, body []byte) (authenticated, refusal bool, text string) {
	a := readAnswer(status, header, body, time.Time{})
	v := a.verdict(probes[probe], accept)
	return v == candidate, v == refused, a.String()
}
