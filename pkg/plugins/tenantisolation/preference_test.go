package tenantisolation

import (
	"testing"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// The fewest machines should be opened, and those that can start VMs are kept for pods that
// need them.
func TestPreference(t *testing.T) {
	sandboxes := func(args *v1alpha1.IsolationPolicySpec) { args.Boundaries.Minimum = v1alpha1.BoundarySandbox }
	for name, tc := range map[string]struct {
		args      []func(*v1alpha1.IsolationPolicySpec)
		pod       string
		beside    []string
		vmCapable bool
		want      int64
		denied    bool
	}{
		"its own trust domain comes first":              {pod: "red", beside: []string{"red"}, want: preferOwnTrustDomain},
		"whichever other trust domain is there":         {pod: "red-vm", beside: []string{"blue-vm", "red-vm"}, vmCapable: true, want: preferOwnTrustDomain},
		"behind any boundary":                           {pod: "red", beside: []string{"red-vm"}, vmCapable: true, want: preferOwnTrustDomain},
		"then, for an open pod, a shared machine":       {pod: "red-vm", beside: []string{"blue-vm"}, vmCapable: true, want: preferOpenNode},
		"then an empty machine":                         {pod: "red", want: preferEmptyNode},
		"for a VM an empty machine that can start VMs":  {pod: "red-vm", vmCapable: true, want: preferEmptyNode},
		"for a container that one is the last":          {pod: "red", vmCapable: true, want: preferEmptyVMNode},
		"for a sandbox it is the last too":              {pod: "red-sandbox", vmCapable: true, want: preferEmptyVMNode},
		"unless sandboxes may share machines":           {args: []func(*v1alpha1.IsolationPolicySpec){sandboxes}, pod: "red-sandbox", vmCapable: true, want: preferEmptyNode},
		"platform pods make no difference":              {pod: "red", beside: []string{"platform"}, want: preferEmptyNode},
		"for a platform pod all nodes are equal":        {pod: "platform", beside: []string{"red"}},
		"for a platform pod a machine for VMs as well":  {pod: "platform", vmCapable: true},
		"observed, a node that breaks the rule is last": {pod: "red", beside: []string{"blue-vm"}, want: preferOpenNode, denied: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t, tc.args...)
			w.runtimeClass("runsc", "runsc")
			pods := map[string]*v1.Pod{
				"red":         w.pod("red", "p"),
				"red-vm":      w.pod("red", "v", class("kata")),
				"red-sandbox": w.pod("red", "s", class("runsc")),
				"blue-vm":     w.pod("blue", "v", class("kata")),
				"platform":    w.pod("kube-system", "p"),
			}
			subject := w.subject(pods[tc.pod])
			var residents []isolation.Resident
			for _, name := range tc.beside {
				residents = append(residents, isolation.Resident{UID: name, Subject: w.subject(pods[name])})
			}
			node := &isolation.Node{Occupancy: isolation.NewOccupancy(residents), VMCapable: tc.vmCapable}
			if got := preference(&subject, node); got != tc.want {
				t.Errorf("preference %d, want %d", got, tc.want)
			}
			// Where the rule is only observed, a node that keeps it comes before one that breaks it.
			observed := max(tc.want, 1)
			if tc.denied {
				observed = 0
			}
			if got := observedPreference(&subject, node); got != observed {
				t.Errorf("observed preference %d, want %d", got, observed)
			}
		})
	}
}

func TestAdjust(t *testing.T) {
	for name, tc := range map[string]struct {
		preference    int64
		better, worse room
	}{
		"of its own machines a pod goes to the fullest": {
			preference: preferOwnTrustDomain, better: room{fill: 0.9, suits: 0.2}, worse: room{fill: 0.3, suits: 0.9},
		},
		"of shared machines a pod goes to the fullest": {
			preference: preferOpenNode, better: room{fill: 0.9, suits: 0.2}, worse: room{fill: 0.3, suits: 0.9},
		},
		"of empty machines the one that suits best is opened": {
			preference: preferEmptyNode, better: room{fill: 0.1, suits: 0.9}, worse: room{fill: 0.5, suits: 0.5},
		},
		"of empty machines that can start VMs the one that suits best is opened": {
			preference: preferEmptyVMNode, better: room{fill: 0.1, suits: 0.9}, worse: room{fill: 0.5, suits: 0.5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if better, worse := tc.better.adjust(tc.preference), tc.worse.adjust(tc.preference); better <= worse {
				t.Errorf("%+v has %d, %+v has %d", tc.better, better, tc.worse, worse)
			}
		})
	}
	// At the shipped weight of 100, in-tree scorers can make up 15 of our points.
	t.Run("preferences stay further apart than stock scorers can add", func(t *testing.T) {
		const stock = 15
		preferences := []int64{preferEmptyVMNode, preferEmptyNode, preferOpenNode, preferOwnTrustDomain}
		shares := []float64{-1, 0, 0.25, 0.5, 1, 2}
		for i, lower := range preferences {
			for _, fill := range shares {
				for _, share := range shares {
					low := room{suits: share, fill: fill}.adjust(lower)
					if low < 0 || low > 100 {
						t.Errorf("preference %d becomes %d, which the framework refuses", lower, low)
					}
					for _, upper := range preferences[i+1:] {
						for _, r := range []room{{suits: 0, fill: 0}, {suits: 1, fill: 1}, {suits: 1}, {fill: 1}} {
							if high := r.adjust(upper); high-low <= stock {
								t.Errorf("preference %d: %d is only %d above preference %d", upper, high, high-low, lower)
							}
						}
					}
				}
			}
		}
	})
}
