package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pargate/config"
)

// Where a refusal is told the setting that would change it, and the name of a setting.
var (
	namesSetting = regexp.MustCompile(`(?:hangedBy\(|Setting(?::| =) |requiredOfOne = )"([^"]*)"`)
	settingName  = regexp.MustCompile(`\b[A-Z]{2,}(_[A-Z]+)*\b`)
)

// The settings that refusals name in the log exist. The gateway's packages know no settings, only their names.
func TestRefusalsNameSettingsThatExist(t *testing.T) {
	t.Parallel()
	var known []string
	for _, s := range config.Settings() {
		known = append(known, s.Name)
	}
	found := 0
	err := filepath.WalkDir("../../proxy", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, place := range namesSetting.FindAllSubmatch(source, -1) {
			found++
			for _, name := range settingName.FindAllString(string(place[1]), -1) {
				if !slices.Contains(known, name) {
					t.Errorf("%s names %s, which is no setting", path, name)
				}
			}
		}
		return err
	})
	if err != nil || found < 30 {
		t.Errorf("%d refusals name settings, %v", found, err)
	}
}
