package audit

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/cluster"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random histories, to repeat a failure; 0 takes a new one")

// history creates, changes and deletes objects; pick chooses which.
type history struct {
	pick    func(n int) int
	objects map[string]runtime.Object
	step    int
}

func oneOf[T any](h *history, values ...T) T { return values[h.pick(len(values))] }

// next returns an object to create or change, or one to delete.
func (h *history) next() (set, gone runtime.Object) {
	h.step++
	object := h.object()
	key := fmt.Sprintf("%T %s", object, nameOf(object))
	if old := h.objects[key]; old != nil && h.pick(3) == 0 {
		delete(h.objects, key)
		return nil, old
	}
	h.objects[key] = object
	return object, nil
}

func nameOf(object runtime.Object) string {
	m := object.(metav1.Object)
	return m.GetNamespace() + "/" + m.GetName()
}

func (h *history) object() runtime.Object {
	switch h.pick(12) {
	case 0:
		return makeNode(h.node())
	case 1, 2:
		return h.namespaceObject()
	case 3:
		class := makeClass(oneOf(h, "kata", "other"), oneOf(h, "kata", "runc", "runsc"))
		class.CreationTimestamp = metav1.NewTime(beginning.Add(time.Duration(h.pick(4)) * time.Hour))
		return class
	case 4:
		return makePVC(h.namespace(), oneOf(h, "data", "logs"), oneOf(h, "", "pv-1", "pv-2"))
	case 5:
		return makeVolume(oneOf(h, "pv-1", "pv-2"), h.namespace(), oneOf(h, "", "data", "logs"), oneOf(h,
			v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: "/srv/data"}},
			v1.PersistentVolumeSource{NFS: &v1.NFSVolumeSource{Server: "files", Path: "/export"}},
			v1.PersistentVolumeSource{CephFS: &v1.CephFSPersistentVolumeSource{}},
		))
	}
	return h.pod()
}

func (h *history) node() string { return oneOf(h, "node-1", "node-2", "node-3") }

func (h *history) namespace() string { return oneOf(h, "acme", "globex", "wiki", "kube-system") }

func (h *history) namespaceObject() *v1.Namespace {
	ns := makeNamespace(h.namespace(), "")
	if ns.Name == "wiki" || ns.Name == "kube-system" {
		return ns
	}
	ns.Labels[tenantLabel] = oneOf(h, ns.Name, ns.Name, "initech", "")
	if value := oneOf(h, "", "", "vm", "node", "moat"); value != "" {
		ns.Labels["tenantisolation.dev/boundary"] = value
	}
	if value := oneOf(h, "", "public", "secret"); value != "" {
		ns.Labels["tenantisolation.dev/data-class"] = value
	}
	return ns
}

func (h *history) pod() *v1.Pod {
	p := makePod(h.namespace(), oneOf(h, "a", "b", "c"), oneOf(h, "", "node-1", "node-2", "node-2", "node-3"))
	p.UID = types.UID(fmt.Sprintf("%s-%d", p.UID, h.pick(2)))
	p.ResourceVersion = fmt.Sprint(h.step)
	after(h.pick(3))(p)
	if h.pick(2) == 1 {
		inClass(oneOf(h, "kata", "kata", "other"))(p)
	}
	if h.pick(6) == 5 {
		p.Labels = map[string]string{tenantLabel: oneOf(h, "acme", "globex")}
	}
	if h.pick(3) == 2 {
		mountingPVC(oneOf(h, "data", "logs"))(p)
	}
	if h.pick(4) == 3 {
		mountingDirectory(oneOf(h, "/srv", "/srv/data/", "/srv/database", "/var/log"))(p)
	}
	if h.pick(4) == 3 {
		p.Status.StartTime = &metav1.Time{Time: beginning.Add(time.Duration(h.pick(4)) * time.Hour)}
	}
	p.Status.Phase = oneOf(h, v1.PodRunning, v1.PodRunning, v1.PodRunning, v1.PodPending, v1.PodFailed)
	return p
}

