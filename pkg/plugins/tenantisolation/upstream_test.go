package tenantisolation

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/names"
	st "k8s.io/kubernetes/pkg/scheduler/testing"
)

// inTreePlugins returns every plugin of kube-scheduler, with its default arguments. The
// PVC "data" is on a disk in a zone.
func (w *world) inTreePlugins(t *testing.T) map[string]fwk.Plugin {
	t.Helper()
	handle := w.defaultFramework(t)
	configuration, err := latest.Default()
	if err != nil {
		t.Fatal(err)
	}
	args := map[string]runtime.Object{}
	for _, pluginConfig := range configuration.Profiles[0].PluginConfig {
		args[pluginConfig.Name] = pluginConfig.Args
	}
	core := handle.SharedInformerFactory().Core().V1()
	claim := st.MakePersistentVolumeClaim().Namespace("red").Name("data").VolumeName("disk").Obj()
	disk := st.MakePersistentVolume().Name("disk").Labels(map[string]string{v1.LabelTopologyZone: "a"}).Obj()
	if err := errors.Join(core.PersistentVolumeClaims().Informer().GetIndexer().Add(claim), core.PersistentVolumes().Informer().GetIndexer().Add(disk)); err != nil {
		t.Fatal(err)
	}
	made := map[string]fwk.Plugin{}
	for name, factory := range plugins.NewInTreeRegistry() {
		if made[name], err = factory(t.Context(), args[name], handle); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return made
}

func TestInTreePlugins(t *testing.T) {
	w := tenants(t)
	for name, plugin := range w.inTreePlugins(t) {
		if _, ok := plugin.(fwk.PreFilterPlugin); ok != inTree.Has(name) {
			t.Errorf("%s is a PreFilter plugin: %t, known as one: %t", name, ok, inTree.Has(name))
		}
	}
}

// TestSkipped compares what is known of the in-tree plugins with what their PreFilters do.
func TestSkipped(t *testing.T) {
	w := tenants(t)
	made := w.inTreePlugins(t)
	keys := map[string]fwk.StateKey{names.VolumeBinding: names.VolumeBinding} // the key is not read
	for _, plugin := range leaveState {
		keys[plugin.name] = plugin.key
	}
	untested := maps.Clone(keys)
	spec := func(change func(*v1.PodSpec)) *v1.Pod {
		return w.pod("red", "p", func(p *v1.Pod) { change(&p.Spec) })
	}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	for name, tc := range map[string]struct {
		pod *v1.Pod
		// works are the plugins with state that have something to do for the pod.
		works []string
	}{
		"a plain pod": {pod: w.pod("red", "p")},
		"a pod with a node selector": {
			pod:   spec(func(s *v1.PodSpec) { s.NodeSelector = map[string]string{"disk": "ssd"} }),
			works: []string{names.NodeAffinity},
		},
		"a pod with a host port": {
			pod:   spec(func(s *v1.PodSpec) { s.Containers[0].Ports = []v1.ContainerPort{{HostPort: 80}} }),
			works: []string{names.NodePorts},
		},
		"a pod with anti-affinity": {
			pod: spec(func(s *v1.PodSpec) {
				s.Affinity = &v1.Affinity{PodAntiAffinity: &v1.PodAntiAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: []v1.PodAffinityTerm{{LabelSelector: selector, TopologyKey: v1.LabelHostname}},
				}}
			}),
			works: []string{names.InterPodAffinity},
		},
		"a pod that is spread": {
			pod: spec(func(s *v1.PodSpec) {
				s.TopologySpreadConstraints = []v1.TopologySpreadConstraint{{
					MaxSkew: 1, TopologyKey: v1.LabelHostname, WhenUnsatisfiable: v1.DoNotSchedule, LabelSelector: selector,
				}}
			}),
			works: []string{names.PodTopologySpread},
		},
		"a pod with a disk": {
			pod: spec(func(s *v1.PodSpec) {
				s.Volumes = []v1.Volume{{VolumeSource: v1.VolumeSource{GCEPersistentDisk: &v1.GCEPersistentDiskVolumeSource{PDName: "d"}}}}
			}),
			works: []string{names.VolumeRestrictions},
		},
		"a pod that needs a feature of the node": {
			pod: spec(func(s *v1.PodSpec) {
				s.Containers[0].RestartPolicyRules = []v1.ContainerRestartRule{{Action: v1.ContainerRestartRuleActionRestartAllContainers}}
			}),
			works: []string{names.NodeDeclaredFeatures},
		},
		"a pod with a claim": {
			pod:   w.pod("red", "p", mountsData),
			works: []string{names.VolumeBinding, names.VolumeZone},
		},
	} {
		for _, name := range tc.works {
			delete(untested, name)
		}
		t.Run(name, func(t *testing.T) {
			state := framework.NewCycleState()
			nodes := []fwk.NodeInfo{w.snapshot["n1"]}
			var works []string
			did := map[string]*fwk.Status{}
			for name, plugin := range made {
				if p, ok := plugin.(fwk.PreFilterPlugin); ok {
					_, did[name] = p.PreFilter(t.Context(), state, tc.pod, nodes)
				}
			}
			predicted := skipped(state, tc.pod)
			for _, name := range slices.Sorted(maps.Keys(did)) {
				status := did[name]
				filter, filters := made[name].(fwk.FilterPlugin)
				key, leaves := keys[name]
				switch {
				case !status.IsSuccess() && !status.IsSkip() && name != names.VolumeBinding: // which follows informers
					t.Errorf("%s: PreFilter returned %s: %v", name, status.Code(), status)
				case leaves && status.IsSkip() != predicted.Has(name):
					t.Errorf("%s: PreFilter returned %s, predicted to be skipped: %t", name, status.Code(), predicted.Has(name))
				case leaves && !status.IsSkip():
					works = append(works, name)
					if _, err := state.Read(key); status.IsSuccess() && err != nil {
						t.Errorf("%s has left nothing under %s", name, key)
					}
				case !leaves && filters && status.IsSkip():
					// Its Filter is run here, and not by the framework.
					if got := filter.Filter(t.Context(), state, tc.pod, nodes[0]); !got.IsSuccess() {
						t.Errorf("%s: Filter returned %v after a PreFilter that returned Skip", name, got)
					}
				}
			}
			if !slices.Equal(works, tc.works) {
				t.Errorf("plugins with something to do: %v, want %v", works, tc.works)
			}
		})
	}
	if len(untested) > 0 {
		t.Errorf("no pod has something to do for %v", untested)
	}
}

// TestAlwaysSampled reads the constant from the source of the release that is built.
func TestAlwaysSampled(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "k8s.io/kubernetes/pkg/scheduler").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schedule_one.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	const name = "minFeasibleNodesToFind"
	got := ""
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].Name == name && len(spec.Values) == 1 {
			if value, ok := spec.Values[0].(*ast.BasicLit); ok {
				got = value.Value
			}
		}
		return true
	})
	if got != strconv.Itoa(alwaysSampled) {
		t.Errorf("%s is %q upstream, alwaysSampled is %d", name, got, alwaysSampled)
	}
}
