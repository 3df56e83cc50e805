package integration

import (
	"slices"
	"testing"
)

func TestPlacementOfOneTrustDomain(t *testing.T) {
	c := newFixture(t)
	node := c.node()
	ns := c.namespace(tenant("acme"))
	other := c.namespace(tenant("acme"))
	c.expectOn(node, c.pod(ns), c.pod(ns), c.pod(other))
}

// One node, one resident, and one pod that differs from it in one property.
func TestPlacementOfAnotherTrustDomain(t *testing.T) {
	for name, tc := range map[string]struct {
		resident, incoming     []podOption
		residentNS, incomingNS []label
	}{
		"another tenant": {
			incomingNS: []label{tenant("globex")},
		},
		"another data class, by its namespace": {
			incomingNS: []label{tenant("acme"), dataClass("confidential")},
		},
		"another data class, by its own label": {
			incoming: []podOption{labelled(dataClass("confidential"))},
		},
		"more privilege": {
			incoming: []podOption{privileged},
		},
		"less privilege": {
			incoming: []podOption{restrictedSpec},
		},
		"more privilege, by its own label": {
			incoming: []podOption{labelled(privilege("privileged"))},
		},
		"a user namespace of its own": {
			incoming: []podOption{ownUserNamespace},
		},
		"a host user beside a user namespace of its own": {
			resident: []podOption{ownUserNamespace},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node()
			if tc.incomingNS == nil {
				tc.incomingNS = []label{tenant("acme")}
			}
			resident := c.pod(c.namespace(tenant("acme")), tc.resident...)
			c.expectOn(node, resident)
			incoming := c.pod(c.namespace(tc.incomingNS...), tc.incoming...)
			c.refused(incoming, foreignThere)
			// The refusal is about the node, not the pod.
			free := c.node()
			c.expectOn(free, incoming)
		})
	}
}

// Among nodes that fit, one that is dedicated already comes first, then free nodes without VMs, so
// that machines which can host several tenants stay free for them.
func TestPlacementOpensANewNodeLast(t *testing.T) {
	c := newFixture(t)
	plain := []string{c.node(plainOnly), c.node(plainOnly)}
	capable := []string{c.node(kataCapable), c.node(kataCapable), c.node(kataCapable)}
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"))

	first := c.placed(c.pod(acme))
	if !slices.Contains(plain, first) {
		t.Errorf("a container opened %s, which can start virtual machines, before a plain node", first)
	}
	c.expectOn(first, c.pod(acme), c.pod(acme))

	machine := c.placed(c.pod(acme, runtimeClass(kata), restrictedSpec))
	if !slices.Contains(capable, machine) {
		t.Errorf("a virtual machine is on %s, want one of %v", machine, capable)
	}
	c.expectOn(machine, c.pod(globex, runtimeClass(kata)), c.pod(c.namespace(tenant("initech")), runtimeClass(kata)))

	second := c.placed(c.pod(globex))
	if !slices.Contains(plain, second) || second == first {
		t.Errorf("a container of another tenant is on %s, want the second plain node", second)
	}
}
