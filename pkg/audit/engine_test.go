package audit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestFindings(t *testing.T) {
	cluster := []runtime.Object{
		makeNode("n1"), makeNode("n2"),
		makeNamespace("acme", "acme"), makeNamespace("globex", "globex"),
		makeNamespace("vault", "globex", "boundary", "node"),
		makeNamespace("wiki", ""), makeNamespace("kube-system", ""),
		makeClass("kata", "kata"),
	}
	vm := inClass("kata")
	nfs := v1.PersistentVolumeSource{NFS: &v1.NFSVolumeSource{Server: "files", Path: "/export/"}}
	for name, tc := range map[string]struct {
		objects []runtime.Object
		want    []string
	}{
		"not one trust domain": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("acme", "b", "n1")},
		},
		"two tenants on one kernel, with the pod that came last": {
			objects: []runtime.Object{makePod("acme", "a", "n1", after(9)), makePod("globex", "b", "n1"), makePod("globex", "c", "n1")},
			want:    []string{"ForeignResident node=n1 volume= pairs=2 last=acme/a: [acme/a] [globex/b globex/c]"},
		},
		"not two tenants on two nodes": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("globex", "b", "n2")},
		},
		"not two tenants in VMs": {
			objects: []runtime.Object{makePod("acme", "a", "n1", vm), makePod("globex", "b", "n1", vm)},
		},
		"a VM beside one that demands the node": {
			objects: []runtime.Object{makePod("acme", "a", "n1", vm), makePod("vault", "b", "n1", vm)},
			want:    []string{"DemandedNode node=n1 volume= pairs=1 last=vault/b: [acme/a] [vault/b]"},
		},
		"an unmanaged pod beside a tenant's": {
			objects: []runtime.Object{makePod("acme", "a", "n1"), makePod("wiki", "b", "n1")},
			want:    []string{"UnmanagedResident node=n1 volume= pairs=1 last=wiki/b: [acme/a] [wiki/b]"},
		},
		"not unmanaged pods among themselves": {
			objects: []runtime.Object{makePod("wiki", "a", "n1"), makePod("wiki", "b", "n1")},
		},
		"not a platform pod, whatever it mounts": {
			objects: []runtime.Object{makePod("acme", "a", "n1", mountingDirectory("/var/log")), makePod("kube-system", "b", "n1", mountingDirectory("/"))},
		},
		"a pod of an unknown namespace, alone and beside others": {
			objects: []runtime.Object{makePod("ghost", "a", "n1"), makePod("acme", "b", "n1")},
			want: []string{
				"UnknownResident node=n1 volume= pairs=1 last=ghost/a: [acme/b] [ghost/a]",
				"UnknownNamespace node=n1 volume= pairs=0 last=ghost/a: [ghost/a]",
			},
		},
		"a VM without a stamp whose RuntimeClass was made again": {
			objects: []runtime.Object{makePod("acme", "a", "n1", vm, startedBefore), makePod("globex", "b", "n1", vm)},
			want:    []string{"RemadeRuntimeClass node=n1 volume= pairs=1 last=globex/b: [acme/a] [globex/b]"},
		},
		"not one with a stamp": {
			objects: []runtime.Object{makePod("acme", "a", "n1", vm, startedBefore, stamped("vm")), makePod("globex", "b", "n1", vm)},
		},
		"one beside a container, which has to go in any case": {
			objects: []runtime.Object{makePod("acme", "a", "n1", vm, startedBefore), makePod("globex", "b", "n1")},
			want:    []string{"ForeignResident node=n1 volume= pairs=1 last=globex/b: [acme/a] [globex/b]"},
		},
		"one that shares the host's network, which is no VM in any case": {
			objects: []runtime.Object{
				makePod("acme", "a", "n1", vm, startedBefore, func(p *v1.Pod) { p.Spec.HostNetwork = true }), makePod("globex", "b", "n1", vm),
			},
			want: []string{"ForeignResident node=n1 volume= pairs=1 last=globex/b: [acme/a] [globex/b]"},
		},
		"a pod that is older than its namespace, which was made again": {
			objects: []runtime.Object{
				func() runtime.Object {
					ns := makeNamespace("acme", "acme")
					ns.CreationTimestamp = metav1.NewTime(beginning.Add(time.Minute))
					return ns
				}(),
				makePod("acme", "old", "n1"), makePod("acme", "new", "n1", after(61)),
			},
			want: []string{
				"UnknownResident node=n1 volume= pairs=1 last=acme/new: [acme/new] [acme/old]",
				"OlderThanNamespace node=n1 volume= pairs=0 last=acme/old: [acme/old]",
			},
		},
		"two trust domains with one ResourceClaim, on two nodes": {
			objects: []runtime.Object{makePod("acme", "a", "n1", claiming("gpu")), makePod("acme", "b", "n2", claiming("gpu"), after(9), ownUsers)},
			want:    []string{"SharedResourceClaim node= volume=ResourceClaim acme/gpu pairs=1 last=acme/b: [acme/a] [acme/b]"},
		},
		"two trust domains with one ResourceClaim, which was made from a template for one of them": {
			objects: []runtime.Object{
				makePod("acme", "a", "n1", func(p *v1.Pod) {
					p.Status.ResourceClaimStatuses = []v1.PodResourceClaimStatus{{Name: "gpu", ResourceClaimName: new("a-gpu-x")}}
				}),
				makePod("acme", "b", "n2", claiming("a-gpu-x"), after(9), ownUsers),
			},
			want: []string{"SharedResourceClaim node= volume=ResourceClaim acme/a-gpu-x pairs=1 last=acme/b: [acme/a] [acme/b]"},
		},
		"not one trust domain with one ResourceClaim, nor two with one of a name each": {
			objects: []runtime.Object{
				makePod("acme", "a", "n1", claiming("gpu")), makePod("acme", "b", "n1", claiming("gpu")), makePod("globex", "c", "n2", claiming("gpu")),
			},
		},
		"a boundary that is too weak, without any other pod": {
			objects: []runtime.Object{makeNamespace("acme", "acme", "boundary", "vm"), makePod("acme", "a", "n1")},
			want:    []string{"WeakBoundary node=n1 volume= pairs=0 last=acme/a: [acme/a]"},
		},
		"a pod on a node that does not exist": {
			objects: []runtime.Object{makePod("acme", "a", "nowhere"), makePod("kube-system", "agent", "nowhere")},
			want:    []string{"MissingNode node=nowhere volume= pairs=0 last=acme/a: [acme/a]"},
		},
		"not a pod that has ended, nor one without a node": {
			objects: []runtime.Object{
				makePod("acme", "a", "n1"), makePod("globex", "b", ""),
				makePod("globex", "c", "n1", func(p *v1.Pod) { p.Status.Phase = v1.PodSucceeded }),
			},
		},
		"a terminating pod": {
			objects: []runtime.Object{
				makePod("acme", "a", "n1"),
				makePod("globex", "b", "n1", func(p *v1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: beginning} }),
			},
			want: []string{"ForeignResident node=n1 volume= pairs=1 last=globex/b: [acme/a] [globex/b]"},
		},
		"one PVC in two trust domains, across nodes and through VMs": {
			objects: []runtime.Object{
				makePVC("acme", "data", "pv"), makeVolume("pv", "acme", "data", v1.PersistentVolumeSource{}),
				makePod("acme", "a", "n1", vm, mountingPVC("data")),
				makePod("acme", "b", "n2", mountingPVC("data"), func(p *v1.Pod) { p.Spec.HostUsers = new(bool) }),
			},
			want: []string{"SharedPVC node= volume=acme/data pairs=1 last=acme/b: [acme/a] [acme/b]"},
		},
		"two volumes of one export are one store": {
			objects: []runtime.Object{
				makePVC("acme", "data", "pv"), makeVolume("pv", "acme", "data", nfs),
				makePVC("globex", "data", "pw"), makeVolume("pw", "globex", "data", nfs),
				makePod("acme", "a", "n1", mountingPVC("data")), makePod("globex", "b", "n2", mountingPVC("data")),
			},
			want: []string{"SharedPVC node= volume=files:/export pairs=1 last=globex/b: [acme/a] [globex/b]"},
		},
		"not a PVC that only names another's volume": {
			objects: []runtime.Object{
				makePVC("acme", "data", "pv"), makeVolume("pv", "acme", "data", nfs), makePVC("globex", "data", "pv"),
				makePod("acme", "a", "n1", mountingPVC("data")), makePod("globex", "b", "n2", mountingPVC("data")),
			},
		},
		"a directory inside another's, on one node": {
			objects: []runtime.Object{
				makePod("wiki", "a", "n1", mountingDirectory("/srv/wiki")), makePod("wiki", "b", "n1", mountingDirectory("/srv/")),
				makePod("globex", "c", "n1", mountingDirectory("/srv/wiki/pages")), makePod("globex", "d", "n2", mountingDirectory("/srv/wiki")),
			},
			want: []string{
				"UnmanagedResident node=n1 volume= pairs=2 last=wiki/b: [globex/c] [wiki/a wiki/b]",
				"SharedHostPath node=n1 volume=/srv pairs=1 last=wiki/b: [globex/c] [wiki/b]",
				"SharedHostPath node=n1 volume=/srv/wiki pairs=1 last=wiki/a: [globex/c] [wiki/a]",
			},
		},
		"not two directories whose names begin alike": {
			objects: []runtime.Object{
				makePod("acme", "a", "n1", mountingDirectory("/srv/data")),
				makePod("acme", "b", "n1", mountingDirectory("/srv/database"), func(p *v1.Pod) { p.Spec.HostPID = true }),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, cluster...)
			set(t, e, tc.objects...)
			if diff := cmp.Diff(tc.want, brief(e.Report()), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// No pod is placed in these cases: another change makes running pods break the rule, and its
// reversal ends the finding.
func TestFindingsBeginAndEnd(t *testing.T) {
	vm := inClass("kata")
	ephemeral := func(p *v1.Pod) {
		p.Spec.EphemeralContainers = []v1.EphemeralContainer{{EphemeralContainerCommon: v1.EphemeralContainerCommon{
			Name: "debug", SecurityContext: &v1.SecurityContext{Privileged: new(true)},
		}}}
	}
	recreated := makeClass("kata", "kata")
	recreated.CreationTimestamp = metav1.NewTime(beginning.Add(time.Hour))
	started := func(p *v1.Pod) { p.Status.StartTime = &metav1.Time{Time: beginning} }

	for name, tc := range map[string]struct {
		before     []runtime.Object
		come, back []runtime.Object
		want       Reason
	}{
		"a namespace moves to another tenant": {
			before: []runtime.Object{makePod("acme", "a", "n1"), makePod("shop", "b", "n1")},
			come:   []runtime.Object{makeNamespace("shop", "globex")},
			back:   []runtime.Object{makeNamespace("shop", "acme")},
			want:   "ForeignResident",
		},
		"a namespace loses its tenant": {
			before: []runtime.Object{makePod("acme", "a", "n1"), makePod("shop", "b", "n1")},
			come:   []runtime.Object{makeNamespace("shop", "")},
			back:   []runtime.Object{makeNamespace("shop", "acme")},
			want:   "UnmanagedResident",
		},
		"a RuntimeClass is recreated with a handler that isolates nothing": {
			before: []runtime.Object{makePod("acme", "a", "n1", vm), makePod("globex", "b", "n1", vm)},
			come:   []runtime.Object{makeClass("kata", "runc")},
			back:   []runtime.Object{makeClass("kata", "kata")},
			want:   "ForeignResident",
		},
		"a RuntimeClass is recreated after the pods were started": {
			before: []runtime.Object{makePod("acme", "a", "n1", vm, started), makePod("globex", "b", "n1", vm, started)},
			come:   []runtime.Object{recreated},
			back:   []runtime.Object{makeClass("kata", "kata")},
			want:   "RemadeRuntimeClass",
		},
		"an ephemeral container raises a pod's privilege": {
			before: []runtime.Object{makePod("acme", "a", "n1"), makePod("acme", "b", "n1")},
			come:   []runtime.Object{makePod("acme", "b", "n1", ephemeral)},
			back:   []runtime.Object{makePod("acme", "b", "n1")},
			want:   "ForeignResident",
		},
		"a volume becomes known as a directory of the host": {
			before: []runtime.Object{
				makePVC("acme", "data", "pv"), makeVolume("pv", "acme", "data", v1.PersistentVolumeSource{NFS: &v1.NFSVolumeSource{}}),
				makePod("acme", "a", "n1", vm, stamped("vm"), mountingPVC("data")), makePod("globex", "b", "n1", vm),
			},
			come: []runtime.Object{makeVolume("pv", "acme", "data", v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: "/srv"}})},
			back: []runtime.Object{makeVolume("pv", "acme", "data", v1.PersistentVolumeSource{NFS: &v1.NFSVolumeSource{}})},
			want: "ForeignResident",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, makeNode("n1"), makeNamespace("acme", "acme"), makeNamespace("shop", "acme"), makeNamespace("globex", "globex"), makeClass("kata", "kata"))
			set(t, e, tc.before...)
			if c := e.Changes(); len(c.Began) > 0 {
				t.Fatalf("findings before anything happened: %v", brief(Report{Findings: c.Began}))
			}
			set(t, e, tc.come...)
			c := e.Changes()
			if len(c.Began) != 1 || c.Began[0].Reason != tc.want || c.Began[0].Node != "n1" {
				t.Errorf("want one finding %s on n1, got %v", tc.want, brief(Report{Findings: c.Began}))
			}
			if diff := cmp.Diff(map[Reason]int{tc.want: 1}, e.Counts()); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			set(t, e, tc.back...)
			if c := e.Changes(); len(c.Ended) != 1 || len(c.Began) != 0 {
				t.Errorf("want the finding to end, got %+v", c)
			}
		})
	}
}

