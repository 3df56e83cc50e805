package integration

import (
	"testing"
)

// A virtual machine with access to the host counts as a container.
func TestVMThatSharesTheHost(t *testing.T) {
	for name, door := range map[string]podOption{
		"host network":                hostNetwork,
		"host PIDs":                   hostPID,
		"host IPC":                    hostIPC,
		"a host path":                 hostPath,
		"a privileged container":      privileged,
		"a privileged init container": privilegedInit,
		"an annotation that configures the guest": annotated(kataAnnotation, "true"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("comes to a virtual machine", func(t *testing.T) {
				c := newFixture(t)
				node := c.node(kataCapable)
				c.expectOn(node, c.pod(c.namespace(tenant("acme")), runtimeClass(kata)))
				c.refused(c.pod(c.namespace(tenant("globex")), runtimeClass(kata), door), foreignThere)
			})
			t.Run("has a virtual machine come to it", func(t *testing.T) {
				c := newFixture(t)
				node := c.node(kataCapable)
				c.expectOn(node, c.pod(c.namespace(tenant("globex")), runtimeClass(kata), door))
				c.refused(c.pod(c.namespace(tenant("acme")), runtimeClass(kata)), foreignThere)
			})
		})
	}
}

// A pod of the tenant globex tries to join one of acme, or one of globex in another trust domain, by
// what it writes into its own labels, annotations and spec.
func TestSpoofedPodsGainNothing(t *testing.T) {
	acme, globex := []label{tenant("acme")}, []label{tenant("globex")}
	secret := []label{tenant("globex"), dataClass("confidential")}
	for name, tc := range map[string]struct {
		victimNS   []label
		victim     []podOption
		attackerNS []label
		attacker   []podOption
		reason     string
	}{
		"another tenant's label": {
			victimNS: acme, attackerNS: globex, attacker: []podOption{labelled(tenant("acme"))}, reason: tenantMismatch,
		},
		"an empty tenant label": {
			victimNS: acme, attackerNS: globex, attacker: []podOption{labelled(tenant(""))}, reason: tenantMismatch,
		},
		"another tenant's label in a namespace without a tenant": {
			victimNS: acme, attackerNS: nil, attacker: []podOption{labelled(tenant("acme"))}, reason: noTenant,
		},
		"a lower data class": {
			victimNS: []label{tenant("globex"), dataClass("public")}, attackerNS: secret,
			attacker: []podOption{labelled(dataClass("public"))}, reason: foreignThere,
		},
		"no data class at all": {
			victimNS: globex, attackerNS: secret, attacker: []podOption{labelled(dataClass("unclassified"))}, reason: foreignThere,
		},
		"a data class that does not exist": {
			victimNS: globex, attackerNS: secret, attacker: []podOption{labelled(dataClass("aaa"))}, reason: classUnknown,
		},
		"a lower privilege than its container asks for": {
			victimNS: globex, victim: []podOption{restrictedSpec}, attackerNS: globex,
			attacker: []podOption{privileged, labelled(privilege("restricted"))}, reason: foreignThere,
		},
		"a lower privilege than its init container asks for": {
			victimNS: globex, attackerNS: globex,
			attacker: []podOption{privilegedInit, labelled(privilege("baseline"))}, reason: foreignThere,
		},
		"a lower privilege than its namespace says": {
			victimNS: globex, attackerNS: []label{tenant("globex"), privilege("privileged")},
			attacker: []podOption{labelled(privilege("baseline"))}, reason: foreignThere,
		},
		"a privilege that does not exist": {
			victimNS: globex, attackerNS: globex, attacker: []podOption{labelled(privilege("none"))}, reason: privilegeUnknown,
		},
		"a boundary of its own": {
			victimNS: acme, victim: []podOption{runtimeClass(kata)}, attackerNS: globex,
			attacker: []podOption{labelled(boundary("vm"))}, reason: foreignThere,
		},
		"a virtual machine with the host's directories in it": {
			victimNS: acme, victim: []podOption{runtimeClass(kata)}, attackerNS: globex,
			attacker: []podOption{runtimeClass(kata), hostPath}, reason: foreignThere,
		},
		"the evidence of another trust domain": {
			victimNS: acme, attackerNS: globex, attacker: []podOption{annotated("tenantisolation.dev/trust-domain",
				"tenant=acme,data-class=unclassified,privilege=baseline,user-namespace=host,boundary=container")},
			reason: foreignThere,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newFixture(t)
			node := c.node(kataCapable)
			victim := c.pod(c.namespace(tc.victimNS...), tc.victim...)
			c.expectOn(node, victim)
			attacker := c.pod(c.namespace(tc.attackerNS...), tc.attacker...)
			c.refused(attacker, tc.reason)

			// The other way round: what it wrote does not let others join it either.
			c.remove(attacker)
			c.remove(victim)
			c.pod(attacker.Namespace, append(tc.attacker, boundTo(node))...)
			c.refused(c.pod(victim.Namespace, tc.victim...), foreignThere)
		})
	}
}

