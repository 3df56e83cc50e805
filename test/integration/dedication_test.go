package integration

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	limitReached = "node(s) would take the pod, but its tenant has as many nodes as it may have (maxNodesPerTenant): free one of them, or ask an administrator for more"
	keptForVMs   = "node(s) are kept for pods in VMs while others can take the pod (containersOnVMNodes): remove what selects them, or name a VM-isolated RuntimeClass"

	acmeInternal = "tenant=acme:NoSchedule,data-class=internal:NoSchedule"
	acmeAlone    = "tenant=acme:NoSchedule,data-class=unclassified:NoSchedule"
	globexAlone  = "tenant=globex:NoSchedule,data-class=unclassified:NoSchedule"
	sharedByVMs  = "boundary=vm:NoSchedule"
)

// forever is a time after which no test still runs.
var forever = map[string]any{"releaseAfter": "1h"}

func (c *fixture) expectDedication(node, want string) {
	c.Helper()
	if got := c.dedicationOn(node); got != want {
		c.Errorf("%s has the dedication %q, want %q", node, got, want)
	}
}

func (c *fixture) getNode(name string) *corev1.Node {
	c.Helper()
	node, err := c.api.CoreV1().Nodes().Get(c.Context(), name, metav1.GetOptions{})
	c.must(err)
	return node
}

func (c *fixture) table() *corev1.ConfigMap {
	c.Helper()
	table, err := c.api.CoreV1().ConfigMaps(systemNamespace).Get(c.Context(), dedication.TableName, metav1.GetOptions{})
	c.must(err)
	return table
}

func TestDedicationByTheFirstPod(t *testing.T) {
	c := newDedicating(t)
	ns := c.namespace(tenant("acme"), dataClass("internal"))
	node := c.node()
	pod := c.tenantPod(ns)
	c.expectOn(node, pod)

	c.expectDedication(node, acmeInternal)
	got := c.getNode(node)
	if by := got.Annotations[dedication.OpenedByAnnotation]; by != "acme" {
		t.Errorf("opened by %q, want acme", by)
	}
	// No autoscaler that takes labels for new nodes made it.
	if got.Labels[isolation.NodeLabelKey(isolation.AxisTenant)] != "" {
		t.Errorf("the node is labelled: %v", got.Labels)
	}
	id := c.entryOf(node)
	bound := c.get(pod)
	if token := bound.Annotations[dedication.TokenAnnotation]; id == "" || token != c.term()+"-"+id {
		t.Errorf("the pod has the token %q, the node's entry is %q of term %q", token, id, c.term())
	}
	if bound.Annotations[isolation.EvidenceAnnotation] == "" {
		t.Error("the pod has no evidence")
	}
}

func TestDedicationCostsLaterPodsNoWrite(t *testing.T) {
	c := newDedicating(t, forever)
	ns := c.namespace(tenant("acme"))
	node := c.node()
	c.expectOn(node, c.tenantPod(ns))

	nodeBefore, tableBefore := c.getNode(node), c.table()
	for range 5 {
		pod := c.tenantPod(ns)
		c.expectOn(node, pod)
		// The framework announces the node of a pod that has to wait before it is bound.
		if nominated := c.get(pod).Status.NominatedNodeName; nominated != "" {
			t.Errorf("%s was announced for %s before it was bound", podKey(pod), nominated)
		}
	}
	if got := c.getNode(node).ResourceVersion; got != nodeBefore.ResourceVersion {
		t.Errorf("the node was written: version %s, before %s", got, nodeBefore.ResourceVersion)
	}
	if got := c.table().ResourceVersion; got != tableBefore.ResourceVersion {
		t.Errorf("the table was written: version %s, before %s", got, tableBefore.ResourceVersion)
	}
}

func TestDedicatedNodeAdmission(t *testing.T) {
	acme, globex := []label{tenant("acme")}, []label{tenant("globex")}
	for name, tc := range map[string]struct {
		first, second        []label
		firstPod, secondPod  []podOption
		dedication           string
		shares               bool
		stays, separateByAll bool
	}{
		"another tenant may not":                       {first: acme, second: globex, dedication: acmeAlone},
		"another class of the tenant may not":          {first: acme, second: []label{tenant("acme"), dataClass("restricted")}, dedication: acmeAlone},
		"another tenant may not when the pod has gone": {first: acme, second: globex, dedication: acmeAlone, stays: true},
		"a VM of the trust domain may":                 {first: acme, second: acme, secondPod: []podOption{runtimeClass(kata)}, dedication: acmeAlone, shares: true},
		"a VM of another tenant may not":               {first: acme, second: globex, secondPod: []podOption{runtimeClass(kata)}, dedication: acmeAlone},
		"a VM may join the VM of another tenant": {
			first: acme, second: globex, firstPod: []podOption{runtimeClass(kata)}, secondPod: []podOption{runtimeClass(otherKata)},
			dedication: sharedByVMs, shares: true,
		},
		"a container may not join a VM of its own trust domain": {
			first: acme, second: acme, firstPod: []podOption{runtimeClass(kata)}, dedication: sharedByVMs,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newDedicating(t, forever)
			node := c.node(kataCapable)
			first := c.tenantPod(c.namespace(tc.first...), tc.firstPod...)
			c.expectOn(node, first)
			c.expectDedication(node, tc.dedication)
			if tc.stays {
				c.remove(first)
			}
			second := c.tenantPod(c.namespace(tc.second...), tc.secondPod...)
			if tc.shares {
				c.expectOn(node, second)
				c.expectDedication(node, tc.dedication)
				return
			}
			c.refused(second, foreignThere)
			other := c.node(kataCapable)
			c.expectOn(other, second)
			c.expectDedication(node, tc.dedication)
		})
	}
}

