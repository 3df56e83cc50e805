package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// An attacker whose VM becomes a container under way has nobody evicted but itself.
func TestEvictionOfWhoChanged(t *testing.T) {
	vm := inClass("kata")
	as := func(tenant, boundary string) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.Annotations = map[string]string{
				isolation.EvidenceAnnotation: "tenant=" + tenant + ",data-class=unclassified,privilege=baseline,user-namespace=host,boundary=" + boundary,
			}
		}
	}
	host := v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: "/srv"}}
	for name, tc := range map[string]struct {
		objects []runtime.Object
		want    []string
	}{
		"a VM whose volume has become a directory of the host, first on the node": {
			objects: []runtime.Object{
				makePVC("acme", "data", "pv"), makeVolume("pv", "acme", "data", host),
				makePod("acme", "attacker", "n1", vm, mountingPVC("data"), as("acme", "vm")),
				makePod("globex", "victim", "n1", vm, after(9), as("globex", "vm")),
			},
			want: []string{"acme/attacker"},
		},
		"the same, when it is going already": {
			objects: []runtime.Object{
				makePVC("acme", "data", "pv"), makeVolume("pv", "acme", "data", host),
				makePod("acme", "attacker", "n1", vm, mountingPVC("data"), as("acme", "vm"), func(p *v1.Pod) { p.DeletionTimestamp = &p.CreationTimestamp }),
				makePod("globex", "victim", "n1", vm, after(9), as("globex", "vm")),
			},
		},
		"a pod whose namespace was moved to another tenant": {
			objects: []runtime.Object{
				makePod("acme", "moved", "n1", as("globex", "container")),
				makePod("globex", "there", "n1", after(9), as("globex", "container")),
			},
			want: []string{"acme/moved"},
		},
		"no pod has changed, and the last one goes": {
			objects: []runtime.Object{
				makePod("acme", "first", "n1", as("acme", "container")),
				makePod("globex", "last", "n1", after(9), as("globex", "container")),
			},
			want: []string{"globex/last"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newAuditorTest(t, evictsPerMinute(60))
			d.set(tc.objects...)
			d.advance(10)
			if diff := cmp.Diff(tc.want, d.evicted(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("evicted (-want +got):\n%s", diff)
			}
		})
	}
}
