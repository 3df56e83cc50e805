package demo

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/internal/checker"
)

// The workload is there to show every case; a case that goes missing is not missed by a
// demo that passes.
func TestWorkloadShowsEveryCase(t *testing.T) {
	before, workload, err := embeddedWorkload()
	if err != nil {
		t.Fatal(err)
	}
	all := append(before, workload...)
	cluster := &checker.Cluster{
		Namespaces: []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}}},
		RuntimeClasses: []nodev1.RuntimeClass{
			{ObjectMeta: metav1.ObjectMeta{Name: "kata-qemu"}, Handler: "kata-qemu"},
			{ObjectMeta: metav1.ObjectMeta{Name: "kata-clh"}, Handler: "kata-clh"},
		},
	}
	for _, o := range all {
		if o.GetKind() == "Namespace" {
			cluster.Namespaces = append(cluster.Namespaces, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.GetName(), Labels: o.GetLabels()}})
		}
	}
	seen := map[string]map[string]bool{}
	see := func(what, value string) {
		if seen[what] == nil {
			seen[what] = map[string]bool{}
		}
		seen[what][value] = true
	}
	for _, o := range all {
		path := podSpecs[o.GetKind()]
		if path == nil {
			continue
		}
		pod := podOf(t, o, path)
		id := cluster.Identify(pod)
		expect := pod.Annotations[expectAnnotation]
		if expect != "" {
			see("expected", expect)
			continue
		}
		switch {
		case id.Platform:
			see("others", "platform")
		case !id.Managed:
			see("others", "unmanaged")
		default:
			see("tenant", id.Domain.Tenant)
			see("data class", id.Domain.DataClass)
			see("privilege", id.Domain.Privilege)
			see("user namespace", id.Domain.UserNamespace)
			see("boundary", id.Boundary)
			see("demand", id.Demand)
			see("kind", o.GetKind())
			if id.Unknown != "" {
				t.Errorf("%s: %s", describe(o), id.Unknown)
			}
		}
		if !placed(pod) && !ours(pod) {
			t.Errorf("%s names the scheduler %q, so no scheduler would place it", describe(o), pod.Spec.SchedulerName)
		}
	}
	for what, want := range map[string][]string{
		"tenant":         {"acme", "globex", "hooli", "initech", "umbra"},
		"data class":     {"confidential", "internal", "public", "restricted", "unclassified"},
		"privilege":      {"baseline", "privileged", "restricted"},
		"user namespace": {"host", "pod"},
		"boundary":       {"container", "vm"},
		"demand":         {"container", "node", "vm"},
		"kind":           {"DaemonSet", "Deployment", "Job", "StatefulSet"},
		"others":         {"platform", "unmanaged"},
		"expected":       {expectPending, expectRefused},
	} {
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(seen[what]))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", what, diff)
		}
	}
}

func podOf(t *testing.T, o *unstructured.Unstructured, path []string) *corev1.Pod {
	t.Helper()
	template, found, err := unstructured.NestedMap(o.Object, path[:len(path)-1]...)
	if err != nil || !found {
		t.Fatalf("%s has no pod template (%v)", describe(o), err)
	}
	var content corev1.PodTemplateSpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(template, &content, true); err != nil {
		t.Fatalf("%s: %v", describe(o), err)
	}
	pod := &corev1.Pod{ObjectMeta: content.ObjectMeta, Spec: content.Spec}
	pod.Namespace, pod.Name = o.GetNamespace(), o.GetName()
	return pod
}

func TestManifestsReadLikeKubectl(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "# only a comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n---\n",
		"b.json": `{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}}]}`,
		"c.txt":  "not a manifest",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := loadWorkload(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ConfigMap /one", "ConfigMap /two"}, describeAll(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestManifestsUnreadable(t *testing.T) {
	for sentence, tc := range map[string]struct{ text, want string }{
		"without a kind":  {"apiVersion: v1\nkind: ConfigMap\n---\napiVersion: v1\nmetadata: {name: x}\n", "document 2: not an object of Kubernetes: apiVersion or kind is missing"},
		"that is no YAML": {"a: [", "document 1"},
		"that is empty":   {"# nothing\n", "there is no manifest in it"},
	} {
		t.Run(sentence, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.yaml")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := loadWorkload(file)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "x.yaml") {
				t.Errorf("got %v, want the file and %q", err, tc.want)
			}
		})
	}
}

func TestManifestsOrder(t *testing.T) {
	all := objects{object("Deployment", "a", "web"), object("ServiceAccount", "a", "web"), object("Namespace", "", "a"), object("Pod", "a", "one")}
	sortForApply(all)
	want := []string{"Namespace /a", "ServiceAccount a/web", "Deployment a/web", "Pod a/one"}
	if diff := cmp.Diff(want, describeAll(all)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func describeAll(all objects) []string {
	var lines []string
	for _, o := range all {
		lines = append(lines, fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()))
	}
	return lines
}

func object(kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind}}
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}