func TestEphemeralContainerRaisesThePrivilege(t *testing.T) {
	t.Run("in a pod that waits", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		ns := c.namespace(tenant("globex"))
		c.expectOn(node, c.pod(ns))
		pod := c.pod(ns, gated, labelled(privilege("baseline")))
		c.debug(pod)
		c.patchPod(pod, `{"spec":{"schedulingGates":null}}`)
		c.refused(pod, foreignThere)
	})
	// A scheduler cannot undo what is there already; it lets no other pod in.
	t.Run("in a pod that is on a node", func(t *testing.T) {
		c := newFixture(t)
		node := c.node()
		ns := c.namespace(tenant("globex"))
		resident := c.pod(ns)
		c.expectOn(node, resident)
		c.debug(resident)
		c.refused(c.pod(ns), foreignThere)
		c.expectOn(node, c.pod(ns, privileged))
	})
	t.Run("in a virtual machine", func(t *testing.T) {
		c := newFixture(t)
		node := c.node(kataCapable)
		resident := c.pod(c.namespace(tenant("globex")), runtimeClass(kata))
		c.expectOn(node, resident)
		c.debug(resident)
		c.refused(c.pod(c.namespace(tenant("acme")), runtimeClass(kata)), foreignThere)
	})
}

// The scheduler writes what it judged onto the pod: evidence for others, which it does not read.
func TestStampOfAPlacedPod(t *testing.T) {
	c := newFixture(t)
	node := c.node(kataCapable)
	ns := c.namespace(tenant("acme"), dataClass("internal"))
	for _, tc := range []struct {
		options []podOption
		want    string
	}{
		{nil, "tenant=acme,data-class=internal,privilege=baseline,user-namespace=host,boundary=container"},
		{[]podOption{annotated("tenantisolation.dev/trust-domain", "a lie")}, "tenant=acme,data-class=internal,privilege=baseline,user-namespace=host,boundary=container"},
		{[]podOption{runtimeClass(kata)}, "tenant=acme,data-class=internal,privilege=baseline,user-namespace=host,boundary=vm"},
		{[]podOption{runtimeClass(kata), hostPath}, "tenant=acme,data-class=internal,privilege=privileged,user-namespace=host,boundary=container"},
		{
			[]podOption{restrictedSpec, ownUserNamespace, labelled(dataClass("confidential")), runtimeClass(gvisor)},
			"tenant=acme,data-class=confidential,privilege=restricted,user-namespace=pod,boundary=sandbox",
		},
	} {
		pod := c.pod(ns, tc.options...)
		c.expectOn(node, pod)
		if got := c.get(pod).Annotations["tenantisolation.dev/trust-domain"]; got != tc.want {
			t.Errorf("evidence %q, want %q", got, tc.want)
		}
		c.remove(pod)
	}
	platform := c.platformPod("kube-system")
	c.expectOn(node, platform)
	if got, there := c.get(platform).Annotations["tenantisolation.dev/trust-domain"]; there {
		t.Errorf("a platform pod, which is never judged, has %q", got)
	}
}
