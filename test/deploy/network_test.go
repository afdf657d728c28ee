package deploy

import (
	"slices"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// peer is where a connection comes from: a pod of the same namespace as everything else, or one of another.
type peer struct {
	labels    map[string]string
	namespace map[string]string // its labels; nil means the same namespace
}

var (
	stranger = peer{labels: map[string]string{"app.kubernetes.io/name": "stranger"}}
	browser  = peer{labels: map[string]string{"app.kubernetes.io/name": "ingress"}, namespace: map[string]string{core.LabelMetadataName: "ingress"}}
	metrics  = peer{labels: map[string]string{"app.kubernetes.io/name": "prometheus"}, namespace: map[string]string{core.LabelMetadataName: "monitoring"}}
)

func podOf(d *apps.Deployment) peer { return peer{labels: d.Spec.Template.Labels} }

// reaches reports whether the policies let a connection to a numbered port of a deployment's pods in. As in the API: pods that no
// policy is for take everything, others what one of their policies lets in.
func (m *manifests) reaches(t *testing.T, from peer, to *apps.Deployment, number int32) bool {
	t.Helper()
	isolated := false
	for _, p := range m.policies {
		if !slices.Contains(p.Spec.PolicyTypes, networking.PolicyTypeIngress) || !selects(t, &p.Spec.PodSelector, to.Spec.Template.Labels) {
			continue
		}
		isolated = true
		for _, rule := range p.Spec.Ingress {
			comes := len(rule.From) == 0 || slices.ContainsFunc(rule.From, func(p networking.NetworkPolicyPeer) bool { return comesFrom(t, from, p) })
			opens := len(rule.Ports) == 0 || slices.ContainsFunc(rule.Ports, func(p networking.NetworkPolicyPort) bool { return opens(t, p, to.Spec.Template.Spec, number) })
			if comes && opens {
				return true
			}
		}
	}
	return !isolated
}

func comesFrom(t *testing.T, from peer, p networking.NetworkPolicyPeer) bool {
	t.Helper()
	if p.IPBlock != nil {
		t.Fatal("a policy with addresses is not understood here")
	}
	if p.NamespaceSelector == nil && from.namespace != nil || p.NamespaceSelector != nil && !selects(t, p.NamespaceSelector, from.namespace) {
		return false
	}
	return p.PodSelector == nil || selects(t, p.PodSelector, from.labels)
}

func opens(t *testing.T, p networking.NetworkPolicyPort, pod core.PodSpec, number int32) bool {
	t.Helper()
	if p.EndPort != nil || p.Protocol != nil && *p.Protocol != core.ProtocolTCP {
		t.Fatal("a policy with ranges or other protocols is not understood here")
	}
	if p.Port == nil {
		return true
	}
	if p.Port.Type == intstr.Int {
		return p.Port.IntVal == number
	}
	named, ok := port(pod, *p.Port)
	if !ok {
		t.Errorf("a policy names a port %s that no container has", p.Port.StrVal)
	}
	return named == number
}

// way is a connection that somebody tries.
type way struct {
	who  string
	from peer
	to   string
	port int32
	open bool
}

func TestThereIsNoWayAroundPargate(t *testing.T) {
	t.Parallel()
	t.Run("edge", func(t *testing.T) {
		t.Parallel()
		m := read(t, "redis.yaml", "edge.yaml")
		pargate, dex, redis := podOf(m.deployment(t, "pargate")), podOf(m.deployment(t, "dex")), podOf(m.deployment(t, "redis"))
		try(t, m, []way{
			{"browsers", browser, "pargate", 8080, true},
			{"pargate", pargate, "dex", 5556, true},
			{"pargate", pargate, "redis", 6379, true},
			{"metrics", metrics, "pargate", 8081, true},
			{"browsers", browser, "dex", 5556, false},
			{"a stranger", stranger, "dex", 5556, false},
			{"a stranger", stranger, "dex", 5558, false},
			{"redis", redis, "dex", 5556, false},
			{"another namespace's pargate", peer{pargate.labels, map[string]string{core.LabelMetadataName: "other"}}, "dex", 5556, false},
			{"browsers", browser, "pargate", 8081, false},
			{"a stranger", stranger, "pargate", 8081, false},
			{"the server", dex, "redis", 6379, false},
			{"a stranger", stranger, "redis", 6379, false},
		})
	})
	t.Run("sidecar", func(t *testing.T) {
		t.Parallel()
		m := read(t, "redis.yaml", "sidecar.yaml")
		login := podOf(m.deployment(t, "login"))
		try(t, m, []way{
			{"browsers", browser, "login", 8080, true},
			{"pargate", login, "redis", 6379, true},
			{"metrics", metrics, "login", 8081, true},
			{"browsers", browser, "login", 5556, false},
			{"browsers", browser, "login", 5558, false},
			{"a stranger", stranger, "login", 5556, false},
			{"another pod of the same", login, "login", 5556, false},
			{"a stranger", stranger, "login", 8081, false},
			{"a stranger", stranger, "redis", 6379, false},
		})
	})
}

// What leads in is for whoever applies the files to say: an Ingress to pargate's Service.
func TestNothingLeadsInFromOutsideOfTheCluster(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *manifests, _ *apps.Deployment) {
		for _, s := range m.services {
			if s.Spec.Type != "" && s.Spec.Type != core.ServiceTypeClusterIP || len(s.Spec.ExternalIPs) > 0 {
				t.Errorf("the service %s can be reached from outside", s.Name)
			}
		}
		for _, d := range m.deployments {
			for _, c := range containers(d.Spec.Template.Spec) {
				for _, p := range c.Ports {
					if p.HostPort != 0 {
						t.Errorf("%s/%s is on port %d of its node", d.Name, c.Name, p.HostPort)
					}
				}
			}
		}
	})
}

func try(t *testing.T, m *manifests, ways []way) {
	t.Helper()
	for _, w := range ways {
		if got := m.reaches(t, w.from, m.deployment(t, w.to), w.port); got != w.open {
			t.Errorf("%s to %s:%d: open is %v", w.who, w.to, w.port, got)
		}
	}
}
