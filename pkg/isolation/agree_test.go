package isolation

import (
	"math/rand/v2"
	"testing"
)

// checkAgainstOracle compares all that the core says of a scenario with what the
// oracle says.
func checkAgainstOracle(t *testing.T, s scenario) {
	t.Helper()
	o := s.oracle()
	incoming, node := s.asking(), s.node()
	got := Decide(&incoming, node)
	want := o.decide(s.incoming, s.residents, s.machine)

	if got.Allowed() != want.allow {
		t.Errorf("allowed: core %t (%s), oracle %t (%v)", got.Allowed(), got.Reason(), want.allow, want.reasons)
	}
	if !want.reasons[got.Reason()] {
		t.Errorf("reason: core %s, oracle one of %v", got.Reason(), want.reasons)
	}
	if got, want := s.policy.MayEvict(got), o.mayEvict(s.incoming, s.residents, s.machine); got != want {
		t.Errorf("may evict: core %t, oracle %t", got, want)
	}
	checkFamily(t, s, got.Reason())

	counted, holds := 0, false
	for i, resident := range s.subjects() {
		checkSubject(t, o, s.residents[i], resident)
		judged := o.judge(s.residents[i])
		if !judged.platform {
			counted++
		}
		same := judged.resolved && o.judge(s.incoming).resolved && o.sameDomain(o.judge(s.incoming), judged)
		if got := incoming.SharesKernelWith(resident); got != same {
			t.Errorf("shares a kernel with resident %d: core %t, oracle %t", i, got, same)
		}
		holds = holds || same
	}
	checkSubject(t, o, s.incoming, incoming)
	if got := node.Occupancy.Len(); got != counted {
		t.Errorf("residents that count: core %d, oracle %d", got, counted)
	}
	if got := node.Occupancy.Holds(incoming); got != holds {
		t.Errorf("holds the incoming pod's trust domain: core %t, oracle %t", got, holds)
	}
}

// checkFamily: a reason is about the pod exactly if no node would take it, and
// about residents only if the node without them would.
func checkFamily(t *testing.T, s scenario, r Reason) {
	t.Helper()
	o := s.oracle()
	anywhere := o.decide(s.incoming, nil, machine{})
	if r.AboutPod() == anywhere.allow {
		t.Errorf("%s is about the pod: %t, but an empty node takes it: %t", r, r.AboutPod(), anywhere.allow)
	}
	emptied := s.machine
	emptied.confined, emptied.avoids = false, false
	if without := o.decide(s.incoming, nil, emptied); r.AboutResidents() && !without.allow {
		t.Errorf("%s is about residents, but without them the node denies for %v", r, without.reasons)
	}
	if families := count(r.Admits(), r.AboutPod(), r.AboutResidents(), r == MissingHandler, r == ForeignDedication, r == NodeLimit, r == KeptForVMs); families != 1 {
		t.Errorf("%s is of %d families, want exactly one", r, families)
	}
}

func count(conditions ...bool) int {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

func checkSubject(t *testing.T, o oracle, p Pod, got Subject) {
	t.Helper()
	want := o.judge(p)
	reason, denied := got.Denied()
	if denied != (len(want.faults) > 0) || (denied && !want.faults[reason]) {
		t.Errorf("subject is denied: core %t (%s), oracle %v", denied, reason, want.faults)
	}
	if got.Platform() != want.platform {
		t.Errorf("platform: core %t, oracle %t", got.Platform(), want.platform)
	}
	domain, resolved := got.TrustDomain()
	if resolved != want.resolved {
		t.Errorf("resolved: core %t (%v), oracle %t", resolved, domain, want.resolved)
	}
	if want.resolved && got.Isolated() != o.isolated(want) {
		t.Errorf("isolated: core %t, oracle %t", got.Isolated(), o.isolated(want))
	}
	if want.resolved && got.String() != o.evidence(p) {
		t.Errorf("evidence: core %s, oracle %s", got, o.evidence(p))
	}
}

func TestDecideAgreesWithOracle(t *testing.T) {
	seen := make(map[Reason]int)
	evictions := 0
	forScenarios(t, 30000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		checkAgainstOracle(t, s)
		v := s.verdict()
		seen[v.Reason()]++
		if s.policy.MayEvict(v) {
			evictions++
		}
	})
	// Agreement about what never happens is worth nothing.
	for _, r := range Reasons() {
		if r == FactsIncomplete || r == NoPolicy || r == TakingOver {
			continue // given by the gatherer of the facts, before there is a Subject
		}
		if seen[r] < 20 {
			t.Errorf("only %d of the scenarios end in %s: the generator does not reach it", seen[r], r)
		}
	}
	if evictions < 20 {
		t.Errorf("only %d of the scenarios may evict", evictions)
	}
	t.Logf("scenarios by reason: %v", seen)
}

func FuzzDecideAgreesWithOracle(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 0))
		data := make([]byte, 160)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := byteGenerator(data).scenario(t)
		checkAgainstOracle(t, s)
		if t.Failed() {
			t.Log(s)
		}
	})
}

// FuzzResolveAgreesWithOracle lets the fuzzer write the labels themselves. A bit
// of present says which of them are there: no label is not the empty label.
func FuzzResolveAgreesWithOracle(f *testing.F) {
	f.Add(uint16(0), "", "", "", "", "", "", "", "", "", uint8(0))
	f.Add(uint16(0x0001), "acme", "", "", "", "", "", "", "", "", uint8(1))
	f.Add(uint16(0xffff), "acme", "internal", "baseline", "vm", "acme", "restricted", "privileged", allowedAnnotation, "kata", uint8(1))
	f.Add(uint16(0xffff), "acme", "public", "restricted", "node", "globex", "secret", "root", unlistedAnnotation, "kata", uint8(2))
	f.Add(uint16(0x01ff), "acme", Unclassified, "unknown", "moat", "", "", "", RuntimeAnnotationPrefix, "runsc", uint8(3))
	config := makeConfig()
	policy := makePolicy(f)
	f.Fuzz(func(t *testing.T, present uint16, nsTenant, nsClass, nsPrivilege, nsBoundary,
		podTenant, podClass, podPrivilege, annotation, handler string, privilege uint8,
	) {
		ns := &Namespace{Name: "apps", Labels: map[string]string{}}
		p := Pod{Namespace: ns, Labels: map[string]string{}, Annotations: map[string]string{}}
		for bit, set := range []struct {
			labels     map[string]string
			key, value string
		}{
			{ns.Labels, tenantLabel, nsTenant},
			{ns.Labels, dataClassLabel, nsClass},
			{ns.Labels, privilegeLabel, nsPrivilege},
			{ns.Labels, boundaryLabel, nsBoundary},
			{p.Labels, tenantLabel, podTenant},
			{p.Labels, dataClassLabel, podClass},
			{p.Labels, privilegeLabel, podPrivilege},
			{p.Annotations, annotation, "on"},
		} {
			if present>>bit&1 == 1 {
				set.labels[set.key] = set.value
			}
		}
		if handler != "" {
			p.RuntimeClass, p.RuntimeClassFound, p.Handler = "class", present>>8&1 == 1, handler
		}
		p.Privilege = Privilege(privilege % 4)
		if present>>9&1 == 1 {
			p.UserNamespace = UserNamespacePod
		}
		ns.PlatformSelected = present>>10&1 == 1
		p.HostAccess = HostAccess(present >> 11 & 1)

		checkSubject(t, oracle{config}, p, policy.Resolve(p))
	})
}
