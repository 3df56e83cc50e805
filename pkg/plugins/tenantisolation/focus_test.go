package tenantisolation

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
)

func requests(cpu string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		p.Spec.Containers[0].Resources.Requests = v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu)}
	}
}

// TestFocus: red is at home on n007 and n031, VMs of blue are
// on n050, and there are 150 nodes.
func TestFocus(t *testing.T) {
	all := func(fwk.CycleState, fwk.NodeInfo) *fwk.Status { return nil }
	none := func(fwk.CycleState, fwk.NodeInfo) *fwk.Status { return fwk.NewStatus(fwk.Unschedulable) }
	for name, tc := range map[string]struct {
		pod     func(*world) *v1.Pod
		filters func(fwk.CycleState, fwk.NodeInfo) *fwk.Status
		change  func(*world)
		nodes   int
		want    []string
	}{
		"to every node of its trust domain": {want: []string{"n007", "n031"}},
		"not to a node that another filter refuses": {
			filters: func(_ fwk.CycleState, info fwk.NodeInfo) *fwk.Status {
				if info.Node().Name == "n007" {
					return fwk.NewStatus(fwk.Unschedulable)
				}
				return nil
			},
			want: []string{"n031"},
		},
		"nowhere if other filters refuse all of them": {filters: none},
		"nowhere if a filter cannot judge":            {filters: func(fwk.CycleState, fwk.NodeInfo) *fwk.Status { return fwk.NewStatus(fwk.Error, "no state") }},
		"nowhere if its trust domain has no node":     {pod: func(w *world) *v1.Pod { return w.pod("red-secret", "p") }},
		"nowhere if it does not fit by its size":      {pod: func(w *world) *v1.Pod { return w.pod("red", "p", requests("63")) }},
		"nowhere if it does not fit with its overhead": {pod: func(w *world) *v1.Pod {
			return w.pod("red", "p", requests("1"), func(p *v1.Pod) {
				p.Spec.Overhead = v1.ResourceList{v1.ResourceCPU: resource.MustParse("62")}
			})
		}},
		"a VM without a home to where VMs are":      {pod: func(w *world) *v1.Pod { return w.pod("red-secret", "p", class("kata")) }, want: []string{"n050"}},
		"nowhere if all nodes are looked at anyway": {nodes: alwaysSampled},
		"not to a node where a foreign pod has slipped in": {
			change: func(w *world) { w.add(w.pod("stray", "s", on("n007"))) },
			want:   []string{"n031"},
		},
		"nowhere if a PreFilter plugin is not known": {
			change: func(w *world) {
				w.preFilters = []schedulerconfig.Plugin{{Name: "Foreign"}, {Name: Name}}
			},
		},
		"nowhere if an extender filters nodes for it": {
			change: func(w *world) { w.extenders = []fwk.Extender{&fakeExtender{filters: true}} },
		},
		"home though an extender scores nodes": {
			change: func(w *world) { w.extenders = []fwk.Extender{&fakeExtender{}} },
			want:   []string{"n007", "n031"},
		},
		"nowhere if it names its node": {
			pod: func(w *world) *v1.Pod {
				return w.pod("red", "p", func(p *v1.Pod) {
					p.Spec.Affinity = &v1.Affinity{NodeAffinity: &v1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &v1.NodeSelector{
						NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchFields: []v1.NodeSelectorRequirement{{
							Key: "metadata.name", Operator: v1.NodeSelectorOpIn, Values: []string{"n001"},
						}}}},
					}}}
				})
			},
		},
		"nowhere if another PreFilter plugin comes after": {
			change: func(w *world) {
				w.preFilters = []schedulerconfig.Plugin{{Name: Name}, {Name: names.NodePorts}}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.namespace("red", "tenant=red")
			w.namespace("red-secret", "tenant=red", "data-class=restricted")
			w.namespace("blue", "tenant=blue")
			w.namespace("stray")
			w.runtimeClass("kata", "kata-qemu")
			for i := range 150 {
				w.node(fmt.Sprintf("n%03d", i))
			}
			w.add(w.pod("red", "a", on("n007"), requests("2")))
			w.add(w.pod("red", "b", on("n031"), requests("2")))
			w.add(w.pod("blue", "c", on("n050"), class("kata")))
			w.otherFilters = all
			if tc.filters != nil {
				w.otherFilters = tc.filters
			}
			if tc.change != nil {
				tc.change(w)
			}
			pod := w.pod("red", "p")
			if tc.pod != nil {
				pod = tc.pod(w)
			}
			infos, _ := (&fakeHandle{world: w}).List()
			if tc.nodes != 0 {
				infos = infos[:tc.nodes]
			}
			state := framework.NewCycleState()
			noted := sets.New("noted before")
			state.SetSkipFilterPlugins(noted)
			result, status := w.pl.PreFilter(t.Context(), state, pod, infos)
			if !status.IsSuccess() {
				t.Fatal(status)
			}
			var got []string
			if result != nil {
				got = sets.List(result.NodeNames)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
			if !state.GetSkipFilterPlugins().Equal(noted) {
				t.Error("the framework's note of skipped plugins was changed for good")
			}
		})
	}
}