func TestDedicationTaintsNameSeparateByOnly(t *testing.T) {
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.mayDedicate(t.Context()); err != nil {
		t.Fatal(err)
	}
	args := dedicationArgs()
	args["separateBy"] = []any{"tenant", "privilege"}
	c := newFixtureWith(t, args)
	node := c.node()
	c.expectOn(node, c.tenantPod(c.namespace(tenant("acme"), dataClass("internal"))))
	c.expectOn(node, c.tenantPod(c.namespace(tenant("acme"), dataClass("restricted"))))
	c.expectDedication(node, "tenant=acme:NoSchedule")
}

func TestReleaseAfterTheLastPod(t *testing.T) {
	c := newDedicating(t)
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"))
	node := c.node()
	first, second := c.tenantPod(acme), c.tenantPod(acme)
	c.expectOn(node, first, second)
	waiting := c.tenantPod(globex)
	c.refused(waiting, foreignThere)

	c.remove(first)
	c.roundTrip()
	c.expectDedication(node, acmeAlone)
	c.stillRefused(waiting)

	c.remove(second)
	c.expectOn(node, waiting)
	c.expectDedication(node, globexAlone)
	c.remove(waiting)
	c.released(node)
}

func TestReleaseAfterARestart(t *testing.T) {
	c := newDedicating(t)
	node := c.node()
	pod := c.tenantPod(c.namespace(tenant("acme")))
	c.expectOn(node, pod)

	c.scheduler.Stop()
	c.remove(pod)
	c.expectDedication(node, acmeAlone)
	// No pod waits: the next process only knows that it leads.
	next, err := c.environment.run(t.Context(), c.scheduler.profile, writeConfig(t, inline(dedicationArgs()), elected(c.scheduler.profile)))
	c.must(err)
	t.Cleanup(next.Stop)
	c.scheduler, c.journal = next, newJournal(t, next.Log())
	c.released(node)
}

// elected gives a scheduler a name and a lease of its own.
func elected(profile string) configEdit {
	return func(t *testing.T, config map[string]any) {
		t.Helper()
		theProfile(t, config)["schedulerName"] = profile
		config["leaderElection"] = map[string]any{
			"leaderElect": true, "resourceLock": "leases", "resourceName": "tenant-isolation-scheduler", "resourceNamespace": "default",
		}
	}
}

func TestNodeLimit(t *testing.T) {
	c := newDedicating(t, map[string]any{"maxNodesPerTenant": 1})
	acme := c.namespace(tenant("acme"))
	first, second := c.node(), c.node()
	there := c.tenantPod(acme, onlyOn(first))
	c.expectOn(first, there)
	waiting := c.tenantPod(acme, onlyOn(second))
	c.refused(waiting, limitReached)

	// Its own node takes its pods, and the free node takes those of others.
	c.expectOn(first, c.tenantPod(acme, named("another")))
	c.expectOn(second, c.tenantPod(c.namespace(tenant("globex")), named("guest")))
	c.remove(c.mustGet(c.lastNamespace(), "guest"))
	c.released(second)
	c.stillRefused(waiting)

	c.remove(there)
	c.remove(c.mustGet(acme, "another"))
	c.expectOn(second, waiting)
}

func (c *fixture) lastNamespace() string { return c.namespaces[len(c.namespaces)-1] }

func (c *fixture) mustGet(namespace, name string) *corev1.Pod {
	c.Helper()
	pod, err := c.api.CoreV1().Pods(namespace).Get(c.Context(), name, metav1.GetOptions{})
	c.must(err)
	return pod
}

