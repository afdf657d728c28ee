//go:build compat

package compat

import (
	"bytes"
	"cmp"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"text/template"
)

var write = flag.Bool("write", false, "write docs/compatibility.md when every test of every server has passed")

// document is what -write writes, seen from this folder.
const document = "../../docs/compatibility.md"

// What the report has beside the columns.
const (
	sizeColumn      = "Pushed"
	byPOST          = "By POST"
	seenNatively    = "seen natively"
	changedNatively = "changed natively"
)

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

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && *write {
		if err := written.write(document); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

//go:embed compatibility.md.tmpl
var documentTemplate string

// row is what the document says of a server.
type row struct {
	Title, Version, Setup, Settings, Hidden, Text, SeenNatively, ChangedNatively string

	Notes []string
	Cells []string // by column
}

// askedRow is what the document says of the questions that a server is asked about clients.
type askedRow struct {
	Title, Setting string

	Cells []string // by column
	Notes []string
}

// write writes the document, unless a test has not told what stands in it.
func (r *report) write(file string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := []string{sizeColumn}
	for _, c := range columns {
		names = append(names, c.name)
	}
	names = append(names, byPOST)
	var rows []row
	for _, s := range servers() {
		version, err := s.version()
		if err != nil {
			return err
		}
		missing := ""
		cell := func(column string) string {
			text, known := r.cells[s.name][column]
			if !known {
				missing = column
			}
			return cmp.Or(text, "–")
		}
		row := row{
			Title: s.title, Version: version, Setup: cmp.Or(s.setup, "–"), Settings: settings(s), Notes: s.notes,
			Hidden: cell(inHiddenField), Text: cell(inText), SeenNatively: cell(seenNatively), ChangedNatively: cell(changedNatively),
		}
		for _, name := range names {
			row.Cells = append(row.Cells, cell(name))
		}
		if missing != "" {
			return fmt.Errorf("%s is not written: no test has told about %q at %s", file, missing, s.title)
		}
		rows = append(rows, row)
	}
	var asked []askedRow
	for _, s := range serversAsked() {
		row := askedRow{Title: s.title, Setting: "–", Notes: s.asked}
		if s.probeAccept != nil {
			row.Setting = "`PROBE_ACCEPT=" + strings.Join(s.probeAccept, ",") + "`"
		}
		for _, column := range delegatedColumns {
			text, known := r.cells[s.name][column]
			if !known {
				return fmt.Errorf("%s is not written: no test has told about %q at %s", file, column, s.title)
			}
			row.Cells = append(row.Cells, cmp.Or(text, "–"))
		}
		asked = append(asked, row)
	}
	parsed, err := template.New("").Parse(documentTemplate)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, map[string]any{"Rows": rows, "Columns": names, "Asked": asked, "AskedColumns": delegatedColumns}); err != nil {
		return err
	}
	return os.WriteFile(file, text.Bytes(), 0o644)
}

// settings are those of pargate that the server needs.
func settings(s *server) string {
	list := []string{"`UPSTREAM_URL`"}
	if path := strings.TrimSuffix(s.metadata, "/"); path != "" {
		list[0] += " with the path `" + path + "`"
	}
	if s.ownsHost || s.metadata == "" {
		list = append(list, "`PUBLIC_URL`")
	}
	if s.metadata == "" {
		list = append(list, "`AUTHORIZE_PATH="+s.authorize+"`", "`TOKEN_PATH="+s.token+"`")
	}
	return strings.Join(list, ", ")
}
