package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// Other rules judge every pod again, volumes included, and every listener is told once.
func TestSetRules(t *testing.T) {
	w := newWorld(t)
	vm := w.pod("red", "m", on("n1"), kata, mountsData, stamped("vm"))
	w.set(makeNamespace("red", "tenant=red"), makeNode("n1", "kata-qemu"), makeClass("kata", "kata-qemu"), dataPVC(), volume(network), vm)
	w.events = nil
	if got := w.Judge(vm).Boundary(); got != isolation.BoundaryVM {
		t.Fatalf("boundary %s to begin with", got)
	}
	for _, tc := range []struct {
		change func(*v1alpha1.IsolationPolicySpec)
		want   isolation.Boundary
	}{
		{func(s *v1alpha1.IsolationPolicySpec) {
			s.Boundaries.Handlers = map[string]v1alpha1.Boundary{"kata-qemu": v1alpha1.BoundaryContainer}
		}, isolation.BoundaryContainer},
		{func(*v1alpha1.IsolationPolicySpec) {}, isolation.BoundaryVM},
		{func(s *v1alpha1.IsolationPolicySpec) {
			s.Boundaries.HostPathProvisioners = []string{network.CSI.Driver}
		}, isolation.BoundaryContainer},
	} {
		spec := policy.Default()
		tc.change(spec)
		rules, err := podfacts.NewRules(spec)
		if err != nil {
			t.Fatal(err)
		}
		w.SetRules(rules)
		if got := w.Judge(vm).Boundary(); got != tc.want {
			t.Errorf("with %+v boundary %s, want %s", spec.Boundaries, got, tc.want)
		}
		// As a store that has judged nothing before would have it.
		if got, want := w.Judge(vm), w.Fresh().Judge(vm); !got.Equivalent(want) {
			t.Errorf("judged as %s, afresh as %s", got, want)
		}
		if diff := cmp.Diff([]string{"policy:"}, w.reported()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}
	if len(w.VMCapableNodes(w.Rules())) != 1 {
		t.Error("n1 cannot start VMs, where their handler is trusted")
	}
	w.SetRules(podfacts.NoRules())
	if len(w.VMCapableNodes(w.Rules())) != 0 {
		t.Error("n1 can start VMs, where no handler is trusted")
	}
	subject := w.Judge(vm)
	if _, managed := subject.TrustDomain(); managed || w.Rules().InForce() {
		t.Error("without a policy a pod has a trust domain")
	}
}
