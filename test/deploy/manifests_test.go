package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const kubernetes = "../../deploy/kubernetes"

// manifests are the objects of some files that are applied together.
type manifests struct {
	deployments []*apps.Deployment
	services    []*core.Service
	configs     []*core.ConfigMap
	budgets     []*policy.PodDisruptionBudget
	policies    []*networking.NetworkPolicy
}

// read decodes files. A member that the API does not know is an error, as is one that stands there twice.
func read(t *testing.T, files ...string) *manifests {
	t.Helper()
	m := &manifests{}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(kubernetes, file))
		if err != nil {
			t.Fatal(err)
		}
		for i, document := range strings.Split(string(text), "\n---\n") {
			if err := m.decode(document); err != nil {
				t.Fatalf("%s, document %d: %v", file, i+1, err)
			}
		}
	}
	return m
}

func (m *manifests) decode(document string) error {
	var kind meta.TypeMeta
	if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
		return err
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 Deployment":
		return decode(document, &m.deployments)
	case "v1 Service":
		return decode(document, &m.services)
	case "v1 ConfigMap":
		return decode(document, &m.configs)
	case "policy/v1 PodDisruptionBudget":
		return decode(document, &m.budgets)
	case "networking.k8s.io/v1 NetworkPolicy":
		return decode(document, &m.policies)
	}
	return fmt.Errorf("%s %s is not expected here", kind.APIVersion, kind.Kind)
}

func decode[T any](document string, into *[]*T) error {
	object := new(T)
	*into = append(*into, object)
	return yaml.UnmarshalStrict([]byte(document), object)
}

// deployment returns the one of that name.
func (m *manifests) deployment(t *testing.T, name string) *apps.Deployment {
	t.Helper()
	for _, d := range m.deployments {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("there is no deployment %s", name)
	return nil
}

// service returns the one of that name, or nil.
func (m *manifests) service(name string) *core.Service {
	for _, s := range m.services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// config returns the ConfigMap of that name, or nil.
func (m *manifests) config(name string) *core.ConfigMap {
	for _, c := range m.configs {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// gateway returns the container of pargate in a pod, or nil.
func gateway(pod core.PodSpec) *core.Container {
	for _, c := range containers(pod) {
		if c.Name == "pargate" {
			return &c
		}
	}
	return nil
}

func containers(pod core.PodSpec) []core.Container {
	return append(append([]core.Container{}, pod.InitContainers...), pod.Containers...)
}

// arrangements are the files that are applied together, and the deployment that pargate is in.
var arrangements = []struct {
	name, deployment string
	files            []string
}{
	{"edge", "pargate", []string{"redis.yaml", "edge.yaml"}},
	{"sidecar", "login", []string{"redis.yaml", "sidecar.yaml"}},
}

// each runs a test for each arrangement.
func each(t *testing.T, test func(t *testing.T, m *manifests, gateway *apps.Deployment)) {
	for _, a := range arrangements {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			m := read(t, a.files...)
			test(t, m, m.deployment(t, a.deployment))
		})
	}
}

func TestAManifestWithASlipIsRefused(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selectors: {a: b}}",
		"apiVersion: v1\nkind: Service\nmetadata: {name: a, name: b}",
		"apiVersion: extensions/v1beta1\nkind: NetworkPolicy",
	} {
		if err := new(manifests).decode(document); err == nil {
			t.Errorf("accepted:\n%s", document)
		}
	}
}

// A file that no arrangement has is read by nobody.
func TestEveryManifestIsRead(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(kubernetes + "/*")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, a := range arrangements {
		for _, file := range a.files {
			used[file] = true
		}
	}
	for _, file := range files {
		if !used[filepath.Base(file)] {
			t.Errorf("%s is in no arrangement", file)
		}
	}
	if len(files) != len(used) {
		t.Errorf("%d files, %d are named here", len(files), len(used))
	}
}
