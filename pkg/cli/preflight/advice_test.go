package preflight

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/manifests"
	"tenantisolation.dev/scheduler/pkg/policy"
)

func TestInstall(t *testing.T) {
	byKubectl := deployed("s", 2)
	byKubectl.Spec.Replicas = ptr.To[int32](3)
	byKubectl.Spec.Template.Spec.Containers = []v1.Container{{Image: "images.example.com:5000/scheduler:v1"}}
	byHelm := byKubectl.DeepCopy()
	byHelm.Annotations = map[string]string{"meta.helm.sh/release-name": "walls", "meta.helm.sh/release-namespace": "kube-system"}
	observing := policy.Default()
	observing.Enforcement = "Audit"
	const upgrade = "helm upgrade --install tenant-isolation tenant-isolation.tgz --namespace kube-system --take-ownership --force-conflicts"
	for name, tc := range map[string]struct {
		deployment *appsv1.Deployment
		enforce    bool
		want       string
	}{
		"nothing is there":          {nil, false, upgrade + " --set-string image.repository=REPOSITORY,image.tag=TAG"},
		"installed by kubectl":      {byKubectl, false, upgrade + " --set-string 'image.repository=images.example.com:5000/scheduler,image.tag=v1' --set replicas=3 --set policy.enforcement=Audit,policy.dedication.mode=Disabled"},
		"installed by Helm":         {byHelm, false, "helm upgrade 'walls' tenant-isolation.tgz --namespace 'kube-system' --reset-then-reuse-values --force-conflicts"},
		"observing, by Helm":        {byHelm, true, "helm upgrade 'walls' tenant-isolation.tgz --namespace 'kube-system' --reset-then-reuse-values --force-conflicts --set policy.enforcement=Enforce,policy.dedication.mode=Enabled"},
		"observing, by kubectl":     {byKubectl, true, upgrade + " --set-string 'image.repository=images.example.com:5000/scheduler,image.tag=v1' --set replicas=3 --set policy.enforcement=Enforce,policy.dedication.mode=Enabled"},
		"observing, none installed": {nil, true, upgrade + " --set-string image.repository=REPOSITORY,image.tag=TAG --set policy.enforcement=Enforce,policy.dedication.mode=Enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			var deployments []appsv1.Deployment
			if tc.deployment != nil {
				deployments = append(deployments, *tc.deployment)
			}
			c := &Checker{Policy: observing}
			made := c.install(deployments)
			if tc.enforce {
				made = c.enforce(deployments)
			}
			last := made.run[len(made.run)-1]
			if made.run[0] != "kubectl isolation chart tenant-isolation.tgz" || last != tc.want {
				t.Errorf("got %q, want the chart and %q", made.run, tc.want)
			}
			for _, value := range valuesOf(last) {
				if !inChart(t, value) {
					t.Errorf("the chart has no value %s", value)
				}
			}
		})
	}
}

func TestImageValues(t *testing.T) {
	for image, want := range map[string]string{
		"scheduler":                     "image.repository=scheduler",
		"a.example.com:5000/s":          "image.repository=a.example.com:5000/s",
		"a.example.com:5000/s:v1":       "image.repository=a.example.com:5000/s,image.tag=v1",
		"a.example.com/s@sha256:0123ab": "image.repository=a.example.com/s,image.digest=sha256:0123ab",
	} {
		if got := imageValues(image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

// valuesOf are the names of the values that a command of Helm sets.
func valuesOf(command string) []string {
	var names []string
	for _, set := range regexp.MustCompile(`--set(?:-string)? '?([^ ']+)`).FindAllStringSubmatch(command, -1) {
		for value := range strings.SplitSeq(set[1], ",") {
			name, _, _ := strings.Cut(value, "=")
			names = append(names, name)
		}
	}
	return names
}

// inChart looks a value up in the chart's schema, and one of the policy in the schema of IsolationPolicies.
func inChart(t *testing.T, name string) bool {
	t.Helper()
	text, err := os.ReadFile("../../../charts/tenant-isolation/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(name, ".")
	if fields[0] == "policy" {
		schema = policySchema(t)
		fields[0] = "spec"
	}
	for _, field := range fields {
		properties, _ := schema["properties"].(map[string]any)
		if schema, _ = properties[field].(map[string]any); schema == nil {
			return false
		}
	}
	return true
}

func policySchema(t *testing.T) map[string]any {
	t.Helper()
	text, err := manifests.Files.ReadFile(manifests.CRD)
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}
