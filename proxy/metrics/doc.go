// Package metrics counts what the gateway does, for Prometheus.
//
// A label is a Go type with a fixed list of values, so that no text of a client's can become one, and every series is
// there from the start, with zero: the number of series never changes. A family of series is a field of Metrics with a
// method that takes the types of its labels. Its children are looked up once, so that counting allocates nothing.
//
//	metrics.go    every family that is counted, with its name and what it means
//	reading.go    what is read when Prometheus asks: slots, pools, memory
//	labels.go     the labels and their values
//	families.go   counters and histograms by one, two and three labels
package metrics
