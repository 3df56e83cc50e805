package autoscaling

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/karpenter"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// descheduler is the real one, with the rights of its own manifests. Each run looks at the cluster once.
type descheduler struct{ program, kubeconfig string }

func newDescheduler(t *testing.T, f *field) *descheduler {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	output := func(name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Stderr = filepath.Join(root, "hack", "descheduler"), os.Stderr
		text, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		return strings.TrimSpace(string(text))
	}
	d := &descheduler{program: output(filepath.Join(root, "hack", "tools.sh"), "descheduler", "hack/descheduler")}
	module := output("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/descheduler")
	if _, err := f.plane.Kubectl(t.Context(), "apply", "-f", filepath.Join(module, "kubernetes", "base", "rbac.yaml")); err != nil {
		t.Fatal(err)
	}
	account, err := f.plane.ServiceAccount(t.Context(), metav1.NamespaceSystem, "descheduler-sa")
	if err != nil {
		t.Fatal(err)
	}
	if d.kubeconfig, err = f.plane.WriteKubeconfig("descheduler", account); err != nil {
		t.Fatal(err)
	}
	return d
}

// plugin is one of the descheduler's, with its arguments.
type plugin struct {
	name, point string
	args        map[string]any
}

func lowNodeUtilization() plugin {
	return plugin{"LowNodeUtilization", "balance", map[string]any{
		"thresholds": map[string]any{"cpu": 30}, "targetThresholds": map[string]any{"cpu": 50},
	}}
}

func highNodeUtilization() plugin {
	return plugin{"HighNodeUtilization", "balance", map[string]any{"thresholds": map[string]any{"cpu": 30}}}
}

// nodeTaints looks at all taints but these.
func nodeTaints(excluded ...string) plugin {
	return plugin{"RemovePodsViolatingNodeTaints", "deschedule", map[string]any{"excludedTaints": excluded}}
}

func nodeAffinity() plugin {
	return plugin{"RemovePodsViolatingNodeAffinity", "deschedule", map[string]any{
		"nodeAffinityType": []string{"requiredDuringSchedulingIgnoredDuringExecution"},
	}}
}

func topologySpread(nodeFit bool) plugin {
	return plugin{"RemovePodsViolatingTopologySpreadConstraint", "balance", map[string]any{
		"constraints": []corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}, "topologyBalanceNodeFit": nodeFit,
	}}
}

// evicts has a plugin look at the nodes of the scenario, and expects that it evicts so many of its pods. They are
// placed again, where the rule admits them.
func (d *descheduler) evicts(s *scenario, want int, p plugin, nodeFit bool) {
	s.Helper()
	policy, err := json.Marshal(map[string]any{
		"apiVersion": "descheduler/v1alpha2", "kind": "DeschedulerPolicy", "nodeSelector": scenarioLabel + "=" + s.name,
		"profiles": []any{map[string]any{
			"name": "test",
			"pluginConfig": []any{
				map[string]any{"name": "DefaultEvictor", "args": map[string]any{"nodeFit": nodeFit}},
				map[string]any{"name": p.name, "args": p.args},
			},
			"plugins": map[string]any{p.point: map[string]any{"enabled": []string{p.name}}},
		}},
	})
	s.must(err)
	file := filepath.Join(s.TempDir(), "policy.yaml")
	s.must(os.WriteFile(file, policy, 0o600))
	// It counts pods that are being deleted, and evicts none of them.
	s.within(patience, "rid of the pods that are being deleted", func() string {
		for _, pod := range s.pods() {
			if pod.DeletionTimestamp != nil {
				return pod.Name
			}
		}
		return ""
	})
	before := s.running()
	output, err := exec.CommandContext(s.Context(), d.program, "--client-connection-kubeconfig="+d.kubeconfig,
		"--policy-config-file="+file, "--secure-port=0", "--disable-metrics", "--v=3").CombinedOutput()
	if err != nil {
		s.Fatalf("descheduler: %v\n%s", err, output)
	}
	evicted, after := 0, s.running()
	for uid := range before {
		if after[uid] == "" {
			evicted++
		}
	}
	s.report("%s, nodeFit: %t: %d pods evicted", p.name, nodeFit, evicted)
	if evicted != want {
		s.Errorf("%s with nodeFit: %t evicts %d pods, want %d", p.name, nodeFit, evicted, want)
	}
	s.within(firstNodes, "as many pods running again", func() string {
		if running := s.running(); len(running) != len(before) {
			return fmt.Sprintf("%d of %d", len(running), len(before))
		}
		return ""
	})
}

