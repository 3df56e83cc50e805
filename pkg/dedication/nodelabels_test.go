package dedication

import (
	"fmt"
	"maps"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

const (
	ofAcme           = "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host"
	ofAcmePrivileged = "tenant=acme,data-class=unclassified,privilege=privileged,user-namespace=host"
	ofVMs            = "tenant=vm,data-class=vm,privilege=vm,user-namespace=vm"
	ofUnmanaged      = "tenant=unmanaged,data-class=unmanaged,privilege=unmanaged,user-namespace=unmanaged"
	none             = "none"
)

// labelledNodes has nodes labelled by default, as those of Karpenter are.
func labelledNodes(c *Config) {
	c.LabelledNodes = labels.SelectorFromSet(labels.Set{"pool": "karpenter"})
}

// inPool makes a node one of those that are labelled.
func inPool(n *v1.Node) { setLabels(map[string]string{"pool": "karpenter"})(n) }

func setLabels(set map[string]string) func(*v1.Node) {
	return func(n *v1.Node) {
		if n.Labels == nil {
			n.Labels = map[string]string{}
		}
		maps.Copy(n.Labels, set)
	}
}

// labelsAre fails unless n1 has these labels, of one policy.
func (w *world) labelsAre(when, want string) {
	w.t.Helper()
	parsed, found := w.policy.Load().ParseNodeLabels(w.getNode("n1").Labels)
	got := parsed.String()
	if found && got == none {
		got = fmt.Sprintf("malformed: %v", w.getNode("n1").Labels)
	}
	if got != want {
		w.t.Errorf("%s: labels %s, want %s", when, got, want)
	}
}

// settle notifies the engine of n1 and lets everything be done that is due, but no release.
func (v *view) settle() {
	v.engine.NodeChanged("n1")
	v.sleep(5 * time.Second)
}

// labelled starts a leader of a world with a labelled node n1 whose pods no write may break.
func (w *world) labelled(change ...func(*v1.Node)) *view {
	w.t.Helper()
	w.node("n1", append([]func(*v1.Node){inPool}, change...)...)
	w.keepsPods()
	return w.leader(labelledNodes)
}

func TestLabelsOfDedicatedNode(t *testing.T) {
	tests := map[string]struct {
		pod  []func(*v1.Pod)
		want string
	}{
		"a container":             {nil, ofAcme},
		"of another privilege":    {[]func(*v1.Pod){privileged}, ofAcmePrivileged},
		"a VM":                    {[]func(*v1.Pod){inVM}, ofVMs},
		"a VM that shares nobody": {[]func(*v1.Pod){inVM, privileged}, ofVMs},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.labelled()
				pod := w.pod("web", "acme", append(tc.pod, w.affine)...)
				w.resetCounts()
				p.mustPlace(pod, "n1")
				w.labelsAre("dedicated", tc.want)
				if got := w.writesOf("nodes"); got != 1 {
					w.t.Errorf("opening wrote the node %d times, want taints and labels in one", got)
				}
				p.settle()
				p.removeAndNotify(pod)
				p.settle()
				w.labelsAre("empty, and not released yet", tc.want)
				if got := w.writesOf("nodes"); got != 1 {
					w.t.Errorf("%d writes of the node, want none after the opening", got)
				}
				w.sleep(2 * releaseAfter)
				w.labelsAre("released", none)
				if got := w.writesOf("nodes"); got != 2 {
					w.t.Errorf("%d writes of the node, want taints and labels removed in one", got)
				}
			})
		})
	}
}

func TestLabelsFollowSelector(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node("n1")
		w.keepsPods()
		p := w.leader(labelledNodes)
		p.mustPlace(w.pod("web", "acme", w.affine), "n1")
		p.settle()
		w.labelsAre("not selected", none)

		w.node("n1", inPool)
		p.settle()
		w.labelsAre("registered by the autoscaler later", ofAcme)

		other := *p.engine.settings()
		other.LabelledNodes = labels.SelectorFromSet(labels.Set{"pool": "other"})
		p.engine.Configure(other)
		w.sleep(5 * time.Second)
		w.labelsAre("another selector", none)

		other.LabelledNodes = labels.Everything()
		p.engine.Configure(other)
		w.sleep(5 * time.Second)
		w.labelsAre("all nodes", ofAcme)

		other.LabelledNodes = nil
		p.engine.Configure(other)
		w.sleep(5 * time.Second)
		w.labelsAre("no nodes", none)
	})
}

func TestLabelsOfFreeNode(t *testing.T) {
	birth := isolation.NodeLabels{"acme", "public", "baseline", "pod"}
	random := isolation.NodeLabels{"2837465", "918273", "4711", "12"}.Map()
	partly := birth.Map()
	delete(partly, isolation.NodeLabelKey(isolation.AxisPrivilege))
	former := map[string]string{"tenantisolation.dev/tenant": "acme", "tenantisolation.dev/data-class": "public", "tenantisolation.dev/boundary": "vm"}
	tests := map[string]struct {
		on   map[string]string
		pods []string
		want string
	}{
		"nothing":                              {nil, nil, none},
		"of the trust domain that waits":       {birth.Map(), nil, birth.String()},
		"for VMs":                              {isolation.VMNodeLabels().Map(), nil, ofVMs},
		"made up":                              {random, nil, none},
		"not all":                              {partly, nil, none},
		"of pods that are gone":                {isolation.UnmanagedNodeLabels().Map(), nil, none},
		"of an earlier release":                {former, nil, none},
		"pods without a tenant":                {nil, []string{"", ""}, ofUnmanaged},
		"pods without a tenant came instead":   {birth.Map(), []string{""}, ofUnmanaged},
		"made up, under pods without a tenant": {random, []string{""}, ofUnmanaged},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.node("n1", inPool, setLabels(tc.on))
				for i, tenant := range tc.pods {
					w.bindPod(w.pod(fmt.Sprint(i), tenant), "n1")
				}
				w.bindPod(w.pod("agent", "", platform), "n1")
				p := w.leader(labelledNodes)
				p.settle()
				w.labelsAre("a leader is there", tc.want)
				for key := range former {
					if _, has := w.getNode("n1").Labels[key]; has {
						w.t.Errorf("label %s of an earlier release is left", key)
					}
				}
				w.resetCounts()
				w.sleep(5 * time.Minute)
				if got := w.writesOf("nodes"); got != 0 {
					w.t.Errorf("%d writes without need", got)
				}
			})
		})
	}
}

