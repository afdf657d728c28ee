// Command sbom prints what a Go program was made of, as the linker has written it into the program: a software bill of materials
// in CycloneDX 1.6 (JSON). The same program gives the same text.
//
//	go run ./test/sbom -version 1.2.3 FILE
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	version := flag.String("version", "", "version of the program, which the linker does not know")
	flag.Parse()
	if *version == "" || flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: sbom -version VERSION FILE")
		os.Exit(2)
	}
	if err := run(os.Stdout, *version, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run writes the bill of materials of the program at path.
func run(w io.Writer, version, path string) error {
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(describe(info, version, sha256.Sum256(program)))
}
