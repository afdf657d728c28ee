package client

// hidden holds a value that no verb of fmt shows. It is a function, because fmt follows a pointer for a verb that
// does not fit it (%s), and calls no method of what an unexported field holds. Nil holds nothing.
type hidden[T any] func() T

func hide[T any](value T) hidden[T] { return func() T { return value } }

// value returns what is held, or the zero value.
func (h hidden[T]) value() (value T) {
	if h != nil {
		value = h()
	}
	return value
}