// running are the pods of the scenario that are on a node and stay there, with their nodes.
func (s *scenario) running() map[types.UID]string {
	s.Helper()
	found := map[types.UID]string{}
	for _, pod := range s.pods() {
		if pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil {
			found[pod.UID] = pod.Spec.NodeName
		}
	}
	return found
}

// machine makes a node of 4 CPUs, which holds eight pods. Nodes of Karpenter are labelled by the leader.
func (s *scenario) machine(name string, labelled bool) string {
	s.Helper()
	name = s.name + "-" + name
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("16Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{scenarioLabel: s.name, corev1.LabelHostname: name},
			Annotations: map[string]string{controlplane.FakeNodeAnnotation: controlplane.FakeNodeValue},
		},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
	if labelled {
		node.Labels[karpenter.NodePoolLabel] = "none"
	}
	_, err := s.api.CoreV1().Nodes().Create(s.Context(), node, metav1.CreateOptions{})
	s.must(err)
	return name
}

// holds waits until so many pods of the scenario are on each node.
func (s *scenario) holds(want map[string]int) {
	s.Helper()
	s.within(afterNode, "with the pods where they belong", func() string {
		got := map[string]int{}
		for _, node := range s.running() {
			got[node]++
		}
		if !maps.Equal(want, got) {
			return fmt.Sprintf("%v", got)
		}
		return ""
	})
}

// labelled waits until each node that has pods has labels, where it is to have any.
func (s *scenario) labelled(want bool) {
	s.Helper()
	s.within(afterNode, "labelled", func() string {
		for _, node := range s.nodes() {
			if (labelsOf(&node) != isolation.NodeLabels{}) != want {
				return node.Name
			}
		}
		return ""
	})
}

