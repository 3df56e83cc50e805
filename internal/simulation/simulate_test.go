package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/utils/clock"
)

const shipped = "../../manifests/base/scheduler-config.yaml"

func shippedProfile(t *testing.T) *schedulerconfig.KubeSchedulerConfiguration {
	t.Helper()
	profile, err := options.LoadConfigFromFile(klog.Background(), shipped)
	if err != nil {
		t.Fatal(err)
	}
	return profile
}

func traceReport(t *testing.T) *Report {
	t.Helper()
	o := kataClasses()
	o.Trace = TraceOptions{Tenants: 4, Seed: 1}
	r, err := Run(t.Context(), load(t, "testdata/trace", o), Options{Seed: 1, Small: 0.5, Profile: shipped, Clock: clock.RealClock{}, Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	r := traceReport(t)
	var ids []string
	for _, v := range r.Variants {
		ids = append(ids, v.ID)
	}
	want := []string{"best-fit", "best-fit-vm", "pools-tenant", "pools-domain", "stock", "anti-affinity", "kata", "plugin", "plugin-vm"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Fatalf("variants (-want +got)\n%s", diff)
	}
	for _, id := range []string{"plugin", "plugin-vm"} {
		v := r.Result(id)
		if v.PairsChecked == 0 || v.PairsBroken != 0 {
			t.Errorf("%s: of %d pairs %d break the rule", id, v.PairsChecked, v.PairsBroken)
		}
		if v.Radius.TenantsMax > 1 {
			t.Errorf("%s: one kernel reaches %d tenants", id, v.Radius.TenantsMax)
		}
		for _, m := range v.Meetings {
			if m.Kernel != 0 {
				t.Errorf("%s: %d attacker pods are on a victim's kernel with probability %g", id, m.Pods, m.Kernel)
			}
		}
	}
	if r.Result("stock").Radius.TenantsMax < 2 {
		t.Error("without isolation no node has two tenants, so the test proves nothing")
	}
	if r.Result("anti-affinity").Radius.TenantsMax > 1 {
		t.Error("the anti-affinity variant does not keep tenants apart")
	}
	if r.Bounds.Anyhow > r.Result("kata").Nodes || (r.Result("best-fit").Unplaced == 0 && r.Bounds.Apart > r.Result("best-fit").Nodes) {
		t.Errorf("a lower bound is above what was reached: %+v", r.Bounds)
	}
	if vms, alone := r.Result("best-fit-vm"), r.Result("best-fit"); vms.Nodes > alone.Nodes || r.Input.PodsInVMs == 0 {
		t.Errorf("with %d pods in VMs %d nodes, without %d", r.Input.PodsInVMs, vms.Nodes, alone.Nodes)
	}
}

func TestPlaceIsDeterministic(t *testing.T) {
	o := kataClasses()
	o.Trace = TraceOptions{Tenants: 4, Seed: 1}
	c := load(t, "testdata/trace", o)
	c.admit()
	place := func(seed uint64) map[string]string {
		profile := shippedProfile(t)
		outcome, err := Place(t.Context(), c, profile, seed, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		nodes := map[string]string{}
		for uid, node := range outcome.Node {
			nodes[string(uid)] = node
		}
		return nodes
	}
	first := place(1)
	if diff := cmp.Diff(first, place(1)); diff != "" {
		t.Errorf("(-first +again)\n%s", diff)
	}
	if maps.Equal(first, place(2)) {
		t.Error("another seed gives the same placement")
	}
}

func TestPlaceRetriesAtTheEnd(t *testing.T) {
	c := load(t, "testdata/manifests", kataClasses())
	c.admit()
	profile := shippedProfile(t)
	c.Pods = c.Pods[3:6] // those of one Deployment
	waiting, awaited := c.Pods[0], c.Pods[1]
	awaited.Labels = map[string]string{"awaited": ""}
	waiting.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: awaited.Labels}, TopologyKey: corev1.LabelHostname,
		}},
	}}

	r, err := newRun(t.Context(), c, profile, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var order []string
	next := r.sched.NextEntity
	r.sched.NextEntity = func(logger klog.Logger) (framework.QueuedEntityInfo, error) {
		entity, err := next(logger)
		if pod, ok := entity.(*framework.QueuedPodInfo); ok {
			order = append(order, pod.Pod.Name)
		}
		return entity, err
	}
	// The second pod brings the first back into the queue before the third is created.
	back := func(done, _ int) {
		if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, patience, true, func(context.Context) (bool, error) {
			return done != 2 || len(r.sched.SchedulingQueue.PodsInBackoffQ()) > 0, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.place(t.Context(), c, back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"web-0", "web-1", "web-2", "web-0"}, order); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if node := r.outcome.Node[waiting.UID]; node == "" || node != r.outcome.Node[awaited.UID] {
		t.Errorf("the waiting pod is on %q, the awaited one on %q", node, r.outcome.Node[awaited.UID])
	}
}

func TestPlaceKeepsReasons(t *testing.T) {
	c := load(t, "testdata/manifests", kataClasses())
	c.admit()
	profile := shippedProfile(t)
	c.Nodes = c.Nodes[:1] // red and blue may not share it
	c.Pods = c.Pods[3:]
	outcome, err := Place(t.Context(), c, profile, 1, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(outcome.Node) != 3 || len(outcome.Why) != 2 {
		t.Fatalf("placed %v, refused %v", outcome.Node, outcome.Why)
	}
	for uid, why := range outcome.Why {
		if !strings.Contains(why, "trust domain") {
			t.Errorf("%s: %s", uid, why)
		}
	}
}

func TestReportFormats(t *testing.T) {
	r := traceReport(t)
	var text, page bytes.Buffer
	if err := r.WriteText(&text, true); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var few bytes.Buffer
	if err := r.WriteText(&few, false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(few.String(), "IDLE CPU") || !strings.Contains(text.String(), "IDLE CPU") || !strings.Contains(few.String(), "plugin-vm") {
		t.Errorf("the few columns and all of them:\n%s", few.String())
	}
	for _, want := range []string{"seed 1", "4 tenants", "testdata/trace", "Kubernetes"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not say %q", want)
		}
	}
	for _, want := range []string{"<dt>Seed</dt><dd>1</dd>", "testdata/trace", "prefers-color-scheme: dark", "tabindex"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if found := regexp.MustCompile(`(?i)https?:|src=|@import|url\(|ZgotmplZ|<no value>`).FindString(page.String()); found != "" {
		t.Errorf("the page loads something, or has an empty field: %q", found)
	}
	for _, want := range []string{`"seed":1`, `"versions":`, `"blastRadius":`, `"coResidence":`, `"podSizes":`, `"lowerBounds":`} {
		if !bytes.Contains(encoded, []byte(want)) {
			t.Errorf("the JSON does not have %s", want)
		}
	}
}
