package config

import (
	"fmt"
	"io"
)

const redacted = "[redacted]"

// Secret is a value that does not print: every verb of fmt, JSON and text encodings write "[redacted]". The zero
// Secret is unset.
//
// It is a pointer inside, because fmt reaches unexported fields without calling their methods: a struct that keeps a
// Config in such a field would otherwise print the value.
type Secret struct {
	value *string
	file  string
}

// NewSecret returns a Secret of value; an empty one is unset.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the value; empty means unset.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// File returns the path that the value was read from; empty means that it stood in the environment itself.
func (s Secret) File() string { return s.file }

// IsSet reports whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// String returns "[redacted]", also for an unset Secret.
func (s Secret) String() string { return redacted }

// Format writes "[redacted]" whatever the verb.
func (s Secret) Format(state fmt.State, _ rune) { io.WriteString(state, redacted) }

// MarshalText returns "[redacted]"; encoding/json uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes every text as it is.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
