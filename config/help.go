package config

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Setting is one variable, as the manual sees it.
type Setting struct {
	Name    string
	Default string // what unset means, as a value; empty when Unset says it
	Unset   string // the same in words
	Group   string // everyday, endpoints, upstream, clients, store or serving
	Help    string
	Secret  bool // it does not print, and Name_FILE is read too
	field   string
}

// Settings lists every setting in the order of Config.
func Settings() []Setting {
	var all []Setting
	group := ""
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		group = cmp.Or(f.Tag.Get("group"), group)
		s := Setting{
			Name:    f.Tag.Get("env"),
			Default: f.Tag.Get("envDefault"),
			Unset:   f.Tag.Get("unset"),
			Group:   group,
			Help:    f.Tag.Get("help"),
			Secret:  f.Type == reflect.TypeFor[Secret](),
			field:   f.Name,
		}
		all = append(all, s)
	}
	return all
}

// spellings are the names under which the setting is read.
func (s Setting) spellings() []string {
	names := []string{s.Name, prefix + s.Name}
	if s.Secret {
		names = append(names, s.Name+fileSuffix, prefix+s.Name+fileSuffix)
	}
	return names
}

// variablesOfFields maps the names of Config's fields to those of the variables.
func variablesOfFields() map[string]string {
	names := map[string]string{}
	for _, s := range Settings() {
		names[s.field] = s.Name
	}
	return names
}

const helpIntro = `Settings are environment variables. Each name is also read with PARGATE_ in front,
which wins; a variable that is set to nothing counts as unset. Durations are 90s,
30m or bare seconds, sizes 64KiB or bare bytes, lists have commas or blanks.
`

// WriteHelp writes the manual of the settings for a terminal.
func WriteHelp(w io.Writer) error {
	var b strings.Builder
	b.WriteString(helpIntro)
	group := ""
	for _, s := range Settings() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(group))
		}
		name := s.Name
		if s.Secret {
			name += " or " + s.Name + fileSuffix
		}
		byDefault := s.Default
		if byDefault == "" {
			byDefault = "(" + s.Unset + ")"
		}
		fmt.Fprintf(&b, "  %-30s %s\n", name, byDefault)
		for _, line := range wrap(s.Help, 76) {
			fmt.Fprintf(&b, "      %s\n", line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMarkdownTable writes the same as a table for the README.
func WriteMarkdownTable(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| Variable | Default | What it does |\n|---|---|---|\n")
	group := ""
	for _, s := range Settings() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "| **%s** | | |\n", strings.ToUpper(group[:1])+group[1:])
		}
		name := "`" + s.Name + "`"
		if s.Secret {
			name += ", `" + s.Name + fileSuffix + "`"
		}
		byDefault := s.Unset
		if s.Default != "" {
			byDefault = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, byDefault, strings.ReplaceAll(s.Help, "|", `\|`))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap breaks a text at blanks into lines of at most width bytes, if its words allow it.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
