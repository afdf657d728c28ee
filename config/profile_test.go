package config_test

import (
	"strings"
	"testing"

	"pargate/config"
)

func TestTheProfileSetsWhatIsUnset(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"fapi2", "FAPI2"} {
		c := load(t, "PROFILE="+value)
		if c.Profile != config.ProfileFAPI2 || !c.PARRequired || c.AssertionAudience != config.AudienceIssuer || c.ResponseISS != config.ISSAdvertise || !c.MetadataPatch {
			t.Errorf("%s: %+v", value, c)
		}
	}
	c := load(t)
	if c.Profile != config.ProfileNone || c.PARRequired || c.AssertionAudience != config.AudienceRFC9126 || c.ResponseISS != config.ISSAdd {
		t.Errorf("without: %+v", c)
	}
	if got := show(t, load(t, "PROFILE=fapi2"), "PAR_REQUIRED"); got != "true" {
		t.Errorf("the summary says PAR_REQUIRED %s", got)
	}
}

func TestASettingThatContradictsTheProfileIsRefused(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"PAR_REQUIRED=false":         "is false, but PROFILE=fapi2 requires every request to be pushed; set it to true or unset it",
		"ASSERTION_AUDIENCE=rfc9126": "is rfc9126, but PROFILE=fapi2 takes client assertions for the issuer alone; set it to issuer or unset it",
		"RESPONSE_ISS=add":           "is add, but PROFILE=fapi2 adds iss to responses and says so in the metadata; set it to advertise or unset it",
		"RESPONSE_ISS=off":           "is off, but PROFILE=fapi2 adds iss to responses and says so in the metadata; set it to advertise or unset it",
		"METADATA_PATCH=false":       "is false, but PROFILE=fapi2 says in the metadata where to push, and that responses have iss; set it to true or unset it",
	} {
		name, _, _ := strings.Cut(set, "=")
		expect(t, name+" "+want, set, "PROFILE=fapi2")
		expect(t, "PARGATE_"+name+" "+strings.Replace(want, "PROFILE", "PARGATE_PROFILE", 1), "PARGATE_"+set, "PARGATE_PROFILE=fapi2")
		expect(t, "", set)
	}
	load(t, "PROFILE=fapi2", "PAR_REQUIRED=true", "ASSERTION_AUDIENCE=issuer", "RESPONSE_ISS=advertise", "METADATA_PATCH=true")
	expect(t, `PAR_TTL 10m is outside 5s to 599s`, "PROFILE=fapi2", "PAR_TTL=600s")
}

func TestAnotherProfileIsRefused(t *testing.T) {
	t.Parallel()
	expect(t, `PROFILE "fapi1" is not fapi2`, "PROFILE=fapi1")
	expect(t, "", "PROFILE=")
}

func TestEffectsAreSentencesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range config.ProfileFAPI2.Effects() {
		if e.Name == "" || seen[e.Name] || len(e.Text) < 20 || strings.HasSuffix(e.Text, ".") {
			t.Errorf("%+v", e)
		}
		seen[e.Name] = true
	}
	if len(seen) == 0 || config.ProfileNone.Effects() != nil {
		t.Errorf("%d effects, without a profile %v", len(seen), config.ProfileNone.Effects())
	}
}
