package autoscaling

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/internal/karpenter"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// What users may rely on, where the machine does not do much else: within logs what took longer.
const (
	firstNodes = 60 * time.Second
	nextNode   = 45 * time.Second
	afterNode  = 20 * time.Second
	quiet      = 150 * time.Second
	// shortQuiet is long enough for consolidation, which looks 10 s after the last pod.
	shortQuiet = 60 * time.Second
)

// TestKarpenter runs scenarios side by side, as most of each is waiting.
func TestKarpenter(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds Karpenter and waits for consolidation")
	}
	f := newKarpenterField(t)
	// Not by t.Parallel, which would run as many at a time as there are processors.
	var all sync.WaitGroup
	for name, scenario := range map[string]struct {
		pool string
		run  func(*scenario)
	}{
		"five tenants come, stay and go":                {"idle", fiveTenants},
		"pods of another privilege level get a node":    {"levels", func(s *scenario) { secondKind(s, baseline) }},
		"pods of another user namespace get a node":     {"users", func(s *scenario) { secondKind(s, remapped) }},
		"pods beside unmanaged ones get a node":         {"unmanaged", unmanagedInBetween},
		"Kata pods get nodes of their own pool":         {"kata", kataPool},
		"tenants that race for a new node get one each": {"race", race},
		"interrupted and drifted nodes are replaced":    {"drift", interruptedAndDrifted},
		"terms that the author wrote are kept":          {"terms", authorsTerms},
	} {
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				s := f.scenario(t, scenario.pool)
				scenario.run(s)
				s.keepsTheRule()
			})
		})
	}
	all.Wait()
	// Last, as it changes the policy for all.
	t.Run("a tenant at its limit of nodes waits without disturbing others", func(t *testing.T) {
		s := f.scenario(t, "limit")
		atItsLimit(s)
		s.keepsTheRule()
	})
}

func fiveTenants(s *scenario) {
	var namespaces []string
	for i := range 5 {
		namespaces = append(namespaces, s.tenant(fmt.Sprintf("t%d", i)))
	}
	for _, ns := range namespaces {
		s.run(ns, "web", 5, unsatisfiablePreference)
	}
	s.placed(25, firstNodes)
	// 2.5 CPUs do not fit on a machine of two.
	if want, got := slices.Repeat([]string{karpenter.MachineName(4)}, 5), s.machines(); !slices.Equal(want, got) {
		s.Errorf("want the smallest machines that fit, %v, got %v", want, got)
	}
	if cost := s.idle(quiet, namespaces[0]); cost != (tally{}) {
		s.Errorf("want no node added or removed and no pod evicted, got %s", cost)
	}
	s.keepsTheRule()
	for _, ns := range namespaces {
		s.scale(ns, "web", 0)
	}
	s.allGone()
}

// allGone waits until Karpenter has removed every node, and expects no trace of them.
func (s *scenario) allGone() {
	s.Helper()
	s.within(patience, "all nodes gone", func() string { return strings.Join(s.nodesWithLabels(), ", ") })
	s.within(afterNode, "without entries in the table of dedicated nodes", func() string {
		tables, err := s.api.CoreV1().ConfigMaps(systemNamespace).List(s.Context(), metav1.ListOptions{})
		s.must(err)
		for _, table := range tables.Items {
			if strings.Contains(fmt.Sprint(table.Data), s.name+"-t0") {
				return table.Name
			}
		}
		return ""
	})
	s.report("all nodes gone; in all: %s", s.journal.tally(s.name))
}

// secondKind runs pods that may not join those that are there, though there is room.
func secondKind(s *scenario, change func(*corev1.PodSpec)) {
	ns := s.tenant("t0")
	s.run(ns, "first", 2)
	s.placed(2, firstNodes)
	s.run(ns, "second", 3, change)
	s.placed(5, nextNode)
	s.staysAsItIs(ns)
}

