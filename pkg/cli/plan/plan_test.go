package plan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/cli/plan"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// lookup is for a cluster in which every namespace "x" belongs to tenant "x".
type lookup struct{}

func (lookup) Namespace(name string) (podfacts.Namespace, bool) {
	return podfacts.Namespace{Labels: map[string]string{"tenantisolation.dev/tenant": name}}, true
}

func (lookup) RuntimeClass(name string) (podfacts.RuntimeClass, bool) {
	return podfacts.RuntimeClass{Handler: name}, name != ""
}

func (lookup) PVCOnHost(string) (onHost, known bool) { return false, true }

type builder struct {
	*testing.T
	in       plan.Input
	gatherer *podfacts.Gatherer
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	rules, err := podfacts.NewRules(policy.Default())
	if err != nil {
		t.Fatal(err)
	}
	gatherer, err := podfacts.NewGatherer()
	if err != nil {
		t.Fatal(err)
	}
	return &builder{t, plan.Input{
		Rules: rules, Lookup: lookup{}, More: plan.Size{MilliCPU: 4000, Memory: 16 << 30, Pods: 10},
		VMClass: "kata-qemu", VMOverhead: plan.Size{MilliCPU: 250, Memory: 160 << 20},
	}, gatherer}
}

// pods adds pods of a tenant that request so much CPU.
func (b *builder) pods(tenant, cpu string, copies int, change ...func(*v1.PodSpec)) {
	b.Helper()
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: tenant, Name: fmt.Sprint(len(b.in.Pods))},
		Spec: v1.PodSpec{Containers: []v1.Container{{
			Name: "c", Resources: v1.ResourceRequirements{Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu)}},
		}}},
	}
	for _, f := range change {
		f(&pod.Spec)
	}
	facts := b.gatherer.Gather(pod)
	b.in.Pods = append(b.in.Pods, plan.Pod{
		Workload: tenant + "/pod/" + pod.Name, Object: pod, Facts: facts, Copies: copies,
		Subject: b.in.Rules.Subject(pod, &facts, lookup{}),
	})
}

