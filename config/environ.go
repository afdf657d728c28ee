package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
)

const (
	prefix     = "PARGATE_" // every name is accepted with it too
	fileSuffix = "_FILE"    // the twin of a secret, which names a file

	maxSecretFile = 64 << 10 // far above any password or URL; a wrong path must not fill the memory
)

// environment is what the variables say, before any of it is understood.
type environment struct {
	all     map[string]string // every variable that is set to more than blanks
	values  map[string]string // by setting: the value that counts
	written map[string]string // by setting: the name under which that value was found
	files   map[string]string // by setting: the file that it was read from
}

// readEnviron finds the values of the settings, but not those of secrets that lie in files.
func readEnviron(environ []string, settings []Setting) environment {
	e := environment{all: map[string]string{}, values: map[string]string{}, written: map[string]string{}, files: map[string]string{}}
	for _, pair := range environ {
		// Set to nothing equals unset, everywhere: compose files and charts write X=${X:-}.
		if name, value, _ := strings.Cut(pair, "="); name != "" && strings.TrimSpace(value) != "" {
			e.all[name] = value
		}
	}
	for _, s := range settings {
		if name, value := e.pick(s.Name); name != "" {
			if !s.Secret {
				value = strings.TrimSpace(value)
			}
			e.values[s.Name], e.written[s.Name] = value, name
		}
	}
	return e
}

// pick returns the value of a variable and the name under which it was set; an empty name means that it was not.
func (e environment) pick(name string) (written, value string) {
	for _, n := range []string{prefix + name, name} {
		if v, ok := e.all[n]; ok {
			return n, v
		}
	}
	return "", ""
}

// isSet reports whether the setting was given, in whatever way.
func (e environment) isSet(setting string) bool {
	return e.written[setting] != ""
}

// name is what the operator called the setting.
func (e environment) name(setting string) string {
	if n := e.written[setting]; n != "" {
		return n
	}
	return setting
}

// secrets reads the files that the _FILE twins name.
func (c *checker) secrets(settings []Setting) {
	for _, s := range settings {
		file, path := c.env.pick(s.Name + fileSuffix)
		if !s.Secret || file == "" {
			continue
		}
		if c.env.isSet(s.Name) {
			c.fail(s.Name, "and %s are both set; keep one", file)
			continue
		}
		c.env.written[s.Name] = file
		path = strings.TrimSpace(path)
		value, err := readSecret(path)
		if err != nil {
			c.fail(s.Name, "%v", err)
			continue
		}
		c.env.values[s.Name], c.env.files[s.Name] = value, path
	}
}

// rememberFiles tells each secret which file it is from.
func (c *checker) rememberFiles(settings []Setting) {
	fields := reflect.ValueOf(c.cfg).Elem()
	for _, s := range settings {
		if path := c.env.files[s.Name]; path != "" {
			fields.FieldByName(s.field).Addr().Interface().(*Secret).file = path
		}
	}
}

// readSecret reads a file and trims the line end that editors and echo leave there. Its errors name the path and
// never hold what the file holds.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", unreadable(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return "", unreadable(path, err)
	}
	if len(data) > maxSecretFile {
		return "", fmt.Errorf("%q holds more than %v, which is no secret", path, Bytes(maxSecretFile))
	}
	value := strings.TrimRight(string(data), "\r\n")
	if value == "" {
		return "", fmt.Errorf("%q is empty", path)
	}
	return value, nil
}

// checkFile reports why a file cannot be used; it looks, and reads nothing of it.
func checkFile(path string) error {
	// Before opening: opening a pipe that nobody writes to never returns.
	info, err := os.Stat(path)
	if err != nil {
		return unreadable(path, err)
	}
	if info.IsDir() {
		return fmt.Errorf("%q is a directory, not a file", path)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return unreadable(path, err)
	}
	return f.Close()
}

// unreadable says the reason after the path, not "open" or "stat" before it.
func unreadable(path string, err error) error {
	var reason *os.PathError
	if errors.As(err, &reason) {
		err = reason.Err
	}
	return fmt.Errorf("%q cannot be read: %w", path, err)
}
