package integration

import "testing"

func TestVMsOfTwoTenantsShareANode(t *testing.T) {
	c := newFixture(t)
	node := c.node(kataCapable)
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"), dataClass("restricted"))
	c.expectOn(node, c.pod(acme, runtimeClass(kata)))
	c.expectOn(node, c.pod(globex, runtimeClass(kata)))
	// A VM of another hypervisor has a kernel of its own too.
	c.expectOn(node, c.pod(globex, runtimeClass(otherKata), ownUserNamespace))
}

func TestVMAndContainerDoNotShareANode(t *testing.T) {
	for name, tc := range map[string]struct{ resident, incoming []podOption }{
		"a virtual machine comes to a container": {nil, []podOption{runtimeClass(kata)}},
		"a container comes to a virtual machine": {[]podOption{runtimeClass(kata)}, nil},
		"a sandbox comes to a virtual machine":   {[]podOption{runtimeClass(kata)}, []podOption{runtimeClass(gvisor)}},
		"a sandbox comes to a sandbox":           {[]podOption{runtimeClass(gvisor)}, []podOption{runtimeClass(gvisor)}},
		"a class without a boundary comes to a virtual machine": {
			[]podOption{runtimeClass(kata)}, []podOption{runtimeClass(plainClass)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node(kataCapable)
			c.expectOn(node, c.pod(c.namespace(tenant("acme")), tc.resident...))
			incoming := c.pod(c.namespace(tenant("globex")), tc.incoming...)
			c.refused(incoming, foreignThere)
			free := c.node(kataCapable)
			c.expectOn(free, incoming)
		})
	}
}

func TestContainerClosesANodeOfVMs(t *testing.T) {
	c := newFixture(t)
	node := c.node(kataCapable)
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"))
	c.expectOn(node, c.pod(acme, runtimeClass(kata)))
	c.expectOn(node, c.pod(acme))
	c.refused(c.pod(globex, runtimeClass(kata)), foreignThere)
}

func TestSandboxesShareANodeIfConfigured(t *testing.T) {
	c := newFixtureWith(t, map[string]any{"boundaries": map[string]any{"minimum": "sandbox"}})
	node := c.node(kataCapable)
	acme, globex := c.namespace(tenant("acme")), c.namespace(tenant("globex"))
	c.expectOn(node, c.pod(acme, runtimeClass(gvisor)))
	c.expectOn(node, c.pod(globex, runtimeClass(gvisor)))
	c.expectOn(node, c.pod(globex, runtimeClass(kata)))
	c.refused(c.pod(globex), foreignThere)
}

func TestBoundaryDemandedByTheNamespace(t *testing.T) {
	for name, tc := range map[string]struct {
		demand string
		pod    []podOption
		weak   bool
	}{
		"a container where a sandbox is demanded":         {"sandbox", nil, true},
		"a sandbox where a sandbox is demanded":           {"sandbox", []podOption{runtimeClass(gvisor)}, false},
		"a virtual machine where a sandbox is demanded":   {"sandbox", []podOption{runtimeClass(kata)}, false},
		"a container where a virtual machine is demanded": {"vm", nil, true},
		"a sandbox where a virtual machine is demanded":   {"vm", []podOption{runtimeClass(gvisor)}, true},
		"a virtual machine where one is demanded":         {"vm", []podOption{runtimeClass(kata)}, false},
		"a virtual machine with a door in it":             {"vm", []podOption{runtimeClass(kata), hostPath}, true},
		"a container where a container will do":           {"container", nil, false},
		"a container where a node is demanded":            {"node", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node(kataCapable)
			pod := c.pod(c.namespace(tenant("acme"), boundary(tc.demand)), tc.pod...)
			if tc.weak {
				c.refused(pod, boundaryWeak)
				return
			}
			c.expectOn(node, pod)
		})
	}
}

func TestBoundaryNodeSharesWithNoOther(t *testing.T) {
	t.Run("where the demanding pod was first", func(t *testing.T) {
		c := newFixture(t)
		node := c.node(kataCapable)
		demanding := c.namespace(tenant("acme"), boundary("node"))
		c.expectOn(node, c.pod(demanding, runtimeClass(kata)))
		c.expectOn(node, c.pod(demanding, runtimeClass(kata)))
		c.refused(c.pod(c.namespace(tenant("globex")), runtimeClass(kata)), foreignThere)
	})
	t.Run("where it came second", func(t *testing.T) {
		c := newFixture(t)
		node := c.node(kataCapable)
		c.expectOn(node, c.pod(c.namespace(tenant("globex")), runtimeClass(kata)))
		c.refused(c.pod(c.namespace(tenant("acme"), boundary("node")), runtimeClass(kata)), foreignThere)
	})
}