func TestMake(t *testing.T) {
	hostPID := func(s *v1.PodSpec) { s.HostPID = true }
	inVM := func(s *v1.PodSpec) { s.RuntimeClassName = ptr.To("kata-qemu") }
	type counts struct{ without, with, vms int }
	tests := map[string]struct {
		build func(*builder)
		want  counts
	}{
		"one trust domain needs as many nodes as without the rule": {func(b *builder) { b.pods("a", "1", 8) }, counts{2, 2, 2}},
		"two small trust domains need a node each, or VMs":         {func(b *builder) { b.pods("a", "1", 1); b.pods("b", "1", 1) }, counts{1, 2, 1}},
		"pods that are VMs already share a node":                   {func(b *builder) { b.pods("a", "1", 1, inVM); b.pods("b", "1", 1, inVM) }, counts{1, 1, 1}},
		"a pod that shares the host cannot be in a VM":             {func(b *builder) { b.pods("a", "1", 1, hostPID); b.pods("b", "1", 1) }, counts{1, 2, 2}},
		"the number of pods fills a node as well":                  {func(b *builder) { b.pods("a", "1m", 11) }, counts{2, 2, 2}},
		"the overhead of VMs does not pay for a full trust domain": {func(b *builder) { b.pods("a", "1", 4); b.pods("b", "1", 4) }, counts{2, 2, 2}},
		"a pod that no node is large enough for is not counted":    {func(b *builder) { b.pods("a", "5", 1); b.pods("a", "1", 1) }, counts{1, 1, 1}},
		"a small privileged workload costs its tenant one node":    {func(b *builder) { b.pods("a", "1", 2); b.pods("a", "100m", 1, hostPID) }, counts{1, 2, 2}},
		"a large node is taken before a small one, and not twice": {func(b *builder) {
			b.in.Nodes = []plan.Node{{Size: plan.Size{MilliCPU: 1000, Memory: 1 << 30, Pods: 10}}, {Size: plan.Size{MilliCPU: 8000, Memory: 1 << 40, Pods: 10}}}
			b.pods("a", "1", 8)
			b.pods("b", "1", 1)
		}, counts{2, 2, 2}},
		"containers leave a large node to VMs while there are others": {func(b *builder) {
			b.in.VMClass = ""
			b.in.Nodes = []plan.Node{{Size: plan.Size{MilliCPU: 8000, Memory: 1 << 40, Pods: 10}, VMCapable: true}, {Size: plan.Size{MilliCPU: 4000, Memory: 1 << 40, Pods: 10}}}
			b.pods("a", "1", 8)
			b.in.Pods[0].HasPlainNode = true
		}, counts{1, 2, 0}},
		"VMs take it": {func(b *builder) {
			b.in.VMClass = ""
			b.in.Nodes = []plan.Node{{Size: plan.Size{MilliCPU: 8000, Memory: 1 << 40, Pods: 10}, VMCapable: true}, {Size: plan.Size{MilliCPU: 4000, Memory: 1 << 40, Pods: 10}}}
			b.pods("a", "1", 8, inVM)
			b.in.Pods[0].HasPlainNode = true
		}, counts{1, 1, 0}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBuilder(t)
			tc.build(b)
			p := plan.Make(b.in)
			if got := (counts{p.WithoutRule, p.WithRule, p.WithVMs}); got != tc.want {
				t.Errorf("nodes %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	cpu := func(amount string) v1.ResourceList {
		return v1.ResourceList{v1.ResourceCPU: resource.MustParse(amount)}
	}
	requests := func(amount string) v1.Container {
		return v1.Container{Resources: v1.ResourceRequirements{Requests: cpu(amount)}}
	}
	sidecar := requests("2")
	sidecar.RestartPolicy = ptr.To(v1.ContainerRestartPolicyAlways)
	for name, tc := range map[string]struct {
		spec v1.PodSpec
		want int64
	}{
		"containers are added up":                       {v1.PodSpec{Containers: []v1.Container{requests("1"), requests("2")}}, 3000},
		"a larger init container counts alone":          {v1.PodSpec{InitContainers: []v1.Container{requests("4")}, Containers: []v1.Container{requests("1")}}, 4000},
		"a sidecar counts besides":                      {v1.PodSpec{InitContainers: []v1.Container{sidecar}, Containers: []v1.Container{requests("1")}}, 3000},
		"the overhead of a VM counts":                   {v1.PodSpec{Containers: []v1.Container{requests("1")}, Overhead: cpu("250m")}, 1250},
		"what the pod as a whole requests counts":       {v1.PodSpec{Containers: []v1.Container{requests("1")}, Resources: &v1.ResourceRequirements{Requests: cpu("5")}}, 5000},
		"a request that is missing is the limit":        {v1.PodSpec{Containers: []v1.Container{{Resources: v1.ResourceRequirements{Limits: cpu("2")}}}}, 2000},
		"a request counts although the limit is higher": {v1.PodSpec{Containers: []v1.Container{{Resources: v1.ResourceRequirements{Requests: cpu("1"), Limits: cpu("2")}}}}, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &v1.Pod{Spec: tc.spec}
			before := pod.DeepCopy()
			if got, want := plan.Request(pod), (plan.Size{MilliCPU: tc.want, Pods: 1}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if diff := cmp.Diff(before, pod); diff != "" {
				t.Errorf("the pod was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestMakeRaising(t *testing.T) {
	b := newBuilder(t)
	b.pods("a", "1", 1)
	b.pods("a", "1", 1)
	b.pods("a", "100m", 1, func(s *v1.PodSpec) { s.HostPID = true })
	p := plan.Make(b.in)
	if len(p.Raising) != 1 || p.Raising[0].Workload != "a/pod/2" || p.Raising[0].Saves != 1 || p.Raising[0].Instead != "baseline" {
		t.Errorf("raising %+v, want a/pod/2 with one node saved", p.Raising)
	}
}

// VMs never cost nodes, and each trust domain has a node at least.
func TestMakeInvariants(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		b := newBuilder(t)
		for range 1 + random.IntN(12) {
			b.pods(fmt.Sprintf("t%d", random.IntN(4)), fmt.Sprintf("%dm", 50+random.IntN(3000)), 1+random.IntN(5), func(s *v1.PodSpec) {
				s.HostPID = random.IntN(6) == 0
			})
		}
		p := plan.Make(b.in)
		if p.WithVMs > p.WithRule {
			t.Fatalf("%d nodes with VMs, %d without", p.WithVMs, p.WithRule)
		}
		nodes := 0
		for _, d := range p.TrustDomains {
			nodes += d.Nodes
		}
		if nodes != p.WithRule {
			t.Fatalf("%d nodes, and %d for its trust domains", p.WithRule, nodes)
		}
		if p.WithRule < len(p.TrustDomains) {
			t.Fatalf("%d nodes for %d trust domains", p.WithRule, len(p.TrustDomains))
		}
	}
}
