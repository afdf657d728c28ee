//go:build compat

package compat

import (
	"fmt"
	"sync"
)

// sizeColumn is how big the pushed request was.
const sizeColumn = "pushed"

// report is what the tests saw, by server and column.
type report struct {
	mu    sync.Mutex
	cells map[string]map[string]string
}

var written = &report{cells: map[string]map[string]string{}}

func (r *report) set(server, column, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cells[server] == nil {
		r.cells[server] = map[string]string{}
	}
	r.cells[server][column] = text
}

func kilobytes(n int) string { return fmt.Sprintf("%.1f KB", float64(n)/1000) }