// staysAsItIs expects that consolidation changes nothing more, once it has had its first look.
func (s *scenario) staysAsItIs(namespace string) {
	s.Helper()
	cost := s.idle(shortQuiet, namespace)
	if cost != (tally{}) {
		s.Errorf("want no node added or removed and no pod evicted, got %s", cost)
	}
}

func unmanagedInBetween(s *scenario) {
	others, ns := s.unmanaged("wiki"), s.tenant("t0")
	s.run(others, "wiki", 2)
	s.placed(2, firstNodes)
	s.within(afterNode, "labelled unmanaged", func() string {
		for _, node := range s.nodes() {
			if labelsOf(&node) != isolation.UnmanagedNodeLabels() {
				return labelsOf(&node).String()
			}
		}
		return ""
	})
	s.run(ns, "web", 3)
	s.placed(5, nextNode)
	s.run(others, "late", 1)
	s.placed(6, nextNode)
	s.staysAsItIs(ns)
}

// kataPool has the example's pool of machines with Kata as well.
func kataPool(s *scenario) {
	_, pool, err := karpenter.ExampleNodePools()
	s.must(err)
	const machines = "kata-machines"
	s.addNodePool(pool, machines)
	a, b := s.tenant("t0"), s.tenant("t1")
	s.run(a, "vm", 2, inKata)
	s.run(b, "vm", 2, inKata)
	s.run(a, "web", 2)
	s.placed(6, firstNodes)
	pools := map[string]string{}
	for _, node := range s.nodes() {
		pools[node.Name] = node.Labels[karpenter.NodePoolLabel]
		s.report("%s: %s", node.Labels[karpenter.NodePoolLabel], labelsOf(&node))
	}
	for _, pod := range s.pods() {
		if (pod.Spec.RuntimeClassName != nil) != (pools[pod.Spec.NodeName] == machines) {
			s.Errorf("%s is on a node of the pool %s", pod.Name, pools[pod.Spec.NodeName])
		}
	}
	s.staysAsItIs(a)
}

func race(s *scenario) {
	const tenants = 6
	for i := range tenants {
		s.run(s.tenant(fmt.Sprintf("t%d", i)), "web", 3)
	}
	// An unmanaged pod has no affinity: it may be planned onto, and take, a node that was meant for a tenant.
	s.run(s.unmanaged("wiki"), "wiki", 1)
	s.placed(3*tenants+1, firstNodes)
	// It was planned beside a tenant's pods, so that a machine is too large for those alone that got it: one node may
	// be replaced, with all pods on it. For the tenant whose node it took one may have been ordered twice, and an empty
	// one goes. That is the end of it.
	empty := s.nodesByName()
	for _, node := range s.running() {
		delete(empty, node)
	}
	before, stays := s.journal.tally(s.name), 0
	// On a busy machine Karpenter may not have begun after a minute.
	for i := 0; i < 6 && stays < 2; i++ {
		if stays++; s.idle(shortQuiet, s.name+"-t0") != (tally{}) {
			stays = 0
		}
	}
	if cost := s.journal.tally(s.name).since(before); stays < 2 || cost.added > 1 || cost.removed > 1+len(empty) || cost.failed > 0 {
		s.Errorf("want one node replaced at most, %d empty ones removed, and then nothing for two minutes; got %s", len(empty), cost)
	}
	moved := map[string]bool{}
	for _, name := range s.journal.evicted(s.name) {
		namespace, _, _ := strings.Cut(name, "/")
		moved[namespace] = true
	}
	if len(moved) > 1 {
		s.Errorf("pods of several namespaces were moved: %v", slices.Sorted(maps.Keys(moved)))
	}
}

