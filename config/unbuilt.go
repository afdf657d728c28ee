package config

import "strings"

// missing is a setting whose effect, or a part of it, is not built yet. To be given it is an error, because a
// setting that is accepted and ignored is one that somebody relies on.
type missing struct {
	setting string
	values  string                  // the values that are missing, for people; empty means the whole setting
	built   func(value string) bool // reports whether a value has its effect; nil means that none has
}

// notBuilt is everything of that kind: who builds it deletes the line.
var notBuilt = []missing{}

func (c *checker) unbuilt() {
	effective := map[string]string{}
	for _, v := range c.cfg.Summary() {
		effective[v.Name] = v.Value
	}
	for _, m := range notBuilt {
		if !c.env.isSet(m.setting) || m.built != nil && m.built(effective[m.setting]) {
			continue
		}
		what := ""
		if m.values != "" {
			what = m.values + " "
		}
		verb := "is"
		if strings.Contains(m.values, " and ") {
			verb = "are"
		}
		c.fail(m.setting, "%s%s not built yet; unset it", what, verb)
	}
}
