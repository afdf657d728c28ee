package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// linked is what Go's own tool says of the modules in a program.
func linked(t *testing.T, path string) (modules []string) {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), "go", "version", "-m", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^\tdep\t(\S+)\t(\S+)(?:\t(\S+))?$`).FindAllStringSubmatch(string(text), -1) {
		modules = append(modules, strings.Join(match[1:], " "))
	}
	return modules
}

func listed(d document) (modules []string) {
	for _, c := range d.Components {
		sum := ""
		if len(c.Properties) > 0 {
			sum = c.Properties[0].Value
		}
		modules = append(modules, strings.TrimSpace(c.Name+" "+c.Version+" "+sum))
	}
	return modules
}

// pargate is the program that is released, which links other modules than this test.
func pargate(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/pargate"
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "pargate/cmd/pargate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // as the release is
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return path
}

func TestEveryLinkedModuleIsListedAndNoOther(t *testing.T) {
	t.Parallel()
	path := pargate(t)
	d := describeFile(t, path)
	want := append([]string{"std " + strings.TrimPrefix(runtime.Version(), "go")}, linked(t, path)...)
	got := listed(d)
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 5 || !slices.Equal(got, want) {
		t.Errorf("listed are\n%s\nand linked\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if m := d.Metadata.Component; m.Name != "pargate" || m.Version != "1.2.3" {
		t.Errorf("it is said to be %s %s", m.Name, m.Version)
	}
}

func describeFile(t *testing.T, path string) document {
	t.Helper()
	var out strings.Builder
	if err := run(&out, "1.2.3", path); err != nil {
		t.Fatal(err)
	}
	var again strings.Builder
	if err := run(&again, "1.2.3", path); err != nil || again.String() != out.String() {
		t.Errorf("another list of the same program: %v\n%s", err, &again)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal([]byte(out.String()), &d); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	if want := []hash{{"SHA-256", hex.EncodeToString(sum[:])}}; !reflect.DeepEqual(d.Metadata.Component.Hashes, want) {
		t.Errorf("its digest is %v, not %v", d.Metadata.Component.Hashes, want)
	}
	return d
}

func TestWhatReplacesAModuleIsListed(t *testing.T) {
	t.Parallel()
	d := describe(&debug.BuildInfo{GoVersion: "go1.2.3", Main: debug.Module{Path: "pargate"}, Deps: []*debug.Module{
		{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:a", Replace: &debug.Module{Path: "example.com/Fork", Version: "v2.0.0+incompatible", Sum: "h1:b"}},
	}}, "0", [32]byte{})
	want := component{Type: "library", Ref: "pkg:golang/example.com/fork@v2.0.0%2Bincompatible", Name: "example.com/Fork", Version: "v2.0.0+incompatible",
		PURL: "pkg:golang/example.com/fork@v2.0.0%2Bincompatible", Properties: []property{{"go:sum", "h1:b"}}}
	if len(d.Components) != 2 || !reflect.DeepEqual(d.Components[1], want) {
		t.Errorf("%+v", d.Components)
	}
}

// The forms are CycloneDX's: bom-1.6.schema.json.
func TestTheDocumentHasTheFormsOfCycloneDX(t *testing.T) {
	t.Parallel()
	d := describe(&debug.BuildInfo{GoVersion: "go1.2.3", Main: debug.Module{Path: "pargate"}}, "0", sha256.Sum256(nil))
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`).MatchString(d.SerialNumber) {
		t.Errorf("serial number %s", d.SerialNumber)
	}
	if other := describe(&debug.BuildInfo{GoVersion: "go1.2.3"}, "0", sha256.Sum256([]byte{1})); other.SerialNumber == d.SerialNumber {
		t.Error("two programs have one serial number")
	}
	if d.BOMFormat != "CycloneDX" || d.SpecVersion != "1.6" || d.Version != 1 || d.Components == nil {
		t.Errorf("%+v", d)
	}
}