func TestLastPodByTheBestClock(t *testing.T) {
	at := func(hours int) metav1.Time { return metav1.NewTime(beginning.Add(time.Duration(hours) * time.Hour)) }
	scheduled := func(hours int) func(*v1.Pod) {
		return func(p *v1.Pod) {
			p.Status.Conditions = []v1.PodCondition{{Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: at(hours)}}
		}
	}
	started := func(hours int) func(*v1.Pod) {
		return func(p *v1.Pod) { p.Status.StartTime = new(at(hours)) }
	}
	for name, tc := range map[string]struct {
		a, b func(*v1.Pod)
		want string
	}{
		"a pod that waited long came when it was scheduled": {scheduled(3), after(60), "acme/a"},
		"a pod that the kubelet started late came late":     {started(3), scheduled(2), "acme/a"},
		"a pod created with its node came at its creation":  {after(1), after(0), "acme/a"},
		"of two pods of one second the name decides":        {after(1), after(1), "globex/b"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, makeNode("n1"), makeNamespace("acme", "acme"), makeNamespace("globex", "globex"),
				makePod("acme", "a", "n1", tc.a), makePod("globex", "b", "n1", tc.b))
			if got := e.Report().Findings[0].Last.String(); got != tc.want {
				t.Errorf("want %s, got %s", tc.want, got)
			}
		})
	}
}

