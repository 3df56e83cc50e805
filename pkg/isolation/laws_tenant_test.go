package isolation

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// The laws about what tenants write and read: L6, L8 and L9.

// L6, as far as the core has a part in it: a change of a namespace's labels that
// turns a denial into an admission is Relevant, whether the namespace is that of
// the incoming pod or of a resident. So is every other change that Resolve sees.
func TestL6SoundHints(t *testing.T) {
	admitted := 0
	forScenarios(t, 20000, func(t *testing.T, g generator, s scenario) {
		t.Helper()
		ns := s.incoming.Namespace
		if len(s.residents) > 0 && g.pick(2) == 1 {
			ns = s.residents[0].Namespace
		}
		if ns == nil {
			return
		}
		before, after := ns.Labels, g.relabelled(ns.Labels)
		subject, verdict := s.subject(), s.verdict()

		changed := *ns
		changed.Labels = after
		move := func(p Pod) Pod {
			if p.Namespace == ns {
				p.Namespace = &changed
			}
			return p
		}
		then := s
		then.incoming = move(s.incoming)
		then.residents = nil
		for _, r := range s.residents {
			then.residents = append(then.residents, move(r))
		}
		// What the hints compare: every pod before and after.
		seen := !then.subject().Equivalent(subject)
		for i, r := range s.residents {
			seen = seen || !s.policy.Resolve(r).Equivalent(s.policy.Resolve(then.residents[i]))
		}
		if !verdict.Allowed() && then.verdict().Allowed() {
			admitted++
			if !seen {
				t.Errorf("denied for %s, then allowed for %s, but from %v to %v no pod has changed",
					verdict.Reason(), then.verdict().Reason(), before, after)
			}
		}
	})
	if admitted < 100 {
		t.Errorf("only %d changes turned a denial into an admission", admitted)
	}
	// A hint that is always given is sound and useless.
	policy := makePolicy(t)
	for name, namespace := range map[string]*Namespace{
		"nothing":               {Labels: map[string]string{tenantLabel: "acme"}},
		"a label of no meaning": {Labels: map[string]string{tenantLabel: "acme", "team": "a"}},
	} {
		if !policy.Resolve(makePod("acme").Namespace(namespace).Obj()).Equivalent(policy.Resolve(makePod("acme").Obj())) {
			t.Errorf("a change of %s makes another subject", name)
		}
	}
}

// relabelled changes one label, or several, or none that has a meaning.
func (g generator) relabelled(labels map[string]string) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	for range 1 + g.pick(3) {
		key := oneOf(g, tenantLabel, dataClassLabel, privilegeLabel, boundaryLabel, "team")
		value := ""
		switch key {
		case tenantLabel:
			value = oneOf(g, "acme", "globex", "initech", "")
		case dataClassLabel:
			value = oneOf(g, "public", "internal", "confidential", "restricted", Unclassified, "secret")
		case privilegeLabel:
			value = oneOf(g, "restricted", "baseline", "privileged", "root")
		case boundaryLabel:
			value = oneOf(g, "container", "sandbox", "vm", "node", "moat", "")
		}
		if g.pick(3) == 0 {
			delete(labels, key)
			continue
		}
		labels[key] = value
	}
	return labels
}

// L8: what a tenant reads of a denial is the same for all residents, and
// however many: they decide whether the pod is denied and nothing else.
func TestL8NoLeak(t *testing.T) {
	for _, r := range Reasons() {
		sentence := r.Sentence()
		if r.Admits() {
			continue
		}
		if r.AboutResidents() && sentence != ForeignResident.Sentence() {
			t.Errorf("%s says %q: residents have one sentence, %q", r, sentence, ForeignResident.Sentence())
		}
		if ofNode := strings.HasPrefix(sentence, "node(s) "); ofNode == r.AboutPod() {
			t.Errorf("%s says %q: a reason of the node begins with node(s), one of the pod does not", r, sentence)
		}
		if strings.ContainsAny(sentence, "%0123456789\"\n") || strings.HasSuffix(sentence, ".") {
			t.Errorf("%s says %q: want a constant fragment without numbers, quotes or a period", r, sentence)
		}
	}

	secrets := []string{
		"acme", "globex", "initech", "team-a", "team-b", "team-c", "team-d", "kube-system",
		"uid-", "kata", "runc", "runsc", "hostPath", "hostNetwork", "hostPID",
	}
	compared := 0
	forScenarios(t, 20000, func(t *testing.T, g generator, s scenario) {
		t.Helper()
		other := s
		other.residents = g.scenario(t).residents
		for range g.pick(4) {
			other.residents = append(other.residents, other.residents...)
		}
		here, there := s.verdict(), other.verdict()
		// A limit stands where the residents would have admitted.
		if !ofOpening(here) && !ofOpening(there) && !here.Allowed() && !there.Allowed() {
			compared += count(len(s.residents) != len(other.residents))
			if here.Reason().Sentence() != there.Reason().Sentence() {
				t.Errorf("beside %d residents the pod reads %q, beside %d others %q",
					len(s.residents), here.Reason().Sentence(), len(other.residents), there.Reason().Sentence())
			}
		}
		for _, secret := range secrets {
			if strings.Contains(here.Reason().Sentence(), secret) {
				t.Errorf("%q names %s", here.Reason().Sentence(), secret)
			}
		}
	})
	if compared < 1000 {
		t.Errorf("only %d pairs of denials beside different residents", compared)
	}
}