func interruptedAndDrifted(s *scenario) {
	for _, name := range []string{"t0", "t1"} {
		s.run(s.tenant(name), "web", 3)
	}
	s.placed(6, firstNodes)
	before := s.nodesByName()
	victim := slices.Sorted(maps.Keys(before))[0]
	s.must(s.api.CoreV1().Nodes().Delete(s.Context(), victim, metav1.DeleteOptions{}))
	s.within(firstNodes, "rid of the interrupted node", func() string {
		if s.nodesByName()[victim] {
			return victim
		}
		return ""
	})
	s.placed(6, firstNodes)

	before = s.nodesByName()
	patch := []byte(`{"spec":{"template":{"metadata":{"labels":{"example.com/generation":"2"}}}}}`)
	_, err := s.karpenter.NodePools().Patch(s.Context(), s.name, types.MergePatchType, patch, metav1.PatchOptions{})
	s.must(err)
	s.within(patience, "rid of the drifted nodes", func() string {
		var old []string
		for name := range s.nodesByName() {
			if before[name] {
				old = append(old, name)
			}
		}
		return strings.Join(old, " ")
	})
	s.placed(6, firstNodes)
	s.staysAsItIs(s.name + "-t0")
}

// atItsLimit has a tenant that wants one node more than it may have. Karpenter knows nothing of the limit, so
// it makes the node; what counts is that the tenant does not get it, and that it goes with the need.
func atItsLimit(s *scenario) {
	const limit = 2
	_, err := s.plane.Kubectl(s.Context(), "patch", "isolationpolicy", "default", "--type=merge",
		"--patch", fmt.Sprintf(`{"spec":{"dedication":{"maxNodesPerTenant":%d}}}`, limit))
	s.must(err)
	_, err = s.plane.Kubectl(s.Context(), "wait", "--for=condition=Enforced", "isolationpolicy/default", "--timeout="+patience.String())
	s.must(err)
	whole := func(spec *corev1.PodSpec) {
		spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("15")
	}
	greedy, modest := s.tenant("t0"), s.tenant("t1")
	s.run(greedy, "web", limit+1, whole)
	s.run(modest, "web", 1)
	s.within(firstNodes, "placed up to the limit", func() string {
		placed, pending, _ := s.journal.waits(s.name, greedy)
		others, _, _ := s.journal.waits(s.name, modest)
		if placed == limit && len(pending) == 1 && others == 1 {
			return ""
		}
		return fmt.Sprintf("%d placed, %v wait, %d of the other tenant placed", placed, pending, others)
	})
	cost := s.idle(shortQuiet, modest)
	if cost.evicted > 0 || cost.failed > 0 {
		s.Errorf("want no pod evicted, got %s", cost)
	}
	if placed, _, _ := s.journal.waits(s.name, greedy); placed > limit {
		s.Errorf("%d pods of the tenant have a node each, want at most %d", placed, limit)
	}
	s.scale(greedy, "web", limit)
	s.within(patience, "on as many nodes as it needs", func() string {
		if nodes := s.nodesWithLabels(); len(nodes) != limit+1 {
			return strings.Join(nodes, ", ")
		}
		return ""
	})
}

func (s *scenario) nodesByName() map[string]bool {
	names := map[string]bool{}
	for _, node := range s.nodes() {
		names[node.Name] = true
	}
	return names
}

// authorsTerms has a pod whose author prefers one kind of machine and takes another: each term gets the
// requirement.
func authorsTerms(s *scenario) {
	term := func(values ...string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: corev1.LabelInstanceTypeStable, Operator: corev1.NodeSelectorOpIn, Values: values},
		}}
	}
	chosen := func(spec *corev1.PodSpec) {
		unsatisfiablePreference(spec)
		spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{term("not-on-offer"), term(karpenter.MachineName(8))},
		}
	}
	for _, name := range []string{"t0", "t1"} {
		s.run(s.tenant(name), "web", 2, chosen)
	}
	s.placed(4, firstNodes)
	if want, got := slices.Repeat([]string{karpenter.MachineName(8)}, 2), s.machines(); !slices.Equal(want, got) {
		s.Errorf("want machines that the second of the author's terms names, %v, got %v", want, got)
	}
	s.staysAsItIs(s.name + "-t0")
}
