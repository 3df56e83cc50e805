package simulation

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func kataClasses() LoadOptions {
	return LoadOptions{Defaults: Defaults{RuntimeClasses: os.DirFS("../../manifests/examples/kata-runtimeclasses")}}
}

func load(t *testing.T, from string, o LoadOptions) *Cluster {
	t.Helper()
	c, err := Load(from, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func podNames(c *Cluster) []string {
	var names []string
	for _, pod := range c.Pods {
		names = append(names, podKey(pod.Namespace, pod.Name))
	}
	return names
}

func TestLoadManifests(t *testing.T) {
	c := load(t, "testdata/manifests", kataClasses())
	want := []string{
		"kube-system/agent-n1", "kube-system/agent-n2", "kube-system/agent-n3",
		"red/web-0", "red/web-1", "red/web-2", "blue/import-0", "blue/import-1",
	}
	if diff := cmp.Diff(want, podNames(c)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if c.namespace("blue").Labels[tenantLabel] != "blue" {
		t.Error("a namespace that is missing in the manifests has no tenant")
	}
	if !slices.ContainsFunc(c.Notes, func(n string) bool { return strings.Contains(n, "CronJob") }) {
		t.Errorf("no note says that the CronJob is left out: %q", c.Notes)
	}
	if pods := c.Nodes[0].Status.Allocatable.Pods().Value(); pods != 110 {
		t.Errorf("a node that does not say how many pods it takes has %d", pods)
	}
}

func TestLoadPerTenant(t *testing.T) {
	o := kataClasses()
	o.Tenants = []string{"a", "b"}
	c := load(t, "testdata/manifests", o)
	count := map[string]int{}
	for _, pod := range c.Pods {
		count[c.namespace(pod.Namespace).Labels[tenantLabel]]++
	}
	if diff := cmp.Diff(map[string]int{"a": 8, "b": 8}, count); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLoadTrace(t *testing.T) {
	o := kataClasses()
	o.Trace = TraceOptions{Tenants: 4, Seed: 7, Limit: 30}
	first, again := load(t, "testdata/trace", o), load(t, "testdata/trace", o)
	if diff := cmp.Diff(first.Pods, again.Pods); diff != "" {
		t.Errorf("the same seed gives another result (-first +again)\n%s", diff)
	}
	if len(first.Pods) != 30 || !slices.IsSorted(rowNames(first)) {
		t.Errorf("want 30 rows in the order of the file, got %q", rowNames(first))
	}
	o.Trace.Seed = 8
	if cmp.Equal(podNames(first), podNames(load(t, "testdata/trace", o))) {
		t.Error("another seed gives the same result")
	}
	if !strings.Contains(first.Mapping, "30 of 40 rows") || !strings.Contains(first.Mapping, "seed 7") {
		t.Errorf("mapping %q", first.Mapping)
	}
	o.Trace = TraceOptions{Tenants: 1, Seed: 1}
	whole := load(t, "testdata/trace", o)
	milli := int64(0)
	for _, pod := range whole.Pods {
		milli += amount(requests(pod), corev1.ResourceName(gpuResource))
	}
	if milli == 0 || len(whole.Pods) != 40 {
		t.Errorf("%d pods ask for %d thousandths of a GPU", len(whole.Pods), milli)
	}
}

func rowNames(c *Cluster) []string {
	var names []string
	for _, pod := range c.Pods {
		names = append(names, pod.Name)
	}
	return names
}

func TestLoadErrors(t *testing.T) {
	const node = "apiVersion: v1\nkind: Node\nmetadata: {name: node}\nstatus: {allocatable: {cpu: 1, memory: 1Gi}}\n---\n"
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: red}\nspec: {containers: [{name: c, image: i}]}\n"
	for name, tc := range map[string]struct {
		file, text string
		want       []string
	}{
		"a field that does not exist": {
			"c.yaml", node + strings.Replace(pod, "spec: {", "spec: {runtimeClas: kata, ", 1),
			[]string{"c.yaml, document 2, Pod p", "spec.runtimeClas"},
		},
		"a field of the wrong type": {
			"c.yaml", node + "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: many}\n",
			[]string{"c.yaml, document 2, Deployment d", "spec.replicas"},
		},
		"a quantity that is not one": {
			"c.yaml", node + strings.Replace(pod, "image: i", "image: i, resources: {requests: {cpu: lots}}", 1),
			[]string{"c.yaml, document 2, Pod p, spec.containers[0].resources.requests.cpu", `"lots"`},
		},
		"a quantity below zero": {
			"c.yaml", node + strings.Replace(pod, "image: i", "image: i, resources: {requests: {memory: -1Gi}}", 1),
			[]string{"c.yaml, document 2, Pod p, spec.containers[0].resources.requests.memory", "below zero"},
		},
		"fewer replicas than none": {
			"c.yaml", node + "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: -1, selector: {}, template: {spec: {containers: [{name: c}]}}}\n",
			[]string{"c.yaml, document 2, Deployment d, spec.replicas"},
		},
		"a node that offers nothing": {
			"c.yaml", "apiVersion: v1\nkind: Node\nmetadata: {name: node}\n---\n" + pod,
			[]string{"c.yaml, document 1, Node node, status.allocatable.cpu"},
		},
		"a node that does not exist": {
			"c.yaml", node + strings.Replace(pod, "spec: {", "spec: {nodeName: m, ", 1),
			[]string{"c.yaml", "Pod red/p, spec.nodeName", `"m"`},
		},
		"the same object twice": {
			"c.yaml", node + pod + "---\n" + pod,
			[]string{"c.yaml, document 3, Pod p, metadata.name", "twice"},
		},
		"an object without kind":  {"c.yaml", "apiVersion: v1\nmetadata: {name: node}\n", []string{"c.yaml, document 1: ", "kind is missing"}},
		"text that is not YAML":   {"c.yaml", "a: [\n", []string{"c.yaml, document 1"}},
		"no pod":                  {"c.yaml", node, []string{"c.yaml", "no pod"}},
		"no node":                 {"c.yaml", pod, []string{"c.yaml", "no Node"}},
		"one file of a trace":     {"nodes.csv", "sn,cpu_milli\n", []string{"nodes.csv", "two files"}},
		"a folder without either": {"readme.txt", "", []string{"neither a manifest"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := filepath.Join(folder, tc.file)
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			from := file
			if filepath.Ext(file) == ".txt" {
				from = folder
			}
			_, err := Load(from, LoadOptions{})
			if err == nil {
				t.Fatal("it is accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

func TestLoadTraceErrors(t *testing.T) {
	const nodes, pods = "sn,cpu_milli,memory_mib,gpu,model\nn,1000,1024,0,\n", "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,100,100,0,0\n"
	for name, tc := range map[string]struct {
		nodes, pods string
		want        string
	}{
		"an amount that is not a number": {nodes, pods + "q,much,100,0,0\n", "pods.csv, line 3, cpu_milli"},
		"an amount below zero":           {nodes + "m,1000,-5,0,\n", pods, "nodes.csv, line 3, memory_mib"},
		"a pod without a name":           {nodes, pods + ",100,100,0,0\n", "pods.csv, line 3, name"},
		"a column that is missing":       {strings.ReplaceAll(nodes, "gpu", "gpus"), pods, "nodes.csv, line 1: there is no column gpu"},
		"a row that is too short":        {nodes, pods + "q,100\n", "pods.csv"},
		"no row":                         {nodes, strings.SplitAfter(pods, "\n")[0], "pods.csv: it has no rows"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			for file, text := range map[string]string{"nodes.csv": tc.nodes, "pods.csv": tc.pods} {
				if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(folder, LoadOptions{Trace: TraceOptions{Tenants: 2}})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q, got: %v", tc.want, err)
			}
		})
	}
}
