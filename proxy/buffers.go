package proxy

import "sync"

// copyBuffer is how much of a response is in the gateway's hands while its client takes it, in bytes. A client that reads
// slowly holds one for as long as it is borne with.
const copyBuffer = 8 << 10

// buffers are those that responses are copied with (httputil.BufferPool). Without it every response makes its own.
type buffers struct{ free sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if kept, ok := b.free.Get().(*[copyBuffer]byte); ok {
		return kept[:]
	}
	return make([]byte, copyBuffer)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(used []byte) { b.free.Put((*[copyBuffer]byte)(used)) }
