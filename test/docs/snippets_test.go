package docs

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/apis/config/scheme"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/policy"
)

const (
	schedulerName = "tenant-isolation-scheduler"
	pluginName    = "TenantIsolation"
	labelPrefix   = "tenantisolation.dev/"
)

// TestSnippetsWouldBeAccepted decodes every YAML block that users may copy, strictly.
func TestSnippetsWouldBeAccepted(t *testing.T) {
	count := 0
	for _, p := range docs(t) {
		for _, f := range p.fences(t) {
			if f.language != "yaml" {
				continue
			}
			for _, document := range documents(t, f.text) {
				count++
				if err := accept(document); err != nil {
					t.Errorf("%s, block at line %d: %v", p.path, f.line, err)
				}
			}
		}
	}
	if count < 5 {
		t.Errorf("only %d snippets were found", count)
	}
}

// TestManifestsParse decodes what the README tells users to apply; test/integration asks a
// real API server what it thinks of it.
func TestManifestsParse(t *testing.T) {
	count := 0
	walk(t, ".yaml", func(path, text string) {
		if !strings.HasPrefix(path, "manifests/") {
			return
		}
		for _, document := range documents(t, text) {
			count++
			var object struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
			}
			if err := yaml.Unmarshal(document, &object); err != nil || object.Kind == "" || object.APIVersion == "" {
				t.Errorf("%s: %+v (%v)", path, object, err)
			}
		}
	})
	if count < 10 {
		t.Errorf("only %d manifests were found below %s", count, filepath.Join(root, "manifests"))
	}
}

func documents(t *testing.T, text string) [][]byte {
	t.Helper()
	var all [][]byte
	reader := utilyaml.NewDocumentDecoder(io.NopCloser(strings.NewReader(text)))
	buffer := make([]byte, 1<<20)
	for {
		n, err := reader.Read(buffer)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		var content map[string]any
		if err := yaml.Unmarshal(buffer[:n], &content); err == nil && len(content) == 0 {
			continue // only comments
		}
		all = append(all, slices.Clone(buffer[:n]))
	}
}

// kustomization is the part of kustomize's own type that the documents use.
type kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Resources  []string `json:"resources"`
	Components []string `json:"components"`
	Patches    []struct {
		Path string `json:"path"`
	} `json:"patches"`
	Images []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

func accept(document []byte) error {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	strict := func(into any) error { return yaml.UnmarshalStrict(document, into) }
	switch kind.Kind {
	case "Namespace":
		namespace := &corev1.Namespace{}
		return errors.Join(strict(namespace), acceptLabels(namespace.Labels, true))
	case "Pod":
		pod := &corev1.Pod{}
		return errors.Join(strict(pod), acceptPod(pod.Labels, &pod.Spec))
	case "Deployment":
		deployment := &appsv1.Deployment{}
		template := &deployment.Spec.Template
		return errors.Join(strict(deployment), acceptPod(template.Labels, &template.Spec))
	case "RuntimeClass":
		return strict(&nodev1.RuntimeClass{})
	case "ClusterRole":
		return strict(&rbacv1.ClusterRole{})
	case "ResourceQuota":
		return strict(&corev1.ResourceQuota{})
	case "Kustomization":
		return acceptKustomization(document)
	case "IsolationPolicy":
		_, err := policy.Parse(document)
		return err
	case "KubeSchedulerConfiguration":
		return acceptConfiguration(document)
	}
	return fmt.Errorf("nobody knows how to decode the kind %q", kind.Kind)
}

func acceptPod(labels map[string]string, spec *corev1.PodSpec) error {
	err := acceptLabels(labels, false)
	if spec.SchedulerName != schedulerName {
		err = errors.Join(err, fmt.Errorf("the scheduler is %q", spec.SchedulerName))
	}
	return err
}

// acceptLabels checks the labels of this project against the default arguments.
func acceptLabels(labels map[string]string, namespace bool) error {
	defaults := policy.Default()
	var errs []error
	for key, value := range labels {
		switch key {
		case isolation.TenantLabel:
			errs = append(errs, nonEmpty(key, value))
		case isolation.DataClassLabel:
			if !slices.Contains(defaults.DataClasses, value) {
				errs = append(errs, fmt.Errorf("%s: unknown class %q", key, value))
			}
		case isolation.PrivilegeLabel:
			_, err := isolation.ParsePrivilege(value)
			errs = append(errs, err)
		case isolation.BoundaryLabel:
			_, err := isolation.ParseDemand(value)
			errs = append(errs, err, only(key, namespace))
		case isolation.RuntimeClassLabel:
			errs = append(errs, nonEmpty(key, value), only(key, namespace))
		default:
			if strings.HasPrefix(key, labelPrefix) {
				errs = append(errs, fmt.Errorf("nothing reads the label %s", key))
			}
		}
		for _, fault := range validation.IsValidLabelValue(value) {
			errs = append(errs, fmt.Errorf("%s: %s", key, fault))
		}
	}
	return errors.Join(errs...)
}