// TestDescheduler has the real descheduler look at nodes of several trust domains. nodeFit looks at taints and at
// required node affinity, and so sees all that the rule sees only where nodes have the labels.
func TestDescheduler(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the descheduler")
	}
	f := newField(t)
	d := newDescheduler(t, f)
	var all sync.WaitGroup
	start := func(what string, labelled bool, run func(*scenario)) {
		what += map[bool]string{true: "-labelled", false: "-bare"}[labelled]
		all.Go(func() {
			t.Run(what, func(t *testing.T) {
				s := &scenario{T: t, field: f, name: what, begin: time.Now()}
				run(s)
				s.keepsTheRule()
			})
		})
	}
	for _, labelled := range []bool{true, false} {
		// Seven pods fill a node, and the other is all but empty. What LowNodeUtilization evicts from the first to the
		// second, and HighNodeUtilization the other way round, has somewhere to go only if both are of one trust domain.
		for what, tc := range map[string]struct {
			second func(*scenario) (namespace string, change []func(*corev1.PodSpec))
			// low is what LowNodeUtilization evicts with and without nodeFit, high what HighNodeUtilization does.
			lowFit, low, highFit, high int
		}{
			// The descheduler looks at the taints of all nodes to which it would evict, whatever nodeFit is.
			"tenant":    {second: func(s *scenario) (string, []func(*corev1.PodSpec)) { return s.tenant("t1"), nil }},
			"level":     {second: func(s *scenario) (string, []func(*corev1.PodSpec)) { return s.name + "-t0", of(baseline) }, lowFit: 3, low: 3, highFit: 1, high: 1},
			"users":     {second: func(s *scenario) (string, []func(*corev1.PodSpec)) { return s.name + "-t0", of(remapped) }, lowFit: 3, low: 3, highFit: 1, high: 1},
			"unmanaged": {second: func(s *scenario) (string, []func(*corev1.PodSpec)) { return s.unmanaged("wiki"), nil }, lowFit: 3, low: 3},
		} {
			if labelled {
				tc.lowFit, tc.highFit = 0, 0
			}
			start(what, labelled, func(s *scenario) {
				ns := s.tenant("t0")
				s.machine("a", labelled)
				s.run(ns, "hot", 7)
				s.placed(7, firstNodes)
				s.machine("b", labelled)
				second, change := tc.second(s)
				s.run(second, "cool", 1, change...)
				s.placed(8, firstNodes)
				s.labelled(labelled)
				d.evicts(s, tc.lowFit, lowNodeUtilization(), true)
				d.evicts(s, tc.low, lowNodeUtilization(), false)
				d.evicts(s, tc.highFit, highNodeUtilization(), true)
				d.evicts(s, tc.high, highNodeUtilization(), false)
				d.evicts(s, 0, nodeAffinity(), false)
				d.evicts(s, 0, nodeTaints(), false)
			})
		}
		// Within one trust domain both have their way. The scheduler fills nodes, so what HighNodeUtilization evicts moves
		// for good, and what LowNodeUtilization does may come back.
		start("own", labelled, func(s *scenario) {
			ns := s.tenant("t0")
			full := s.machine("a", labelled)
			s.run(ns, "hot", 8)
			s.placed(8, firstNodes)
			other := s.machine("b", labelled)
			s.run(ns, "cool", 1)
			s.placed(9, firstNodes)
			s.labelled(labelled)
			s.scale(ns, "hot", 6)
			s.holds(map[string]int{full: 6, other: 1})
			d.evicts(s, 1, highNodeUtilization(), true)
			s.holds(map[string]int{full: 7})
			d.evicts(s, 3, lowNodeUtilization(), true)
		})
	}

	// Pods that were there before their namespace had a tenant tolerate no taint.
	start("older", false, func(s *scenario) {
		ns := s.unmanaged("t0")
		s.machine("a", false)
		s.run(ns, "web", 3)
		s.placed(3, firstNodes)
		s.machine("b", false)
		_, err := s.plane.Kubectl(s.Context(), "label", "namespace", ns, "tenantisolation.dev/tenant="+ns)
		s.must(err)
		s.within(afterNode, "dedicated", func() string {
			for _, node := range s.nodes() {
				if len(node.Spec.Taints) > 0 {
					return ""
				}
			}
			return "no node has a taint"
		})
		d.evicts(s, 0, nodeTaints(isolation.DedicationTaints()...), true)
		d.evicts(s, 3, nodeTaints(), true)
		d.evicts(s, 0, nodeTaints(), true)
	})

	// Six pods on two nodes of three each, and a third node of another tenant, which counts as a host without any.
	for what, tc := range map[string]struct {
		labelled bool
		policy   *corev1.NodeInclusionPolicy
		without  int
	}{
		"spread":       {labelled: true},
		"spread-honor": {policy: ptr.To(corev1.NodeInclusionPolicyHonor)},
		"spread-count": {without: 2},
	} {
		start(what, tc.labelled, func(s *scenario) {
			ns := s.tenant("t0")
			s.machine("a", tc.labelled)
			s.machine("b", tc.labelled)
			s.run(ns, "web", 6, func(spec *corev1.PodSpec) {
				spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("1300m")
				spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
					MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway, NodeTaintsPolicy: tc.policy,
					LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
				}}
			})
			s.placed(6, firstNodes)
			s.machine("c", tc.labelled)
			s.run(s.tenant("t1"), "other", 1)
			s.placed(7, firstNodes)
			s.labelled(tc.labelled)
			d.evicts(s, 0, topologySpread(true), false)
			d.evicts(s, 0, topologySpread(false), true)
			d.evicts(s, tc.without, topologySpread(false), false)
		})
	}
	all.Wait()
}

func of(change ...func(*corev1.PodSpec)) []func(*corev1.PodSpec) { return change }
