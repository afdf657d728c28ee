package main

import (
	"slices"
	"strings"

	"pargate/config"
)

// weakening are the settings of Go's own that take protection away, and their values that do; none means every value.
var weakening = map[string][]string{
	"httplaxcontentlength": {"1"}, "urlstrictcolons": {"0"}, "httpmuxgo121": {"1"}, "urlmaxqueryparams": nil, "httpcookiemaxnum": nil,
	"tls10server": {"1"}, "tlsrsakex": {"1"}, "tls3des": {"1"}, "tlssha1": {"1"}, "tlsunsafeekm": {"1"}, "tlsmaxrsasize": nil,
	"rsa1024min": {"0"}, "x509negativeserial": {"1"}, "x509sha1": {"1"}, "x509rsacrt": {"0"}, "multipartmaxparts": nil, "multipartmaxheaders": nil,
}

// warnOfGODEBUG returns a warning for each setting in GODEBUG that weakens what the gateway relies on.
func warnOfGODEBUG(environ []string) (warnings []config.Warning) {
	for _, variable := range environ {
		value, found := strings.CutPrefix(variable, "GODEBUG=")
		if !found {
			continue
		}
		for setting := range strings.SplitSeq(value, ",") {
			name, chosen, _ := strings.Cut(strings.TrimSpace(setting), "=")
			if values, known := weakening[name]; known && (values == nil || slices.Contains(values, chosen)) {
				warnings = append(warnings, config.Warning{Name: "GODEBUG", Text: name + "=" + chosen + " takes away protection that pargate relies on; unset it"})
			}
		}
	}
	return warnings
}
