package config

import (
	"fmt"
	"net/url"
	"reflect"
	"time"
)

// Value is an effective setting as it may be logged.
type Value struct {
	Name  string
	Value string // "unset" when there is neither a value nor a default; never a secret
}

const unset = "unset"

// Summary lists the effective configuration in the order of the settings, without secrets and without the user info
// of URLs.
func (c *Config) Summary() []Value {
	fields := reflect.ValueOf(c).Elem()
	var all []Value
	for _, s := range Settings() {
		all = append(all, Value{s.Name, show(fields.FieldByName(s.field).Interface())})
	}
	return all
}

func show(value any) string {
	text := ""
	switch v := value.(type) {
	case Secret:
		if v.IsSet() {
			text = redacted
		}
	case *url.URL:
		if v != nil {
			bare := *v
			bare.User = nil
			text = bare.String()
		}
	case time.Duration:
		text = brief(v)
	default:
		text = fmt.Sprint(v)
	}
	if text == "" {
		return unset
	}
	return text
}
