package proxy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxAcceptLanguage is how many bytes of Accept-Language are read; a longer one counts as none. Browsers send some tens.
const maxAcceptLanguage = 1024

// maxLanguageRanges is how many ranges of it are read, from the first on; browsers send ten at most. Each is held against each
// other one.
const maxLanguageRanges = 32

// languageRange is what a browser says about one language, or about all it does not name.
type languageRange struct {
	tag     string // in lower case; * is every language
	quality int    // in thousandths; zero: not this one
}

// parseAcceptLanguage returns what Accept-Language says, the most wanted first (RFC 9110 §12.5.4). An element that is
// not well-formed counts as absent.
func parseAcceptLanguage(lines []string) []languageRange {
	header := strings.Join(lines, ",")
	if len(header) > maxAcceptLanguage {
		return nil
	}
	var ranges []languageRange
	for element := range strings.SplitSeq(header, ",") {
		tag, weight, weighted := strings.Cut(strings.Trim(element, " \t"), ";")
		tag = strings.TrimRight(tag, " \t")
		quality, ok := 1000, true
		if weighted {
			quality, ok = parseWeight(strings.TrimLeft(weight, " \t"))
		}
		if ok && (tag == "*" || isLanguageTag(tag)) {
			ranges = append(ranges, languageRange{strings.ToLower(tag), quality})
		}
		if len(ranges) == maxLanguageRanges {
			break
		}
	}
	slices.SortStableFunc(ranges, func(a, b languageRange) int { return cmp.Compare(b.quality, a.quality) })
	return ranges
}

// parseWeight returns the thousandths of a weight (RFC 9110 §12.4.2).
func parseWeight(weight string) (thousandths int, ok bool) {
	if len(weight) < 3 || !strings.EqualFold(weight[:2], "q=") {
		return 0, false
	}
	whole, decimals, _ := strings.Cut(weight[2:], ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 || strings.Trim(decimals, "0123456789") != "" {
		return 0, false
	}
	thousandths, _ = strconv.Atoi(whole + decimals + "000"[len(decimals):]) // digits, as was seen
	return thousandths, thousandths <= 1000
}

// isLanguageTag reports whether s has the form of a language range other than * (RFC 4647 §2.1).
func isLanguageTag(s string) bool {
	const letters, digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	allowed := letters
	for subtag := range strings.SplitSeq(s, "-") {
		if subtag == "" || len(subtag) > 8 || strings.Trim(subtag, allowed) != "" {
			return false
		}
		allowed = letters + digits
	}
	return true
}

// covers reports whether a range that is not * has the tag among its languages: de has de-ch (RFC 4647 §3.3.1).
func covers(tag, of string) bool {
	rest, begins := strings.CutPrefix(of, tag)
	return begins && (rest == "" || rest[0] == '-')
}

// broader returns the next shorter range, de for de-ch, or nothing (RFC 4647 §3.4).
func broader(tag string) string {
	i := strings.LastIndexByte(tag, '-')
	if i >= 2 && tag[i-2] == '-' {
		i -= 2 // what one letter introduces is nothing without the rest
	}
	return tag[:max(i, 0)]
}
