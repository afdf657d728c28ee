package deploy

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"pargate/config"
)

// environment is what a container's variables are, from the manifest and from the ConfigMaps that it names.
func environment(t *testing.T, m *manifests, c *core.Container) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil || m.config(from.ConfigMapRef.Name) == nil {
			t.Fatalf("%s: variables come from something that is not a ConfigMap of these files", c.Name)
		}
		for name, value := range m.config(from.ConfigMapRef.Name).Data {
			values[name] = value
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			values[e.Name] = e.Value
		}
	}
	return values
}

func TestPodsMayDoNothingThatTheyNeedNot(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *manifests, _ *apps.Deployment) {
		for _, d := range m.deployments {
			pod := d.Spec.Template.Spec
			if token := pod.AutomountServiceAccountToken; token == nil || *token {
				t.Errorf("%s gets a token for the API", d.Name)
			}
			if links := pod.EnableServiceLinks; links == nil || *links {
				t.Errorf("%s gets variables for every service", d.Name)
			}
			if pod.HostNetwork || pod.HostPID || pod.HostIPC {
				t.Errorf("%s shares something with its node", d.Name)
			}
			if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s may run as root, or without the runtime's seccomp profile", d.Name)
			}
			for _, v := range pod.Volumes {
				if v.ConfigMap == nil && v.Secret == nil {
					t.Errorf("%s has a volume %s that could be written to", d.Name, v.Name)
				}
			}
			for _, c := range containers(pod) {
				checkContainer(t, d.Name+"/"+c.Name, pod, c)
			}
		}
	})
}

func checkContainer(t *testing.T, name string, pod core.PodSpec, c core.Container) {
	t.Helper()
	s := c.SecurityContext
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
		s.Privileged != nil || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
		t.Errorf("%s may do more than it must", name)
		return
	}
	user := s.RunAsUser
	if user == nil {
		user = pod.SecurityContext.RunAsUser
	}
	// The image may name its user, and Kubernetes cannot tell whether a name is root.
	if user == nil || *user == 0 {
		t.Errorf("%s has no number for its user", name)
	}
	if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("%s has no bound on its memory, or asks for nothing", name)
	}
	if !tag.MatchString(c.Image) {
		t.Errorf("%s: the image %s has no version", name, c.Image)
	}
}

func TestSettingsOfPodsAreSettings(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *manifests, d *apps.Deployment) {
		pod := d.Spec.Template.Spec
		c := gateway(pod)
		if c.Image != "pargate:"+makefileVersion(t) {
			t.Errorf("%s is not the image of this release", c.Image)
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil {
				t.Errorf("%s comes from elsewhere and is not looked at", e.Name)
			}
		}
		values := environment(t, m, c)
		cfg := settings(t, values)
		if !cfg.RedisURL.IsSet() {
			t.Error("without Redis the push and the browser of one login must meet in one pod")
		}
		for name, value := range values {
			if strings.HasSuffix(name, "_FILE") {
				checkMounted(t, pod, c, value)
			}
		}
		pointsAt(t, m, values["REDIS_URL"])
		if d.Name == "login" {
			if u, err := url.Parse(values["UPSTREAM_URL"]); err != nil || u.Hostname() != "127.0.0.1" {
				t.Errorf("a sidecar's authorization server is at %s", u)
			}
		} else {
			pointsAt(t, m, values["UPSTREAM_URL"])
		}
	})
}

// checkMounted looks for the volume that brings a file, read-only, and from a Secret.
func checkMounted(t *testing.T, pod core.PodSpec, c *core.Container, file string) {
	t.Helper()
	for _, mount := range c.VolumeMounts {
		if mount.MountPath != path.Dir(file) || !mount.ReadOnly {
			continue
		}
		for _, v := range pod.Volumes {
			if v.Name == mount.Name && v.Secret != nil && slices.ContainsFunc(v.Secret.Items, func(i core.KeyToPath) bool { return i.Path == path.Base(file) }) {
				return
			}
		}
	}
	t.Errorf("no Secret brings %s", file)
}

// pointsAt complains when an address is not that of a Service of these files.
func pointsAt(t *testing.T, m *manifests, address string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s := m.service(u.Hostname())
	if s == nil || !slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool { return fmt.Sprint(p.Port) == u.Port() }) {
		t.Errorf("%s leads to no Service", address)
	}
}

