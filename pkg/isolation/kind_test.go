package isolation

import "testing"

// L7, for pods that already run: the audit's question is symmetric, and of a pod that the
// scheduler would place somewhere the two give one answer, for one reason.
func TestL7SharesKernelAgreesWithDecide(t *testing.T) {
	shared, parted := 0, 0
	forScenarios(t, 20000, func(t *testing.T, _ generator, s scenario) {
		t.Helper()
		a := s.subject()
		for i, b := range s.subjects() {
			reason, breaks := a.Kind().SharesKernel(b.Kind())
			if back, alike := b.Kind().SharesKernel(a.Kind()); back != reason || alike != breaks {
				t.Errorf("resident %d: %s %t, the other way round %s %t", i, reason, breaks, back, alike)
			}
			if _, denied := a.Denied(); denied || a.Platform() {
				continue
			}
			v := decide(a, &Node{Occupancy: makeNode(b).Occupancy})
			if v.Allowed() == breaks || (breaks && v.Reason() != reason) {
				t.Errorf("resident %d: decided %s, the audit says %s %t", i, v.Reason(), reason, breaks)
			}
			shared += count(!breaks)
			parted += count(breaks)
		}
	})
	if shared == 0 || parted == 0 {
		t.Errorf("%d pairs may share and %d may not: want some of both", shared, parted)
	}
}

func TestPodsThatRunTogether(t *testing.T) {
	policy := makePolicy(t)
	var (
		acme      = policy.Resolve(makePod("acme").Obj())
		globex    = policy.Resolve(makePod("globex").Obj())
		acmeVM    = policy.Resolve(makePod("acme").RuntimeClass("kata").Obj())
		globexVM  = policy.Resolve(makePod("globex").RuntimeClass("kata").Obj())
		nodeVM    = policy.Resolve(makePod("globex").RuntimeClass("kata").NamespaceLabel(boundaryLabel, "node").Obj())
		weak      = policy.Resolve(makePod("globex").NamespaceLabel(boundaryLabel, "vm").Obj())
		unmanaged = policy.Resolve(makePod("").Namespace(unmanagedNamespace()).Obj())
		agent     = policy.Resolve(makePod("").Namespace(platformNamespace()).Obj())
		unknown   = Subject{}
	)
	for name, tc := range map[string]struct {
		a, b          Subject
		kernel, files Reason
	}{
		"one trust domain shares all":                                      {acme, acme, Undecided, Undecided},
		"two tenants share nothing":                                        {acme, globex, ForeignResident, ForeignResident},
		"a VM beside a container is under it":                              {acmeVM, globex, ForeignResident, ForeignResident},
		"two VMs share a machine and no files":                             {acmeVM, globexVM, Undecided, ForeignResident},
		"a demanded machine is not shared":                                 {acmeVM, nodeVM, DemandedNode, ForeignResident},
		"a weak boundary is a foreign resident like any other":             {weak, acmeVM, ForeignResident, ForeignResident},
		"a pod without a tenant has no neighbour":                          {unmanaged, acmeVM, UnmanagedResident, UnmanagedResident},
		"pods without a tenant are not judged against each other":          {unmanaged, unmanaged, Undecided, Undecided},
		"platform pods are never in the way":                               {agent, unknown, Undecided, Undecided},
		"of two pods of which nothing is known nothing good is taken":      {unknown, unknown, UnknownResident, UnknownResident},
		"unknown weighs more than having no tenant, for it may hide one":   {unknown, unmanaged, UnknownResident, UnknownResident},
		"a pod of which nothing is known is foreign to all trust domains":  {unknown, acme, UnknownResident, UnknownResident},
		"a trust domain shares its files whatever stands between its pods": {acme, acmeVM, Undecided, Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			if got, breaks := tc.a.Kind().SharesKernel(tc.b.Kind()); got != tc.kernel || breaks != (tc.kernel != Undecided) {
				t.Errorf("kernel: want %s, got %s %t", tc.kernel, got, breaks)
			}
			if got, breaks := tc.a.Kind().SharesFiles(tc.b.Kind()); got != tc.files || breaks != (tc.files != Undecided) {
				t.Errorf("files: want %s, got %s %t", tc.files, got, breaks)
			}
		})
	}
}

func TestKindWrong(t *testing.T) {
	policy := makePolicy(t)
	for name, tc := range map[string]struct {
		pod  Pod
		want Reason
	}{
		"nothing, if it could be placed":              {makePod("acme").Obj(), Undecided},
		"nothing, without a tenant":                   {makePod("").Namespace(unmanagedNamespace()).Obj(), Undecided},
		"nothing, of the platform":                    {makePod("").Namespace(platformNamespace()).Obj(), Undecided},
		"a boundary below what its namespace demands": {makePod("acme").NamespaceLabel(boundaryLabel, "vm").Obj(), WeakBoundary},
		"a label that contradicts its namespace":      {makePod("acme").Label(tenantLabel, "globex").Obj(), MismatchedTenant},
		"a namespace of which nothing is known":       {makePod("acme").Namespace(nil).Obj(), UnknownNamespace},
	} {
		t.Run(name, func(t *testing.T) {
			got, wrong := policy.Resolve(tc.pod).Kind().Wrong()
			if got != tc.want || wrong != (tc.want != Undecided) {
				t.Errorf("want %s, got %s %t", tc.want, got, wrong)
			}
		})
	}
}
