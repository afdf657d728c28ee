package client

import "golang.org/x/sync/singleflight"

// flights let those who want the same at the same time wait for one of them. The zero value is ready.
type flights[V any] struct{ group singleflight.Group }

func (f *flights[V]) do(key string, find func() V) V {
	v, _, _ := f.group.Do(key, func() (any, error) { return find(), nil })
	return v.(V)
}

// start is do for callers that may stop waiting. find is not to depend on any one of them.
func (f *flights[V]) start(key string, find func() V) <-chan V {
	done := make(chan V, 1)
	go func() { done <- f.do(key, find) }()
	return done
}