func TestSecretsComeFromSecrets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *manifests, _ *apps.Deployment) {
		for _, d := range m.deployments {
			for _, c := range containers(d.Spec.Template.Spec) {
				for name, value := range environment(t, m, &c) {
					checkInPlain(t, name, value)
				}
				for _, e := range c.Env {
					if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef == nil {
						t.Errorf("%s of %s comes from no Secret", e.Name, c.Name)
					}
				}
			}
		}
	})
}

// Every key of a Secret that a pod needs is in the command of docs/kubernetes.md that makes it.
func TestTheDocumentedCommandsMakeEverySecret(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := strings.ReplaceAll(string(text), "\\\n", "")
	made := func(t *testing.T, secret, key string) {
		t.Helper()
		command := regexp.MustCompile(`(?m)^kubectl create secret generic ` + secret + ` .*--from-(file|literal)=` + key + `=`)
		if !command.MatchString(documented) {
			t.Errorf("no command makes %s of the Secret %s", key, secret)
		}
	}
	each(t, func(t *testing.T, m *manifests, _ *apps.Deployment) {
		for _, d := range m.deployments {
			for _, v := range d.Spec.Template.Spec.Volumes {
				if v.Secret == nil {
					continue
				}
				for _, item := range v.Secret.Items {
					made(t, v.Secret.SecretName, item.Key)
				}
			}
			for _, c := range containers(d.Spec.Template.Spec) {
				for _, e := range c.Env {
					if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
						made(t, e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key)
					}
				}
			}
		}
	})
}

func TestProbesAskWhatTheyShould(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *manifests, d *apps.Deployment) {
		c := gateway(d.Spec.Template.Spec)
		for name, probe := range map[string]struct {
			*core.Probe
			path string
		}{
			// A sidecar's server starts when the startup probe has succeeded: readiness would wait for ever.
			"startup":   {c.StartupProbe, "/livez"},
			"liveness":  {c.LivenessProbe, "/livez"},
			"readiness": {c.ReadinessProbe, "/readyz"},
		} {
			if probe.Probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != probe.path || probe.HTTPGet.Port != intstr.FromString("admin") {
				t.Errorf("the %s probe does not ask for %s at the admin port", name, probe.path)
			}
		}
		if s := c.StartupProbe; s.PeriodSeconds*s.FailureThreshold < 10 {
			t.Errorf("the program has %d s to start", s.PeriodSeconds*s.FailureThreshold)
		}
		cfg := settings(t, environment(t, m, c))
		for name, address := range map[string]config.Addr{"http": cfg.ListenAddr, "admin": cfg.AdminAddr} {
			if number, ok := port(d.Spec.Template.Spec, intstr.FromString(name)); !ok || fmt.Sprint(":", number) != string(address) {
				t.Errorf("the port %s is %d, and pargate listens on %s", name, number, address)
			}
		}
		for _, other := range m.deployments {
			for _, c := range containers(other.Spec.Template.Spec) {
				for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
					if probe != nil && probe.HTTPGet != nil && !slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name == probe.HTTPGet.Port.StrVal }) {
						t.Errorf("%s has no port %s to be probed at", c.Name, probe.HTTPGet.Port.StrVal)
					}
				}
			}
		}
	})
}

// port returns the number of a pod's port.
func port(pod core.PodSpec, which intstr.IntOrString) (number int32, ok bool) {
	for _, c := range containers(pod) {
		for _, p := range c.Ports {
			if p.Name == which.StrVal && which.Type == intstr.String || p.ContainerPort == which.IntVal && which.Type == intstr.Int {
				return p.ContainerPort, true
			}
		}
	}
	return 0, false
}

func TestPodsHaveTheTimeToEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *manifests, d *apps.Deployment) {
		pod := d.Spec.Template.Spec
		cfg := settings(t, environment(t, m, gateway(pod)))
		needed := cfg.ShutdownDelay + cfg.ShutdownTimeout
		var sleep time.Duration
		if len(pod.InitContainers) > 0 {
			// The server ends first: it must not before the cluster has taken the pod out of the Service.
			hook := pod.Containers[0].Lifecycle
			if hook == nil || hook.PreStop == nil || hook.PreStop.Sleep == nil {
				t.Fatal("the server ends while requests still come")
			}
			sleep = time.Duration(hook.PreStop.Sleep.Seconds) * time.Second
			needed += sleep + 5*time.Second
		}
		if cfg.ShutdownDelay+sleep < 5*time.Second {
			t.Errorf("requests come for longer than %v after the end has begun", cfg.ShutdownDelay+sleep)
		}
		if grace := pod.TerminationGracePeriodSeconds; grace == nil || time.Duration(*grace)*time.Second < needed+5*time.Second {
			t.Errorf("the pod is killed before the %v that it may take, and five seconds", needed)
		}
	})
}

