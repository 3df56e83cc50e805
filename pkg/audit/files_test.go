package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
)

// A PVC that is bound becomes another store and keeps its finding, in whatever order the two
// are looked at.
func TestSharedPVCThatIsBound(t *testing.T) {
	for range 30 {
		e := newEngine(t, makeNode("n1"), makeNode("n2"), makeNamespace("acme", "acme"), makePVC("acme", "data", ""),
			makePod("acme", "a", "n1", mountingPVC("data")),
			makePod("acme", "b", "n2", mountingPVC("data"), func(p *v1.Pod) { p.Spec.HostUsers = new(bool) }))
		want := brief(e.Report())
		set(t, e, makePVC("acme", "data", "pv"), makeVolume("pv", "acme", "data", v1.PersistentVolumeSource{NFS: &v1.NFSVolumeSource{Server: "files", Path: "/export"}}))
		if diff := cmp.Diff(want, brief(e.Report())); diff != "" || len(want) != 1 {
			t.Fatalf("findings (-unbound +bound):\n%s", diff)
		}
	}
}
