package bench

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"pargate/test/redisserver"
)

// profiled are what a gateway is asked while it is profiled: what it does all day, and as often. The way in which clients
// authenticate differs between sites.
var profiled = []string{push, firstVisit, authorize, authorizeCarried, passSmall, page, metadataDocument, pushHashed, pushRSA, pushEC}

// profileTime is for how long the program is looked at. Requests are made meanwhile, too.
const profileTime = 20 * time.Second

// TestTheProgramIsProfiled writes a CPU profile of the program, as go build takes it for profile-guided optimization.
func TestTheProgramIsProfiled(t *testing.T) {
	if *profile == "" {
		return // it shows nothing; -profile wants it
	}
	s := &site{redis: redisserver.Start(t), upstream: startLegacy(t), dir: t.TempDir()}
	at := freeAddr(t)
	c := s.startGateway(t, gateway, build(t, s.dir, "pargate/cmd/pargate", "-tags", "profile", "-pgo", "off"), "PROFILE_ADDR="+at)
	done := make(chan error, 1)
	go func() { done <- fetchProfile("http://"+at+"/debug/pprof/profile?seconds=20", *profile) }()
	wanted := regexp.MustCompile(*only)
	for end := time.Now().Add(profileTime); time.Now().Before(end); {
		for _, scenario := range scenarios {
			if !slices.Contains(profiled, scenario.name) || !wanted.MatchString(scenario.name) {
				continue
			}
			if _, err := c.turn(cell{scenario.name, 32, 0}, min(scenario.turn, 2000)); err != nil {
				t.Fatalf("%s: %v", scenario.name, err)
			}
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func fetchProfile(from, file string) error {
	res, err := http.Get(from)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, res.Body); err != nil {
		return err
	}
	return out.Close()
}