// ofOpening: the node would take the pod if that may open it.
func ofOpening(v Verdict) bool { return v.Reason() == NodeLimit || v.Reason() == KeptForVMs }

// What a tenant might write on its pod in the hope of being trusted more. None of
// it raises an ordered axis, so each is bound by the law to the letter: where the
// unlabelled pod is denied, so is the labelled one.
var attacks = map[string]struct{ labels, annotations map[string]string }{
	"the name of the victim":           {labels: map[string]string{tenantLabel: "globex"}},
	"an empty tenant":                  {labels: map[string]string{tenantLabel: ""}},
	"its own tenant in capitals":       {labels: map[string]string{tenantLabel: "ACME"}},
	"its own tenant, which is allowed": {labels: map[string]string{tenantLabel: "acme"}},
	"a lower data class":               {labels: map[string]string{dataClassLabel: "public"}},
	"the lowest data class":            {labels: map[string]string{dataClassLabel: Unclassified}},
	"a data class of its own making":   {labels: map[string]string{dataClassLabel: "harmless"}},
	"an empty data class":              {labels: map[string]string{dataClassLabel: ""}},
	"a lower privilege":                {labels: map[string]string{privilegeLabel: "restricted"}},
	"a privilege of its own making":    {labels: map[string]string{privilegeLabel: "none"}},
	"an empty privilege":               {labels: map[string]string{privilegeLabel: ""}},
	"the boundary of a VM":             {labels: map[string]string{boundaryLabel: "vm"}},
	"no demand of a boundary":          {labels: map[string]string{boundaryLabel: "container"}},
	"a node of its own":                {labels: map[string]string{boundaryLabel: "node"}},
	"labels of the platform": {labels: map[string]string{
		"kubernetes.io/metadata.name": "kube-system", "tier": "control-plane",
	}},
	"the evidence of a victim": {annotations: map[string]string{
		"tenantisolation.dev/trust-domain": "tenant=globex,data-class=public,privilege=restricted,user-namespace=host,boundary=vm",
	}},
	"the labels as annotations": {annotations: map[string]string{
		tenantLabel: "globex", dataClassLabel: "public", privilegeLabel: "restricted", boundaryLabel: "vm",
	}},
	"another hypervisor for its VM":      {annotations: map[string]string{unlistedAnnotation: "/bin/sh"}},
	"nothing but the prefix of one":      {annotations: map[string]string{RuntimeAnnotationPrefix: "x"}},
	"an allowed one beside a forbidden":  {annotations: map[string]string{allowedAnnotation: "2", unlistedAnnotation: "x"}},
	"an allowed configuration of its VM": {annotations: map[string]string{allowedAnnotation: "2"}},
	"everything at once": {
		labels: map[string]string{
			tenantLabel: "acme", dataClassLabel: "public", privilegeLabel: "restricted", boundaryLabel: "vm",
		},
		annotations: map[string]string{tenantLabel: "globex", unlistedAnnotation: "x"},
	},
}