func TestPreemptionDoesNotCrossADedication(t *testing.T) {
	w, err := sharedEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.mayDedicate(t.Context()); err != nil {
		t.Fatal(err)
	}
	args := dedicationArgs(forever)
	args["preemption"] = "Any"
	c := newFixtureWith(t, args)
	node := c.node(cpus("1"))
	acme := c.namespace(tenant("acme"))
	low := c.tenantPod(acme, cpu("1"), priority(lowPriority))
	c.expectOn(node, low)
	c.refused(c.tenantPod(c.namespace(tenant("globex")), cpu("1"), priority(highPriority)), foreignThere)
	if got := c.get(low); got.DeletionTimestamp != nil {
		t.Error("a pod was evicted for one that may not use its node")
	}
	// Within the dedication preemption works as usual.
	high := c.tenantPod(acme, cpu("1"), priority(highPriority))
	c.expectOn(node, high)
	c.expectDedication(node, acmeAlone)
}

func TestDedicationSeesOtherSchedulersPods(t *testing.T) {
	c := newDedicating(t, map[string]any{"settleTime": "5s", "releaseAfter": "5s"})
	node := c.node()
	waiting := c.tenantPod(c.namespace(tenant("acme")))
	c.eventually("the dedication of "+node, func(context.Context) (bool, error) { return c.dedicationOn(node) != "", nil })
	// As if decided before the taint was seen; there is no fence in this test.
	stray := c.pod(c.namespace(), boundTo(node))
	c.refused(waiting, foreignThere)
	c.released(node)
	c.remove(stray)
	c.expectOn(node, waiting)
}

// A pod that another scheduler bound while the node was being dedicated takes its room there.
func TestDedicationCountsOtherSchedulersPods(t *testing.T) {
	c := newDedicating(t, map[string]any{"settleTime": "5s", "releaseAfter": "5s"})
	acme := c.namespace(tenant("acme"))
	node := c.node(cpus("2"))
	waiting := c.tenantPod(acme, cpu("1500m"))
	c.eventually("the dedication of "+node, func(context.Context) (bool, error) { return c.dedicationOn(node) != "", nil })
	later := c.tenantPod(acme, cpu("400m"), named("later"))
	// Of the same trust domain, so the rule admits both.
	stray := c.pod(acme, boundTo(node), cpu("800m"), named("stray"))
	c.expectOn(node, later)
	c.refused(waiting, "Insufficient cpu")
	c.remove(stray)
	c.expectOn(node, waiting)
}

func TestDedicationDisabledWritesNoNode(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	before := c.getNode(node)
	pod := c.pod(c.namespace(tenant("acme")))
	c.expectOn(node, pod)
	if got := c.getNode(node).ResourceVersion; got != before.ResourceVersion {
		t.Errorf("the node was written: version %s, before %s", got, before.ResourceVersion)
	}
	if token, ok := c.get(pod).Annotations[dedication.TokenAnnotation]; ok {
		t.Errorf("the pod has the token %q", token)
	}
}

// A tenant puts a tiny VM on each node that another one has opened, and stays when that one
// leaves: it has as many nodes as it may have then, and the other one has none.
func TestSharedNodesAreChargedToThoseWhoAreThere(t *testing.T) {
	c := newDedicating(t, map[string]any{"maxNodesPerTenant": 2})
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"))
	var victims []*corev1.Pod
	for range 2 {
		node := c.node(kataCapable)
		victim := c.tenantPod(acme, runtimeClass(kata), onlyOn(node))
		c.expectOn(node, victim)
		c.expectOn(node, c.tenantPod(globex, runtimeClass(kata), cpu("1m"), onlyOn(node)))
		victims = append(victims, victim)
	}
	free := c.node(kataCapable)
	another := c.tenantPod(globex, runtimeClass(kata), onlyOn(free))
	c.refused(another, limitReached)
	for _, victim := range victims {
		c.remove(victim)
	}
	c.expectOn(free, c.tenantPod(acme, runtimeClass(kata), onlyOn(free)))
	c.stillRefused(another)
}

// Containers select nodes for VMs, one each: those stay free for VMs while there are others.
func TestContainersAvoidNodesForVMs(t *testing.T) {
	c := newDedicating(t)
	acme := c.namespace(tenant("acme"))
	forVMs := c.node(kataCapable)
	alone := c.tenantPod(acme, onlyOn(forVMs), named("alone"))
	c.expectOn(forVMs, alone)
	c.remove(alone)
	c.released(forVMs)

	plain := c.node(plainOnly, cpus("1"))
	selecting := c.tenantPod(acme, onlyOn(forVMs), named("selecting"))
	c.refused(selecting, keptForVMs)
	c.expectOn(plain, c.tenantPod(acme, cpu("1"), named("at-home")))
	// That the others are full or another tenant's does not open the nodes for VMs.
	c.refused(c.tenantPod(acme, cpu("1"), named("second")), keptForVMs)
	c.refused(c.tenantPod(c.namespace(tenant("globex")), named("guest")), keptForVMs)
	c.stillRefused(selecting)
	// A pod for which there are no others has to have them.
	large := c.tenantPod(acme, cpu("2"), named("large"))
	c.expectOn(forVMs, large)
}