// play runs a history and compares the engine that followed it with a fresh engine, and with the
// oracle.
func play(t *testing.T, pick func(n int) int, steps int) {
	t.Helper()
	rules, gatherer := newRules(t), newGatherer(t)
	h := &history{pick: pick, objects: map[string]runtime.Object{}}
	followed := New(cluster.New(rules, gatherer))
	findings := map[Key]Finding{}
	for range steps {
		setTo, gone := h.next()
		if setTo != nil {
			set(t, followed, setTo)
		} else {
			remove(t, followed, gone)
		}
		if h.pick(4) != 0 {
			continue
		}
		fresh := New(cluster.New(rules, gatherer))
		for _, key := range slices.Sorted(maps.Keys(h.objects)) {
			set(t, fresh, h.objects[key])
		}
		got, want := followed.Report(), fresh.Report()
		if diff := cmp.Diff(brief(want), brief(New(followed.store.Fresh()).Report())); diff != "" {
			t.Fatalf("step %d: a fresh store of the same objects differs (-want +got):\n%s", h.step, diff)
		}
		if diff := cmp.Diff(brief(want), brief(got)); diff != "" {
			t.Fatalf("step %d: the engine that followed differs from a fresh one (-fresh +followed):\n%s", h.step, diff)
		}
		if diff := cmp.Diff(want.Summary, got.Summary); diff != "" {
			t.Fatalf("step %d: summary (-fresh +followed):\n%s", h.step, diff)
		}
		if diff := cmp.Diff(fresh.Counts(), followed.Counts()); diff != "" {
			t.Fatalf("step %d: counts (-fresh +followed):\n%s", h.step, diff)
		}
		checkAgainstOracle(t, &oracle{rules, gatherer, h.objects}, got)
		applyChanges(t, findings, followed.Changes(), got)
	}
}

func checkAgainstOracle(t *testing.T, o *oracle, r Report) {
	t.Helper()
	want, pairs := o.accuse()
	got := map[string]bool{}
	breaking := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		if len(f.Conflicts) == 0 {
			for _, party := range f.Parties {
				for _, p := range party.Pods {
					got[accusation(f.Reason, p.String(), "")] = true
				}
			}
		}
		named := 0
		for a, b := range f.EachPair() {
			got[accusation(f.Reason, a.String(), b.String())] = true
			named++
		}
		if named != f.Pairs {
			t.Errorf("%v: %d pairs are counted and %d named", f.Key, f.Pairs, named)
		}
		if f.Volume == "" {
			breaking += f.Pairs
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("accusations (-oracle +engine):\n%s", diff)
	}
	if r.PairsChecked != pairs || r.PairsBreaking != breaking {
		t.Fatalf("want %d pairs checked and %d breaking, got %d and %d", pairs, breaking, r.PairsChecked, r.PairsBreaking)
	}
}

// applyChanges checks that a reader who follows the changes has the findings of the report.
func applyChanges(t *testing.T, findings map[Key]Finding, c Changes, r Report) {
	t.Helper()
	for _, f := range c.Began {
		if _, known := findings[f.Key]; known {
			t.Errorf("%v began twice", f.Key)
		}
		findings[f.Key] = f
	}
	for _, f := range c.Changed {
		if _, known := findings[f.Key]; !known {
			t.Errorf("%v changed before it began", f.Key)
		}
		findings[f.Key] = f
	}
	for _, f := range c.Ended {
		if _, known := findings[f.Key]; !known {
			t.Errorf("%v ended before it began", f.Key)
		}
		delete(findings, f.Key)
	}
	followed := Report{Findings: slices.Collect(maps.Values(findings))}
	slices.SortFunc(followed.Findings, worseFirst())
	if diff := cmp.Diff(brief(r), brief(followed), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("what the changes add up to (-report +changes):\n%s", diff)
	}
}

// After any history of changes the findings are those of a fresh engine, built from the current
// objects alone.
func TestIncrementEqualsFresh(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed=%d repeats this", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 150 {
		play(t, r.IntN, 120)
	}
}

func FuzzIncrementEqualsFresh(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("two tenants, one node, and a PVC between them"))
	f.Fuzz(func(t *testing.T, data []byte) {
		steps := min(len(data), 200)
		play(t, func(n int) int {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return int(b) % n
		}, steps)
	})
}
