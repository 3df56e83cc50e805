package isolation

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random scenarios, to repeat a failure; 0 takes a new one")

// generator makes scenarios. pick answers 0 to n-1, from a random number or from
// the fuzzer's bytes; 0 is always the plainest choice, so that a short input of
// the fuzzer is a simple scenario.
type generator struct{ pick func(n int) int }

func randomGenerator(r *rand.Rand) generator { return generator{pick: r.IntN} }

// byteGenerator picks by one byte after the other, and 0 when they are used up.
func byteGenerator(data []byte) generator {
	return generator{pick: func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	}}
}

func oneOf[T any](g generator, values ...T) T { return values[g.pick(len(values))] }

// rarely is true about once in n times.
func (g generator) rarely(n int) bool { return g.pick(n) == n-1 }

// scenario is everything that a verdict depends on.
type scenario struct {
	config    Config
	policy    *Policy
	incoming  Pod
	residents []Pod
	machine
}

// scenario chooses its pods from a few namespaces, so that equal trust domains
// are as frequent as different ones.
func (g generator) scenario(tb testing.TB) scenario {
	tb.Helper()
	s := scenario{config: g.config()}
	policy, err := NewPolicy(s.config)
	if err != nil {
		tb.Fatalf("the generator made a faulty config: %v", err)
	}
	s.policy = policy
	namespaces := []*Namespace{g.namespace(), g.namespace(), g.namespace()}
	s.incoming = g.pod(namespaces)
	for range g.pick(7) {
		if g.pick(3) == 2 {
			s.residents = append(s.residents, s.incoming)
			continue
		}
		s.residents = append(s.residents, g.pod(namespaces))
	}
	if g.rarely(4) {
		s.handlers = map[string]bool{"runc": true, "kata": g.pick(4) > 0, "runsc": g.pick(4) > 0}
	}
	if g.rarely(3) {
		s.taints = g.taints(s)
		s.charged = oneOf(g, nil, []string{"acme"}, []string{"globex", "initech"})
	}
	s.confined = g.rarely(4)
	s.vmCapable, s.avoids = g.rarely(3), g.rarely(3)
	return s
}

// taints are more often those of one of the pods than others, and sometimes damaged.
func (g generator) taints(s scenario) map[string]string {
	dedication, ok := s.policy.Resolve(oneOf(g, append([]Pod{s.incoming}, s.residents...)...)).Dedication()
	if !ok || g.rarely(6) {
		dedication = oneOf(g, Dedication{shared: true}, Dedication{tenant: "acme", dataClass: "public"}, Dedication{tenant: "globex"})
	}
	taints := taintsOf(dedication)
	if g.rarely(8) {
		switch g.pick(4) {
		case 0:
			delete(taints, "data-class")
		case 1:
			taints["boundary"] = oneOf(g, "vm", "moat", "")
		case 2:
			taints["data-class"] = oneOf(g, "internal", "confidential", "secret", "")
		case 3:
			taints["tenant"] = oneOf(g, "initech", "")
		}
	}
	if len(taints) == 0 {
		return nil
	}
	return taints
}

const taintPrefix = "tenantisolation.dev/"

// taintsOf are the taints of a dedication as machine has them.
func taintsOf(c Dedication) map[string]string {
	taints := map[string]string{}
	for _, taint := range c.Taints() {
		taints[strings.TrimPrefix(taint.Key, taintPrefix)] = taint.Value
	}
	return taints
}

// dedicated reads the taints of a dedication as a node bears them.
func dedicated(p *Policy, taints map[string]string) (Dedication, bool) {
	list := []Taint{{Key: "node.kubernetes.io/unschedulable"}}
	for key, value := range taints {
		list = append(list, Taint{Key: taintPrefix + key, Value: value})
	}
	return p.ParseDedication(list)
}

func (g generator) config() Config {
	c := makeConfig()
	c.SeparateBy = []Axis{AxisTenant}
	for _, axis := range []Axis{AxisDataClass, AxisPrivilege, AxisUserNamespace} {
		if !g.rarely(4) {
			c.SeparateBy = append(c.SeparateBy, axis)
		}
	}
	c.ShareDataClasses = oneOf(g,
		nil,
		[][]string{{"internal", "confidential"}},
		[][]string{{"public", Unclassified}, {"restricted", "confidential"}},
	)
	c.SharePrivileges = oneOf(g,
		nil,
		[][]Privilege{{PrivilegeRestricted, PrivilegeBaseline}},
		[][]Privilege{{PrivilegePrivileged, PrivilegeBaseline}, {PrivilegeRestricted}},
	)
	c.MinimumBoundary = oneOf(g, BoundaryVM, BoundaryVM, BoundarySandbox)
	c.Preemption = oneOf(g, PreemptNever, PreemptSameTenant, PreemptAny)
	return c
}

func (g generator) namespace() *Namespace {
	ns := &Namespace{
		Name:             oneOf(g, "team-a", "team-b", "team-c", "team-d", "kube-system"),
		Labels:           map[string]string{},
		PlatformSelected: g.rarely(24),
	}
	switch g.pick(24) {
	case 23:
	case 22:
		ns.Labels[tenantLabel] = ""
	default:
		ns.Labels[tenantLabel] = oneOf(g, "acme", "acme", "globex", "initech")
	}
	g.labels(ns.Labels, 3)
	if g.rarely(4) {
		ns.Labels[boundaryLabel] = oneOf(g, "container", "sandbox", "vm", "node", "node", "moat")
	}
	return ns
}