func TestLabelsOfUnmanagedPods(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.labelled()
		stray := w.pod("stray", "")
		w.bindPod(stray, "n1")
		p.settle()
		w.labelsAre("a pod without a tenant came", ofUnmanaged)
		p.removeAndNotify(stray)
		p.settle()
		w.labelsAre("and went", none)
		w.bindPod(stray, "n1")
		w.node("n1", func(n *v1.Node) { delete(n.Labels, "pool") })
		p.settle()
		w.labelsAre("on a node of another pool", none)
	})
}

// A node that waits for its reboot may be used again by its tenant, at any privilege.
func TestLabelsOfVacatedNode(t *testing.T) {
	inWorld(t, func(w *world) {
		w.node("n1", inPool)
		w.keepsPods()
		p := w.leader(labelledNodes, func(c *Config) { c.NodeReuse = ReuseAfterReboot })
		pod := w.pod("web", "acme", w.affine)
		p.mustPlace(pod, "n1")
		p.removeAndNotify(pod)
		w.sleep(2 * time.Minute)
		if !w.dedicated("n1") {
			t.Error("the node is released without a reboot")
		}
		w.labelsAre("waits for a reboot", none)
		p.mustPlace(w.pod("next", "acme", privileged, w.affine), "n1")
		p.settle()
		w.labelsAre("used again", ofAcmePrivileged)
	})
}

// What the leader has written and somebody else has changed is written again, once.
func TestLabelsAreRestored(t *testing.T) {
	for name, change := range map[string]func(*v1.Node){
		"removed":        func(n *v1.Node) { n.Labels = map[string]string{"pool": "karpenter"} },
		"some are":       func(n *v1.Node) { delete(n.Labels, isolation.NodeLabelKey(isolation.AxisTenant)) },
		"another tenant": setLabels(map[string]string{isolation.NodeLabelKey(isolation.AxisTenant): "bolt"}),
		"for VMs":        setLabels(isolation.VMNodeLabels().Map()),
		"former ones":    setLabels(map[string]string{"tenantisolation.dev/tenant": "acme"}),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p := w.labelled()
				p.mustPlace(w.pod("web", "acme", w.affine), "n1")
				w.node("n1", change)
				w.resetCounts()
				p.settle()
				w.labelsAre("written again", ofAcme)
				if _, has := w.getNode("n1").Labels["tenantisolation.dev/tenant"]; has {
					w.t.Error("the label of an earlier release is left")
				}
				if got := w.writesOf("nodes"); got != 1 {
					w.t.Errorf("%d writes of the node", got)
				}
			})
		})
	}
}

func TestLabelsAfterTakeover(t *testing.T) {
	t.Run("an earlier release has labelled the node as it tainted it", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.openedBefore()
			w.node("n1", inPool, setLabels(map[string]string{"tenantisolation.dev/tenant": "acme", "tenantisolation.dev/data-class": "unclassified"}))
			w.keepsPods()
			p := w.leader(labelledNodes)
			p.settle()
			w.labelsAre("taken over", ofAcme)
			if _, has := w.getNode("n1").Labels["tenantisolation.dev/tenant"]; has {
				w.t.Error("the label of an earlier release is left")
			}
		})
	})
	t.Run("the labels of an empty node stay until its release", func(t *testing.T) {
		inWorld(t, func(w *world) {
			pod := w.openedBefore()
			w.removePod(pod)
			own := isolation.NodeLabels{"acme", "unclassified", "baseline", "pod"}
			w.node("n1", inPool, setLabels(own.Map()))
			p := w.leader(labelledNodes)
			p.settle()
			w.labelsAre("taken over", own.String())
			w.sleep(2 * releaseAfter)
			w.labelsAre("released", none)
		})
	})
	t.Run("pods that others placed are adopted with labels", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.node("n1", inPool)
			pod := w.pod("web", "acme")
			w.bindPod(pod, "n1")
			p := w.leader(labelledNodes)
			p.settle()
			w.labelsAre("adopted", ofAcme)
			p.removeAndNotify(pod)
			p.settle()
			w.labelsAre("empty, and not released yet", ofAcme)
		})
	})
}

func TestLabelsOfDisabledDedication(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.labelled()
		p.mustPlace(w.pod("web", "acme", w.affine), "n1")
		w.node("n2", inPool, setLabels(isolation.NodeLabels{"acme", "public", "baseline", "pod"}.Map()))
		p.engine.NodeChanged("n2")
		p.settle()
		if !Marked(w.getNode("n2")) {
			t.Error("an autoscaler's labels are gone")
		}
		off := *p.engine.settings()
		off.Enabled = false
		p.engine.Configure(off)
		w.sleep(5 * time.Second)
		for _, name := range []string{"n1", "n2"} {
			if node := w.getNode(name); Marked(node) {
				t.Errorf("%s still has %v", name, node.Labels)
			}
		}
	})
}
