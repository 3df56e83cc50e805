package policy

import (
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

func resources() v1.ResourceList {
	return v1.ResourceList{
		v1.ResourceCPU: resource.MustParse("1000"), v1.ResourceMemory: resource.MustParse("1000Gi"), v1.ResourcePods: resource.MustParse("1000"),
	}
}

func class(name string) func(*v1.Pod) {
	return func(pod *v1.Pod) { pod.Spec.RuntimeClassName = &name }
}

func by(scheduler string) func(*v1.Pod) {
	return func(pod *v1.Pod) { pod.Spec.SchedulerName = scheduler }
}

// Each change is in force in scheduler, admission and audit within seconds, and nothing restarts.
func TestPolicyIsFollowed(t *testing.T) {
	c := install(t)
	process := c.plane.PIDs()
	acme, globex, ops := c.namespace(tenant("acme")), c.namespace(tenant("globex")), c.namespace()

	// A pod without a tenant has no node, until its namespace is the platform's.
	node := c.node()
	stray := c.pod(ops, by(schedulerName))
	c.says(stray, "no trust domain")
	c.mustChange(map[string]any{"platformNamespaces": map[string]any{"names": []string{"kube-system", systemNamespace, ops}}})
	c.inForce()
	if got := c.placed(stray, soon); got != node {
		t.Errorf("the pod of the platform is on %s", got)
	}
	if got := c.placed(c.pod(acme), soon); got != node {
		t.Errorf("a pod beside the platform's is on %s", got)
	}

	// A class that does not exist is refused at admission, until it does.
	secret := func(pod *v1.Pod) { pod.Labels = map[string]string{"tenantisolation.dev/data-class": "secret"} }
	if _, err := c.create(acme, secret); err == nil || !strings.Contains(err.Error(), "data-class") {
		t.Fatalf("a pod of an unknown class is created: %v", err)
	}
	c.mustChange(map[string]any{"dataClasses": []string{"public", "secret"}})
	c.inForce()
	var accepted *v1.Pod
	c.within(soon, "accepted by admission", func() (bool, string) {
		var err error
		accepted, err = c.create(acme, secret)
		return err == nil, fmt.Sprint(err)
	})
	if got, want := c.node(), c.placed(accepted, soon); got != want {
		t.Errorf("the pod of the new class is on %s, want %s", got, want)
	}

	// A handler becomes a boundary, and VMs of two tenants share a node.
	_, err := c.api.NodeV1().RuntimeClasses().Create(t.Context(), &nodev1.RuntimeClass{
		ObjectMeta: metav1.ObjectMeta{Name: "own"}, Handler: "own-vm",
	}, metav1.CreateOptions{})
	c.must(err)
	c.mustChange(map[string]any{"boundaries": map[string]any{"handlers": map[string]string{"own-vm": "vm"}}})
	c.inForce()
	c.within(soon, "listed", func() (bool, string) {
		for _, taken := range c.policy().Status.InForce.RuntimeClasses {
			if taken.Name == "own" {
				return taken.Boundary == v1alpha1.BoundaryVM, string(taken.Boundary)
			}
		}
		return false, "the class is not there"
	})
	shared := c.node()
	if got := c.placed(c.pod(c.namespace(tenant("initech")), class("own")), soon); got != shared {
		t.Errorf("the first VM is on %s", got)
	}
	if got := c.placed(c.pod(globex, class("own")), soon); got != shared {
		t.Errorf("the second VM is on %s", got)
	}

	// Distrusted, it is a container, and what runs is a finding.
	c.mustChange(map[string]any{"boundaries": map[string]any{"handlers": map[string]string{"own-vm": "container"}}})
	c.within(patience, "found by the audit", func() (bool, string) {
		findings := c.policy().Status.Findings
		return findings != nil && *findings > 0, "no findings"
	})
	if got := c.plane.PIDs(); len(got) != len(process) {
		t.Errorf("processes %v, want %v: something was restarted", got, process)
	}
	c.must(c.plane.Failed())
}

// A wrong value is refused where it is written, with its path, and what holds goes on.
func TestWrongPolicyIsRefused(t *testing.T) {
	c := install(t)
	before := c.policy().Status.InForce.Generation
	for path, spec := range map[string]map[string]any{
		"spec.dataClasses":                 {"dataClasses": []string{"a", "a"}},
		"spec.separateBy":                  {"separateBy": []string{"privilege"}},
		"spec.boundaries.minimum":          {"boundaries": map[string]any{"minimum": "container"}},
		"spec.boundaries.handlers":         {"boundaries": map[string]any{"handlers": map[string]string{"Kata": "vm"}}},
		"spec.sharing.dataClasses":         {"sharing": map[string]any{"dataClasses": [][]string{{"public", "none"}}}},
		"spec.platformNamespaces.selector": {"platformNamespaces": map[string]any{"selector": map[string]any{"matchLabels": map[string]any{}}}},
		"spec.dedication.mode":             {"enforcement": "Audit"},
		"spec.dedication.settleTime":       {"dedication": map[string]any{"settleTime": "2m", "releaseAfter": "3m"}},
		"spec.dedication.maxNodes":         {"dedication": map[string]any{"maxNodesPerTenant": 0}},
		"spec.audit.evictionsPerMinute":    {"audit": map[string]any{"evictionsPerMinute": 0}},
		"spec.tenantFrom.namespaceLabel":   {"tenantFrom": map[string]any{"namespaceLabel": "tenantisolation.dev/tenant"}},
		"spec.runtimeClasses.byDataClass":  {"runtimeClasses": map[string]any{"byDataClass": map[string]string{"none": "kata"}}},
	} {
		if err := c.change(spec); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%v: want an error about %s, got %v", spec, path, err)
		}
	}
	if got := c.policy().Status.InForce.Generation; got != before {
		t.Errorf("generation %d is in force, want %d", got, before)
	}
}