func nonEmpty(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s is empty", key)
	}
	return nil
}

func only(key string, namespace bool) error {
	if !namespace {
		return fmt.Errorf("%s means nothing on a pod", key)
	}
	return nil
}

func acceptKustomization(document []byte) error {
	k := &kustomization{}
	err := yaml.UnmarshalStrict(document, k)
	for _, image := range k.Images {
		if !strings.Contains(deploymentImage, image.Name) {
			err = errors.Join(err, fmt.Errorf("no manifest has the image %s", image.Name))
		}
	}
	return err
}

// deploymentImage is the name that manifests/base/deployment.yaml has; TestImageName
// holds the two together.
const deploymentImage = "tenantisolation.dev/scheduler"

func TestImageName(t *testing.T) {
	if !strings.Contains(readPage(t, "manifests/base/deployment.yaml").text, "image: "+deploymentImage+"\n") {
		t.Errorf("the Deployment's image is not %s", deploymentImage)
	}
}

// acceptConfiguration decodes as kube-scheduler does, and holds every profile with the
// plugin to what docs/operations.md says of its place among the others.
func acceptConfiguration(document []byte) error {
	object, _, err := scheme.Codecs.UniversalDecoder().Decode(document, nil, nil)
	if err != nil {
		return err
	}
	configuration, ok := object.(*config.KubeSchedulerConfiguration)
	if !ok {
		return fmt.Errorf("got a %T", object)
	}
	var errs []error
	for _, profile := range configuration.Profiles {
		if profile.Plugins == nil || !enabled(profile.Plugins.MultiPoint) {
			continue
		}
		if !first(profile.Plugins.Filter) || !first(profile.Plugins.Bind) {
			errs = append(errs, fmt.Errorf("%s: the plugin is not the first filter and bind plugin", profile.SchedulerName))
		}
		for _, plugin := range profile.PluginConfig {
			if plugin.Name == pluginName {
				_, _, err := policy.OfArguments(plugin.Args)
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func enabled(set config.PluginSet) bool {
	return slices.ContainsFunc(set.Enabled, func(p config.Plugin) bool { return p.Name == pluginName })
}

func first(set config.PluginSet) bool {
	return len(set.Enabled) > 0 && set.Enabled[0].Name == pluginName
}

// A checker that accepts everything would accept the documents too.
func TestBadSnippetsAreRefused(t *testing.T) {
	for name, document := range map[string]string{
		"a data class that does not exist": "kind: Namespace\nmetadata: {labels: {tenantisolation.dev/data-class: secret}}",
		"a label that nothing reads":       "kind: Namespace\nmetadata: {labels: {tenantisolation.dev/tennant: acme}}",
		"a boundary on a pod":              "kind: Pod\nmetadata: {labels: {tenantisolation.dev/boundary: vm}}\nspec: {schedulerName: tenant-isolation-scheduler}",
		"a field that does not exist":      "kind: Pod\nspec: {schedulerName: tenant-isolation-scheduler, runtimeClas: kata}",
		"another scheduler":                "kind: Pod\nspec: {}",
		"a typo in the policy":             "apiVersion: tenantisolation.dev/v1alpha1\nkind: IsolationPolicy\nspec: {premption: Never}",
		"a policy that is not valid":       "apiVersion: tenantisolation.dev/v1alpha1\nkind: IsolationPolicy\nspec: {boundaries: {minimum: container}}",
		"a filter that is not the first": `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: tenant-isolation-scheduler
  plugins: {multiPoint: {enabled: [{name: TenantIsolation}]}}`,
		"another image":               "kind: Kustomization\nimages: [{name: example.com/scheduler}]",
		"a kind that nobody knows of": "kind: Tenant",
	} {
		if err := accept([]byte(document)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// What the documents say of the plugin's place is true of what is shipped.
func TestShippedConfiguration(t *testing.T) {
	if err := acceptConfiguration([]byte(readPage(t, "manifests/base/scheduler-config.yaml").text)); err != nil {
		t.Error(err)
	}
}