func TestSelectorsFindTheirPods(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *manifests, _ *apps.Deployment) {
		for _, d := range m.deployments {
			own := d.Spec.Template.Labels
			if !selects(t, d.Spec.Selector, own) {
				t.Errorf("the deployment %s does not find its own pods", d.Name)
			}
			for _, other := range m.deployments {
				if other != d && selects(t, d.Spec.Selector, other.Spec.Template.Labels) {
					t.Errorf("the deployment %s takes the pods of %s for its own", d.Name, other.Name)
				}
			}
			for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
				if !selects(t, spread.LabelSelector, own) {
					t.Errorf("the deployment %s spreads other pods than its own", d.Name)
				}
			}
		}
		for _, s := range m.services {
			pod := selected(t, m, &meta.LabelSelector{MatchLabels: s.Spec.Selector})
			if pod == nil {
				t.Errorf("the service %s leads to no pod, or to those of two deployments", s.Name)
				continue
			}
			for _, p := range s.Spec.Ports {
				if _, ok := port(pod.Spec.Template.Spec, p.TargetPort); !ok {
					t.Errorf("the service %s leads to a port %v that is not there", s.Name, p.TargetPort)
				}
				if p.TargetPort == intstr.FromString("admin") || p.TargetPort == intstr.FromString("telemetry") {
					t.Errorf("the service %s leads to the port %v", s.Name, p.TargetPort)
				}
			}
		}
		for _, b := range m.budgets {
			if selected(t, m, b.Spec.Selector) == nil {
				t.Errorf("the budget %s is for no pod", b.Name)
			}
		}
		for _, p := range m.policies {
			if selected(t, m, &p.Spec.PodSelector) == nil {
				t.Errorf("the policy %s is for no pod", p.Name)
			}
		}
	})
}

// selected returns the only deployment whose pods a selector finds, or nil.
func selected(t *testing.T, m *manifests, s *meta.LabelSelector) *apps.Deployment {
	t.Helper()
	var found []*apps.Deployment
	for _, d := range m.deployments {
		if selects(t, s, d.Spec.Template.Labels) {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

func selects(t *testing.T, s *meta.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(labels.Set(of))
}

func TestTheEdgeSurvivesTheLossOfANode(t *testing.T) {
	t.Parallel()
	m := read(t, "redis.yaml", "edge.yaml")
	d := m.deployment(t, "pargate")
	if d.Spec.Replicas == nil || *d.Spec.Replicas < 2 {
		t.Error("one replica")
	}
	if update := d.Spec.Strategy.RollingUpdate; update == nil || update.MaxUnavailable.IntValue() != 0 {
		t.Error("an update takes replicas away before there are new ones")
	}
	if len(m.budgets) != 1 || m.budgets[0].Spec.MinAvailable.IntValue() < 1 || m.budgets[0].Spec.MinAvailable.IntValue() >= int(*d.Spec.Replicas) {
		t.Error("the budget lets every replica be taken away, or none")
	}
	if len(d.Spec.Template.Spec.TopologySpreadConstraints) == 0 {
		t.Error("all replicas may run on one node")
	}
}

func TestTheSidecarIsNativeAndItsServerUnreachable(t *testing.T) {
	t.Parallel()
	m := read(t, "redis.yaml", "sidecar.yaml")
	pod := m.deployment(t, "login").Spec.Template.Spec
	if len(pod.InitContainers) != 1 || pod.InitContainers[0].Name != "pargate" || pod.InitContainers[0].RestartPolicy == nil ||
		*pod.InitContainers[0].RestartPolicy != core.ContainerRestartPolicyAlways {
		t.Error("pargate does not start before the server and end after it")
	}
	var dex struct{ Web struct{ HTTP string } }
	if err := yaml.Unmarshal([]byte(m.config("login").Data["dex.yaml"]), &dex); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(environment(t, m, gateway(pod))["UPSTREAM_URL"])
	if err != nil || dex.Web.HTTP != u.Host {
		t.Errorf("the server listens on %s, and pargate looks for it at %s", dex.Web.HTTP, u)
	}
}