func TestReportIsOrderFree(t *testing.T) {
	objects := []runtime.Object{
		makeNode("n1"), makeNode("n2"), makeNamespace("acme", "acme"), makeNamespace("globex", "globex"), makeNamespace("wiki", ""),
		makePod("acme", "a", "n2"), makePod("globex", "b", "n2"), makePod("wiki", "c", "n1"), makePod("acme", "d", "n1"), makePod("globex", "e", "n2"),
	}
	want := []string{
		"ForeignResident node=n2 volume= pairs=2 last=globex/e: [acme/a] [globex/b globex/e]",
		"UnmanagedResident node=n1 volume= pairs=1 last=wiki/c: [acme/d] [wiki/c]",
	}
	for range objects {
		objects = append(objects[1:], objects[0])
		r := newEngine(t, objects...).Report()
		if diff := cmp.Diff(want, brief(r)); diff != "" {
			t.Fatalf("findings, worst first (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(Summary{Nodes: 2, Pods: 5, PairsChecked: 4, PairsBreaking: 3}, r.Summary); diff != "" {
			t.Fatalf("summary (-want +got):\n%s", diff)
		}
	}
}

func TestStoreRefusesOtherKinds(t *testing.T) {
	e := newEngine(t)
	if err := e.store.Set(&v1.Secret{}); err == nil {
		t.Error("a Secret was taken")
	}
	if err := e.store.Delete(&v1.Secret{}); err == nil {
		t.Error("a Secret was deleted")
	}
}

func TestUnknownPodsConflictWithEachOther(t *testing.T) {
	e := newEngine(t, makeNode("n1"), makePod("ghost", "a", "n1"), makePod("ghost", "b", "n1"), makePod("ghost", "c", "n1"))
	f := e.Report().Findings[0]
	var got []string
	for a, b := range f.EachPair() {
		got = append(got, a.Name+b.Name)
	}
	if diff := cmp.Diff([]string{"ab", "ac", "bc"}, got); diff != "" || f.Pairs != 3 {
		t.Errorf("pairs, %d counted (-want +got):\n%s", f.Pairs, diff)
	}
}
