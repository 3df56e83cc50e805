package dedication

import (
	"errors"
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const nodesOfAVictim = 4

// sharedNodes has the victim open all of its nodes for VMs and another tenant join as many of
// them as it may; then the victim leaves. It returns how many the other one has joined.
func sharedNodes(w *world, p *view) (joined int) {
	w.t.Helper()
	var left []*v1.Pod
	for i := range nodesOfAVictim {
		node := fmt.Sprintf("n%d", i)
		w.node(node)
		pod := w.pod("victim-"+node, "acme", inVM)
		p.mustPlace(pod, node)
		left = append(left, pod)
		switch err := p.place(w.pod("tiny-"+node, "bolt", inVM), node); {
		case err == nil:
			joined++
		case !errors.Is(err, ErrTooManyNodes):
			w.t.Errorf("another tenant's VM: got %v, want %v", err, ErrTooManyNodes)
		}
	}
	for _, pod := range left {
		w.removePod(pod)
	}
	for i := range nodesOfAVictim {
		p.engine.NodeChanged(fmt.Sprintf("n%d", i))
	}
	w.sleep(releaseAfter + 2*settleTime)
	return joined
}

// A tenant puts one tiny VM on each node that another one has opened, and stays when that one
// leaves: the nodes are its own from then on.
func TestNodesAreChargedToThoseWhoAreThere(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		p := w.leader(func(c *Config) { c.MaxNodesPerTenant = intstr.FromInt32(nodesOfAVictim) })
		if joined := sharedNodes(w, p); joined != nodesOfAVictim {
			t.Fatalf("%d VMs joined, want %d", joined, nodesOfAVictim)
		}
		w.node("free")
		if err := p.place(w.pod("more", "bolt"), "free"); !errors.Is(err, ErrTooManyNodes) {
			t.Errorf("the tenant that is on all nodes: got %v, want %v", err, ErrTooManyNodes)
		}
		p.mustPlace(w.pod("back", "acme"), "free")
	})
}

// A node that others have opened counts for who joins it, so the limit holds there too.
func TestLimitOfSharedNodes(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		p := w.leader(func(c *Config) { c.MaxNodesPerTenant = intstr.FromInt32(2) })
		w.node("n1")
		w.node("n2")
		w.node("n3")
		p.mustPlace(w.pod("opens-1", "acme", inVM), "n1")
		p.mustPlace(w.pod("opens-2", "acme", inVM), "n2")
		p.mustPlace(w.pod("opens-3", "dyna", inVM), "n3")
		joining := w.pod("joins", "acme", inVM)
		if err := p.place(joining, "n3"); !errors.Is(err, ErrTooManyNodes) {
			t.Errorf("a third node: got %v, want %v", err, ErrTooManyNodes)
		}
		p.mustPlace(w.pod("again", "acme", inVM), "n1")
		if waiting := p.engine.TenantsBelowLimit(); len(waiting) != 0 {
			t.Errorf("%v may have another node while nothing has changed", waiting)
		}
		for _, name := range []string{"opens-1", "again"} {
			w.removePod(w.pod(name, "acme"))
		}
		p.mustPlace(w.pod("takes over", "bolt", inVM), "n1")
		p.engine.NodeChanged("n1")
		w.sleep(settleTime)
		if waiting := p.engine.TenantsBelowLimit(); !waiting["acme"] {
			t.Errorf("%v may have another node, want acme, which has left one", waiting)
		}
		p.mustPlace(joining, "n3")
	})
}

// An empty node stays charged to those who were there last, until it is released, also when
// another process has taken over meanwhile.
func TestEmptyNodeIsChargedToTheLast(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		limit := func(c *Config) { c.MaxNodesPerTenant = intstr.FromInt32(1) }
		first, stop := w.process(limit)
		first.lead()
		w.node("n1")
		w.node("n2")
		opens, stays := w.pod("opens", "acme", inVM), w.pod("stays", "bolt", inVM)
		first.mustPlace(opens, "n1")
		first.mustPlace(stays, "n1")
		first.removeAndNotify(opens)
		w.sleep(settleTime)
		first.removeAndNotify(stays)
		w.sleep(settleTime)
		stop()
		if got := w.getNode("n1").Annotations[OpenedByAnnotation]; got != "bolt" {
			t.Errorf("the node without pods says that it counts for %q, want bolt", got)
		}
		second := w.leader(limit)
		if err := second.place(w.pod("more", "bolt"), "n2"); !errors.Is(err, ErrTooManyNodes) {
			t.Errorf("the tenant that was there last: got %v, want %v", err, ErrTooManyNodes)
		}
		second.mustPlace(w.pod("new", "acme"), "n2")
		w.node("n3")
		w.sleep(releaseAfter + settleTime)
		second.mustPlace(w.pod("later", "bolt"), "n3")
	})
}

// A process that takes over charges a node by who is there, whatever the node says.
func TestTakeOverChargesThoseWhoAreThere(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		limit := func(c *Config) { c.MaxNodesPerTenant = intstr.FromInt32(1) }
		first, stop := w.process(limit)
		first.lead()
		w.node("n1")
		w.node("n2")
		opens := w.pod("opens", "acme", inVM)
		first.mustPlace(opens, "n1")
		first.mustPlace(w.pod("stays", "bolt", inVM), "n1")
		stop()
		w.removePod(opens)
		second := w.leader(limit)
		if err := second.place(w.pod("more", "bolt"), "n2"); !errors.Is(err, ErrTooManyNodes) {
			t.Errorf("the tenant that is there: got %v, want %v", err, ErrTooManyNodes)
		}
		second.mustPlace(w.pod("new", "acme"), "n2")
	})
}
