package cli_test

import (
	"strings"
	"testing"
)

// Input as people have it.
func TestCases(t *testing.T) {
	job := "apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: nightly-\n  namespace: acme-batch\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n" +
		"      containers:\n      - name: c\n        image: example.com/job:1\n        resources: {requests: {cpu: 100m, memory: 64Mi}}"
	generated := strings.Replace(pod("shop", "web", "n1"), "name: web", "generateName: web-", 1)
	started := func(namespace string) string {
		return pod(namespace, "vm", "n1", inVM) + "\n  startTime: \"2026-01-01T00:00:00Z\""
	}
	recreated := list(node("n1"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")),
		strings.Replace(kata, "  name:", "  creationTimestamp: \"2026-02-01T00:00:00Z\"\n  name:", 1), started("shop"), started("api"))
	elsewhere := list(node("n1"), node("n2"), namespace("shop", tenant("acme")), kata+"\nscheduling:\n  nodeSelector:\n    kata: \"true\"", pod("shop", "web", "", inVM))
	daemons := list(node("m1"), workload("DaemonSet", "monitoring", "node-exporter", "hostNetwork: true"), workload("Deployment", "monitoring", "web"), workload("Deployment", "shop", "web"))
	untyped := `{"apiVersion": "v1", "kind": "List", "items": [
		{"metadata": {"name": "n1"}, "status": {"nodeInfo": {"kubeletVersion": "v1.37.0"}}},
		{"metadata": {"name": "shop", "labels": {"tenantisolation.dev/tenant": "acme"}}, "spec": {"finalizers": ["kubernetes"]}},
		{"metadata": {"name": "api", "labels": {"tenantisolation.dev/tenant": "globex"}}, "spec": {"finalizers": ["kubernetes"]}},
		{"metadata": {"name": "web", "namespace": "shop"}, "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}},
		{"metadata": {"name": "web", "namespace": "api"}, "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}}]}`
	tests := map[string]struct {
		input string
		args  []string
		want  int
		says  []string
	}{
		"a Job with a generateName is planned":         {job, []string{"plan", "--tenant-key=namespace"}, 0, []string{"1 pod to place"}},
		"a Job with a generateName is explained":       {job, []string{"explain", "--tenant-key=namespace"}, 2, []string{"job/nightly-* in namespace acme-batch", "Not judged: no node is known"}},
		"two pods with one generateName are two":       {list(node("n1"), namespace("shop", tenant("acme")), generated, generated), []string{"audit"}, 0, []string{"2 pods, 1 pair"}},
		"a generateName that no API server takes":      {list(node("n1"), strings.Replace(generated, "web-", "Web_", 1)), []string{"audit"}, 2, []string{"metadata.name"}},
		"a RuntimeClass that was made again":           {recreated, []string{"audit"}, 1, []string{"RuntimeClass kata-qemu was made again after api/vm, shop/vm had been started", "restart them"}},
		"a RuntimeClass that was made again, in JSON":  {recreated, []string{"audit", "-o", "json"}, 1, []string{`"restart"`}},
		"a RuntimeClass that was made again, the page": {recreated, []string{"report", "--html"}, 1, []string{"RuntimeClass kata-qemu was made again"}},
		"a tenant's DaemonSet is a resident of every node": {daemons, []string{"plan", "--tenant-key=namespace"}, 1, []string{
			"shop/deployment/web (1 pod) is left out: each node has a pod of monitoring/daemonset/node-exporter", "monitoring/deployment/web (1 pod) is left out",
		}},
		"items without a kind":                   {untyped, []string{"audit"}, 1, []string{"ForeignResident", "5 objects have no kind"}},
		"a RuntimeClass that is for other nodes": {elsewhere, []string{"explain", "web", "-n", "shop"}, 1, []string{"0 of 2 admit it", "2  denied  RuntimeClassNodeSelector: the node selector of the pod's RuntimeClass"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.input, append(tc.args, "-f", "-")...)
			if got.status != tc.want {
				t.Errorf("status %d, want %d\n%s%s", got.status, tc.want, got.out, got.errOut)
			}
			for _, text := range tc.says {
				if !strings.Contains(unfolded(got.out+got.errOut), unfolded(text)) {
					t.Errorf("%q is not said:\n%.3000s%s", text, got.out, got.errOut)
				}
			}
		})
	}
}

func workload(kind, namespace, name string, spec ...string) string {
	text := "apiVersion: apps/v1\nkind: " + kind + "\nmetadata:\n  name: " + name + "\n  namespace: " + namespace +
		"\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers: [{name: app, image: example.com/app}]"
	for _, line := range spec {
		text += "\n      " + line
	}
	return text
}