// L9: no label or annotation of a pod makes it more trusted.
func TestL9NothingSpoofed(t *testing.T) {
	policy := makePolicy(t)
	victim := makePod("acme").NamespaceLabel(dataClassLabel, "confidential").NamespaceLabel(privilegeLabel, "baseline")
	base := map[string]podBuilder{
		"a container":                     victim,
		"a VM":                            victim.RuntimeClass("kata"),
		"a privileged container":          victim.Privilege(PrivilegePrivileged),
		"a container that must have a VM": victim.NamespaceLabel(boundaryLabel, "vm"),
		"a VM that must have one":         victim.RuntimeClass("kata").NamespaceLabel(boundaryLabel, "vm"),
		"a VM that must be alone":         victim.RuntimeClass("kata").NamespaceLabel(boundaryLabel, "node"),
		"an unmanaged container":          victim.Namespace(unmanagedNamespace()),
		"a pod of no tenant":              victim.NamespaceLabel(tenantLabel, ""),
	}
	neighbours := []podBuilder{
		makePod("acme"), makePod("globex"), makePod("globex").RuntimeClass("kata"), victim, victim.RuntimeClass("kata"),
		victim.Privilege(PrivilegePrivileged), victim.NamespaceLabel(boundaryLabel, "node").RuntimeClass("kata"),
		makePod("acme").NamespaceLabel(dataClassLabel, "public"), makePod("acme").NamespaceLabel(dataClassLabel, "restricted"),
		makePod("").Namespace(unmanagedNamespace()), makePod("globex").NamespaceLabel(dataClassLabel, "public").RuntimeClass("kata"),
	}
	for attack, written := range attacks {
		t.Run(attack, func(t *testing.T) {
			for name, pod := range base {
				honest, spoofed := pod.Obj(), pod.Obj()
				spoofed.Labels, spoofed.Annotations = written.labels, written.annotations
				for _, neighbour := range neighbours {
					node := makeNode(policy.Resolve(neighbour.Obj()))
					before, after := decide(policy.Resolve(honest), node), decide(policy.Resolve(spoofed), node)
					if !before.Allowed() && after.Allowed() {
						t.Errorf("%s is denied beside %+v for %s, and with it allowed for %s",
							name, neighbour.Obj(), before.Reason(), after.Reason())
					}
				}
			}
		})
	}

	joined := 0
	forScenarios(t, 30000, func(t *testing.T, g generator, s scenario) {
		t.Helper()
		s.incoming.Labels, s.incoming.Annotations = nil, nil
		spoofed := s
		spoofed.incoming.Labels, spoofed.incoming.Annotations = g.writings()
		checkNoMoreTrusted(t, s, spoofed)
		joined += checkJoinsOnlyItsOwn(t, s, spoofed)
		if t.Failed() {
			t.Logf("labels %v, annotations %v", spoofed.incoming.Labels, spoofed.incoming.Annotations)
		}
	})
	if joined == 0 {
		t.Error("no pod joined the less trusted pods of its own tenant: the generator does not reach the exception")
	}
}

// writings are labels and annotations as a tenant may write them.
func (g generator) writings() (labels, annotations map[string]string) {
	labels, annotations = map[string]string{}, map[string]string{}
	g.labels(labels, 2)
	if g.rarely(4) {
		labels[tenantLabel] = oneOf(g, "acme", "globex", "initech", "", "kube-system")
	}
	if g.rarely(3) {
		labels[boundaryLabel] = oneOf(g, "vm", "node", "container", "moat")
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if g.rarely(3) {
			annotations[key] = labels[key]
		}
	}
	if g.rarely(4) {
		annotations[oneOf(g, allowedAnnotation, unlistedAnnotation, RuntimeAnnotationPrefix+"x")] = "1"
	}
	return labels, annotations
}

// checkNoMoreTrusted: whatever is written, the tenant and the user namespace stay,
// the ordered axes do not fall, the boundary does not rise, and no pod is let in.
func checkNoMoreTrusted(t *testing.T, honest, spoofed scenario) {
	t.Helper()
	before, after := honest.subject(), spoofed.subject()
	if _, denied := before.Denied(); denied {
		if _, denied := after.Denied(); !denied {
			t.Errorf("%v is denied, and labelled %v is not", before, after)
		}
	}
	if before.Platform() != after.Platform() {
		t.Errorf("platform: %t, and labelled %t", before.Platform(), after.Platform())
	}
	is, ok := after.TrustDomain()
	if !ok {
		return
	}
	was, ok := before.TrustDomain()
	classes := honest.oracle().classes()
	switch {
	case !ok:
		t.Errorf("has no trust domain, and labelled %v", is)
	case is.Tenant != was.Tenant, is.UserNamespace != was.UserNamespace:
		t.Errorf("moved from %v to %v", was, is)
	case is.Privilege < was.Privilege, rank(classes, is.DataClass) < rank(classes, was.DataClass):
		t.Errorf("fell from %v to %v", was, is)
	case after.Boundary() > before.Boundary(), after.Open() && !before.Open():
		t.Errorf("boundary rose from %v (open %t) to %v (open %t)", before, before.Open(), after, after.Open())
	}
}

// checkJoinsOnlyItsOwn: a pod that looks less trusted than it is may be admitted
// where it was denied only to the pods of its own tenant that are of the trust
// domain it moved up to. It answers 1 if that happened.
func checkJoinsOnlyItsOwn(t *testing.T, honest, spoofed scenario) int {
	t.Helper()
	before, after := honest.verdict(), spoofed.verdict()
	if before.Allowed() || !after.Allowed() {
		return 0
	}
	was, _ := honest.subject().TrustDomain()
	is, _ := spoofed.subject().TrustDomain()
	if was.DataClass == is.DataClass && was.Privilege == is.Privilege {
		t.Errorf("denied for %s, and labelled allowed for %s, as the same %v", before.Reason(), after.Reason(), is)
	}
	for i, resident := range honest.subjects() {
		if decide(honest.subject(), makeNode(resident)).Allowed() {
			continue
		}
		domain, _ := resident.TrustDomain()
		if domain.Tenant != was.Tenant || !resident.SharesKernelWith(spoofed.subject()) {
			t.Errorf("denied beside resident %d, %v, and labelled allowed as %v", i, resident, is)
		}
	}
	return 1
}
