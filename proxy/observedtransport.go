package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"pargate/proxy/metrics"
)

// observedTransport measures how long the upstream takes to answer, and notes whether it does.
type observedTransport struct {
	next    http.RoundTripper
	metrics *metrics.Metrics
	asked   func(*http.Request) metrics.Asked // what for
}

// RoundTrip implements http.RoundTripper.
func (o observedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	res, err := o.next.RoundTrip(r)
	code := metrics.NoAnswer
	if err == nil {
		code = metrics.CodeOf(res.StatusCode)
	}
	o.metrics.UpstreamTimes.Observe(o.asked(r), code, time.Since(start))
	switch {
	case err == nil:
		o.metrics.UpstreamAnswers(true)
	case !errors.Is(r.Context().Err(), context.Canceled): // nobody has gone away
		o.metrics.UpstreamAnswers(false)
	}
	return res, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (o observedTransport) CloseIdleConnections() {
	if c, ok := o.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// askedFor says what a request that is forwarded is for.
func askedFor(r *http.Request) metrics.Asked {
	switch p := exchangeOf(r).place; {
	case p.protected():
		return metrics.AskedAuthorize
	case p == atExempt:
		return metrics.AskedToken
	}
	return metrics.AskedOther
}

// askedAs says the same of every request.
func askedAs(what metrics.Asked) func(*http.Request) metrics.Asked {
	return func(*http.Request) metrics.Asked { return what }
}