func TestFocusIsBounded(t *testing.T) {
	w := tenants(t)
	for i := range 150 {
		node := fmt.Sprintf("n%03d", i)
		w.node(node)
		w.add(w.pod("red", "r"+node, on(node)))
	}
	asked := 0
	w.otherFilters = func(fwk.CycleState, fwk.NodeInfo) *fwk.Status {
		asked++
		return nil
	}
	infos, _ := (&fakeHandle{world: w}).List()
	result, _ := w.pl.PreFilter(t.Context(), framework.NewCycleState(), w.pod("red", "p"), infos)
	if result.NodeNames.Len() != focusNodes || asked != focusNodes {
		t.Errorf("%d nodes named, filters asked %d times, want %d", result.NodeNames.Len(), asked, focusNodes)
	}

	asked = 0
	w.otherFilters = func(fwk.CycleState, fwk.NodeInfo) *fwk.Status {
		asked++
		return fwk.NewStatus(fwk.Unschedulable)
	}
	result, _ = w.pl.PreFilter(t.Context(), framework.NewCycleState(), w.pod("red", "p"), infos)
	if result != nil || asked != focusTries {
		t.Errorf("got %v, filters that refuse asked %d times, want %d", result, asked, focusTries)
	}
}

// A trust domain that fills its nodes has one with room, and the next pod should not look
// at all of the others again.
func TestFocusBeginsAtTheLastHome(t *testing.T) {
	w := tenants(t)
	for i := range 150 {
		node := fmt.Sprintf("n%03d", i)
		w.node(node)
		w.add(w.pod("red", "r"+node, on(node)))
	}
	var asked []string
	w.otherFilters = func(_ fwk.CycleState, info fwk.NodeInfo) *fwk.Status {
		asked = append(asked, info.Node().Name)
		if info.Node().Name == "n040" {
			return nil
		}
		return fwk.NewStatus(fwk.Unschedulable)
	}
	infos, _ := (&fakeHandle{world: w}).List()
	for _, tc := range []struct {
		first string
		after int
	}{{"n000", focusTries - 41}, {"n040", focusMore}} {
		asked = nil
		result, _ := w.pl.PreFilter(t.Context(), framework.NewCycleState(), w.pod("red", "p"), infos)
		if result == nil || !result.NodeNames.Equal(sets.New("n040")) {
			t.Fatalf("got %v, want n040", result)
		}
		if asked[0] != tc.first {
			t.Errorf("the search begins with %s, want %s", asked[0], tc.first)
		}
		if after := len(asked) - slices.Index(asked, "n040") - 1; after != tc.after {
			t.Errorf("%d nodes were asked for after the first one was found, want %d", after, tc.after)
		}
	}
}

type fakeExtender struct {
	fwk.Extender
	filters bool
}

func (e *fakeExtender) IsFilter() bool            { return e.filters }
func (e *fakeExtender) IsInterested(*v1.Pod) bool { return true }
