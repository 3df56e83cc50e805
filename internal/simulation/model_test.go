package simulation

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/pkg/podfacts"
)

const modelManifests = `
apiVersion: v1
kind: Node
metadata: {name: plain}
status: {allocatable: {cpu: 4, memory: 8Gi}, runtimeHandlers: [{name: ""}]}
---
apiVersion: v1
kind: Node
metadata: {name: kata, labels: {katacontainers.io/kata-runtime: "true"}}
status: {allocatable: {cpu: 4, memory: 8Gi}, runtimeHandlers: [{name: ""}, {name: kata-qemu}, {name: kata-clh}]}
---
apiVersion: v1
kind: Node
metadata: {name: lost}
status: {allocatable: {cpu: 4, memory: 8Gi}}
---
apiVersion: v1
kind: Namespace
metadata: {name: red, labels: {tenantisolation.dev/tenant: red}}
---
apiVersion: v1
kind: Namespace
metadata: {name: blue, labels: {tenantisolation.dev/tenant: blue, tenantisolation.dev/runtime-class: kata-qemu, tenantisolation.dev/boundary: vm}}
---
apiVersion: v1
kind: Namespace
metadata: {name: nobody}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: kube-system}
spec: {nodeName: plain, containers: [{name: c, image: i, resources: {requests: {cpu: 1}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger, namespace: nobody}
spec: {nodeName: lost, containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: there, namespace: red}
spec: {nodeName: plain, containers: [{name: c, image: i, resources: {requests: {cpu: 1}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: red}
spec: {containers: [{name: c, image: i, resources: {requests: {cpu: 500m}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: vault, namespace: blue}
spec: {containers: [{name: c, image: i, resources: {requests: {cpu: 500m}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reaches-through, namespace: blue}
spec: {hostNetwork: true, containers: [{name: c, image: i}]}
`

func modelVariants(t *testing.T) *variants {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(modelManifests), 0o600); err != nil {
		t.Fatal(err)
	}
	profile := shippedProfile(t)
	rules, err := rulesOf(shipped, profile)
	if err != nil {
		t.Fatal(err)
	}
	v, err := newVariants(load(t, file, kataClasses()), rules, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// modelPod is a pod of the model.
type modelPod struct {
	MilliCPU          int64
	VM, Open, Pinned  bool
	Plain, Kata, Lost bool
}

func podsOf(t *testing.T, c *Cluster, rules *podfacts.Rules) (map[string]modelPod, *model) {
	t.Helper()
	m, err := newModel(c, rules)
	if err != nil {
		t.Fatal(err)
	}
	pods := map[string]modelPod{}
	for _, p := range m.Pods {
		pods[p.Name] = modelPod{
			MilliCPU: p.Request[0], VM: p.VM, Open: p.Open, Pinned: p.Pinned,
			Plain: p.Nodes[0], Kata: p.Nodes[1], Lost: p.Nodes[2],
		}
	}
	return pods, m
}

func TestModel(t *testing.T) {
	v := modelVariants(t)
	got, m := podsOf(t, v.asGiven(), v.rules)
	want := map[string]modelPod{
		"red/there": {MilliCPU: 1000, Pinned: true, Plain: true, Kata: true},
		"red/web":   {MilliCPU: 500, Plain: true, Kata: true},
		// Its namespace names the RuntimeClass, which has an overhead and a node selector; it
		// may not join red.
		"blue/vault": {MilliCPU: 750, VM: true, Open: true, Kata: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("as given (-want +got)\n%s", diff)
	}
	if cpu := m.Nodes[0].Capacity[0]; cpu != 3000 {
		t.Errorf("4 CPUs, of which the platform takes 1: %d thousandths are left for tenants", cpu)
	}

	got, _ = podsOf(t, v.containers(), v.rules)
	want["blue/vault"] = modelPod{MilliCPU: 500, Kata: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("containers only (-want +got)\n%s", diff)
	}

	got, _ = podsOf(t, v.allVMs(), v.rules)
	want["blue/vault"] = modelPod{MilliCPU: 750, VM: true, Open: true, Kata: true}
	want["red/web"] = modelPod{MilliCPU: 750, VM: true, Open: true, Kata: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a VM for every pod (-want +got)\n%s", diff)
	}
}
