package deploy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"sigs.k8s.io/yaml"
)

const compose = "../../deploy/compose"

// composition reads a compose file as docker compose does: against the schema of the specification, in which a member that it does
// not know is an error, and with every name that stands there resolved.
func composition(ctx context.Context, dir string, text []byte) (*types.Project, error) {
	return loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: text}},
	})
}

func project(t *testing.T) *types.Project {
	t.Helper()
	dir, err := filepath.Abs(compose)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := composition(t.Context(), dir, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestACompositionWithASlipIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"name: a\nservices: {b: {image: c, read_olny: true}}",
		"name: a\nservices: {b: {image: c, networks: [d]}}",
		"name: a\nservices: {b: {image: c, secrets: [d]}}",
	} {
		if _, err := composition(t.Context(), t.TempDir(), []byte(text)); err == nil {
			t.Errorf("accepted:\n%s", text)
		}
	}
}

func TestServicesMayDoNothingThatTheyNeedNot(t *testing.T) {
	t.Parallel()
	for name, s := range project(t).Services {
		if !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may do more than it must", name)
		}
		if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || strings.Trim(user, "0123456789") != "" {
			t.Errorf("%s runs as %q, which may be root", name, s.User)
		}
		if len(s.Volumes) > 0 {
			t.Errorf("%s keeps something", name)
		}
		if s.Build == nil && !tag.MatchString(s.Image) {
			t.Errorf("%s: the image %s has no version", name, s.Image)
		}
		for variable, value := range s.Environment {
			if value == nil {
				t.Errorf("%s of %s comes from whoever starts it", variable, name)
				continue
			}
			checkInPlain(t, variable, *value)
		}
	}
}

func TestPargateIsTheOnlyWayIn(t *testing.T) {
	t.Parallel()
	p := project(t)
	for name, s := range p.Services {
		if name == "pargate" {
			if len(s.Ports) != 1 || s.Ports[0].Target != 8080 || s.Ports[0].HostIP != "127.0.0.1" {
				t.Errorf("pargate publishes %+v", s.Ports)
			}
			continue
		}
		if len(s.Ports) > 0 || s.NetworkMode != "" {
			t.Errorf("%s can be reached around pargate", name)
		}
		for network := range s.Networks {
			if !p.Networks[network].Internal {
				t.Errorf("%s is in the network %s, which leads outside", name, network)
			}
		}
	}
	for network := range p.Services["dex"].Networks {
		if _, shared := p.Services["redis"].Networks[network]; shared {
			t.Errorf("the server reaches Redis in %s", network)
		}
	}
}

func TestSettingsOfTheServiceAreSettings(t *testing.T) {
	t.Parallel()
	p := project(t)
	s := p.Services["pargate"]
	values := map[string]string{}
	for name, value := range s.Environment {
		values[name] = *value
	}
	cfg := settings(t, values)
	if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < cfg.ShutdownDelay+cfg.ShutdownTimeout+5*time.Second {
		t.Error("pargate is killed before its shutdown is over")
	}
	for name, value := range values {
		if strings.HasSuffix(name, "_FILE") && !slices.ContainsFunc(s.Secrets, func(s types.ServiceSecretConfig) bool { return "/run/secrets/"+s.Source == value }) {
			t.Errorf("no secret brings %s", value)
		}
	}
	for name, secret := range p.Secrets {
		if filepath.Dir(secret.File) != filepath.Join(filepath.Dir(p.WorkingDir), "secrets") {
			t.Errorf("the secret %s is not a file that secrets.sh makes", name)
		}
	}

	var dex struct {
		Issuer string
		Web    struct{ HTTP string }
	}
	text, err := os.ReadFile(filepath.Join(compose, "dex.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &dex); err != nil {
		t.Fatal(err)
	}
	// The issuer is where browsers reach pargate, and the server where pargate looks for it, under the same path.
	if published := "http://127.0.0.1:" + s.Ports[0].Published; dex.Issuer != published+cfg.UpstreamURL.Path {
		t.Errorf("the issuer is %s, and pargate is at %s with the path %s", dex.Issuer, published, cfg.UpstreamURL.Path)
	}
	if cfg.UpstreamURL.Hostname() != "dex" || dex.Web.HTTP != "0.0.0.0:"+cfg.UpstreamURL.Port() {
		t.Errorf("the server listens on %s, and pargate looks for it at %s", dex.Web.HTTP, cfg.UpstreamURL)
	}
}