// labels gives the labels that are valid on a namespace and on a pod alike, one
// in n of each key.
func (g generator) labels(labels map[string]string, n int) {
	if g.rarely(n) {
		labels[dataClassLabel] = oneOf(g, "public", "internal", "confidential", "restricted", Unclassified)
	}
	if g.rarely(n) {
		labels[privilegeLabel] = oneOf(g, "restricted", "baseline", "privileged")
	}
	if g.rarely(24 * n) {
		labels[dataClassLabel] = oneOf(g, "secret", "", "Public", "unknown")
	}
	if g.rarely(24 * n) {
		labels[privilegeLabel] = oneOf(g, "root", "", "Baseline", "unknown")
	}
}

func (g generator) pod(namespaces []*Namespace) Pod {
	p := Pod{
		Namespace: oneOf(g, namespaces...),
		Labels:    map[string]string{},
		Privilege: oneOf(g, PrivilegeRestricted, PrivilegeRestricted, PrivilegeRestricted, PrivilegeBaseline, PrivilegePrivileged),
	}
	if g.rarely(6) {
		p.UserNamespace = UserNamespacePod
	}
	g.labels(p.Labels, 8)
	switch g.pick(24) {
	case 23:
		p.Labels[tenantLabel] = oneOf(g, "acme", "globex", "")
	case 22:
		p.Labels[boundaryLabel] = oneOf(g, "vm", "container", "moat")
	case 21:
		p.Labels["app"] = "web"
	}
	switch g.pick(6) {
	case 1, 2, 3:
		p.RuntimeClass, p.RuntimeClassFound, p.Handler = "fast", true, "kata"
	case 4:
		p.RuntimeClass, p.RuntimeClassFound, p.Handler = "safe", true, "runsc"
	case 5:
		p.RuntimeClass, p.RuntimeClassFound, p.Handler = "odd", true, oneOf(g, "runc", "kata-of-mine", "KATA")
	}
	p.HandlerUncertain = g.rarely(12)
	p.OlderThanNamespace = g.rarely(48)
	if g.rarely(12) {
		p.HostAccess = oneOf(g, HostNetwork, HostPID, HostIPC, HostPath, PrivilegedContainer, RuntimeAnnotation, HostPID|HostIPC)
	}
	if g.rarely(8) {
		p.Annotations = oneOf(g,
			map[string]string{allowedAnnotation: "2"},
			map[string]string{"team": "a"},
			map[string]string{unlistedAnnotation: "/bin/sh"},
			map[string]string{allowedAnnotation: "2", "team": "a", unlistedAnnotation: "/bin/sh"},
		)
	}
	switch g.pick(64) {
	case 63:
		p.Namespace = nil
	case 62:
		p.RuntimeClass, p.RuntimeClassFound, p.Handler = "gone", false, ""
	case 61:
		p.Privilege = PrivilegeUnknown
	}
	return p
}

func (s scenario) subject() Subject { return s.policy.Resolve(s.incoming) }

// asking is the subject as its tenant may open nodes.
func (s scenario) asking() Subject {
	subject := s.subject()
	if s.confined {
		subject = subject.Confined()
	}
	if s.avoids {
		subject = subject.AvoidingVMNodes()
	}
	return subject
}

func (s scenario) subjects() []Subject {
	subjects := make([]Subject, 0, len(s.residents))
	for _, r := range s.residents {
		subjects = append(subjects, s.policy.Resolve(r))
	}
	return subjects
}

func (s scenario) node() *Node {
	n := makeNode(s.subjects()...)
	n.Handlers = s.handlers
	n.Dedication, n.Dedicated = dedicated(s.policy, s.taints)
	n.Charged = s.charged
	n.VMCapable = s.vmCapable
	return n
}

func (s scenario) verdict() Verdict { return decide(s.asking(), s.node()) }

func (s scenario) oracle() oracle { return oracle{s.config} }

// String writes a scenario so that a failure can be read.
func (s scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "separate by %v, share classes %v, share privileges %v, minimum %v, preemption %d\n",
		s.config.SeparateBy, s.config.ShareDataClasses, s.config.SharePrivileges, s.config.MinimumBoundary, s.config.Preemption)
	fmt.Fprintf(&b, "handlers %v, dedicated by taints %v, charged to %v, confined %t, for VMs %t, avoids those %t\n",
		s.handlers, s.taints, s.charged, s.confined, s.vmCapable, s.avoids)
	write := func(who string, p Pod) {
		j := s.oracle().judge(p)
		fmt.Fprintf(&b, "%s: %+v\n  in namespace %+v\n  which the oracle takes for %+v\n", who, p, p.Namespace, j)
	}
	write("incoming pod", s.incoming)
	for _, r := range s.residents {
		write("resident", r)
	}
	return b.String()
}

// forScenarios calls check with n random scenarios and stops at the first that
// fails it.
func forScenarios(t *testing.T, n int, check func(t *testing.T, g generator, s scenario)) {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("repeat with: go test ./pkg/isolation -run '^%s$' -seed=%d", t.Name(), seed)
	g := randomGenerator(rand.New(rand.NewPCG(seed, 0)))
	for i := range n {
		s := g.scenario(t)
		check(t, g, s)
		if t.Failed() {
			t.Fatalf("scenario %d:\n%s", i, s)
		}
	}
}
