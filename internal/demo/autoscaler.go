package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"tenantisolation.dev/scheduler/internal/checker"
	"tenantisolation.dev/scheduler/internal/karpenter"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Karpenter is the autoscaler that the demo knows.
const Karpenter = "karpenter"

// act is a step of the demo with an autoscaler: how many pods each tenant then runs, and what the nodes are
// to be like before the next one.
type act struct {
	title    string
	replicas map[string]int
	nodes    func([]corev1.Node) bool
}

// acts begin and end without a node.
var acts = []act{
	{"three tenants come at once", map[string]int{"acme": 5, "globex": 5, "initech": 2}, some},
	{"acme runs pods of another privilege level as well", map[string]int{"acme-baseline": 2}, some},
	{"all shrink to one pod: smaller nodes will do", map[string]int{"acme": 1, "globex": 1, "initech": 1, "acme-baseline": 1}, smallest},
	{"all tenants go", map[string]int{"acme": 0, "globex": 0, "initech": 0, "acme-baseline": 0}, none},
}

func some(nodes []corev1.Node) bool { return len(nodes) > 0 }

func none(nodes []corev1.Node) bool { return len(nodes) == 0 }

func smallest(nodes []corev1.Node) bool {
	machine := karpenter.MachineName(karpenter.DefaultCPUs()[0])
	return !slices.ContainsFunc(nodes, func(node corev1.Node) bool { return node.Labels[corev1.LabelInstanceTypeStable] != machine })
}

// runAutoscaled shows tenants on nodes that Karpenter adds and removes.
func (d *demo) runAutoscaled(ctx context.Context) (*Outcome, error) {
	var err error
	if d.client, err = d.plane.Client(); err != nil {
		return nil, err
	}
	if err := d.installProduct(ctx); err != nil {
		return nil, err
	}
	scheduler, err := d.startScheduler(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.awaitPolicies(ctx); err != nil {
		return nil, err
	}
	if err := d.startKarpenter(ctx); err != nil {
		return nil, err
	}
	applier, err := newApplier(d)
	if err != nil {
		return nil, err
	}
	outcome := &Outcome{}
	line := d.startTimeline(ctx)
	for _, act := range acts {
		d.say("%s", act.title)
		if err := applier.apply(ctx, d, tenantsOf(act.replicas)); err != nil {
			return nil, err
		}
		if err := d.until(ctx, func(ctx context.Context) (bool, error) { return d.played(ctx, act) }); err != nil {
			return nil, fmt.Errorf("%s: %w", act.title, err)
		}
		line.look(ctx, d)
		cluster, err := checker.Read(ctx, d.client)
		if err != nil {
			return nil, err
		}
		if verdict := cluster.Check(); verdict.Pairs >= outcome.Verdict.Pairs || !verdict.Sound() {
			next := judge(cluster, false)
			next.Wrong = append(outcome.Wrong, next.Wrong...)
			outcome = next
		}
	}
	line.stop()
	d.print("\n" + outcome.Verdict.String() + " (with the most pods)\n" + line.summary())
	if d.Keep {
		d.keep(ctx, scheduler)
	}
	return outcome, nil
}

// startKarpenter starts it with the example NodePool.
func (d *demo) startKarpenter(ctx context.Context) error {
	d.say("starting Karpenter with the NodePool of manifests/examples/karpenter")
	cluster, err := karpenter.Start(ctx, d.plane, karpenter.Options{})
	if err != nil {
		return err
	}
	pool, _, err := karpenter.ExampleNodePools()
	if err != nil {
		return err
	}
	// So that nobody waits minutes to see nodes go.
	if err := unstructured.SetNestedSlice(pool.Object, []any{map[string]any{"nodes": "100%"}}, "spec", "disruption", "budgets"); err != nil {
		return err
	}
	if err := unstructured.SetNestedField(pool.Object, "10s", "spec", "disruption", "consolidateAfter"); err != nil {
		return err
	}
	return cluster.AddNodePool(ctx, pool)
}

// tenantsOf are the namespaces and Deployments of tenants. A name that ends in -baseline is the tenant's second
// Deployment, of another privilege level.
func tenantsOf(replicas map[string]int) objects {
	var all objects
	for name, count := range replicas {
		tenant, second := strings.CutSuffix(name, "-baseline")
		container := map[string]any{
			"name": "web", "image": "registry.example/web",
			"resources": map[string]any{"requests": map[string]any{"cpu": "500m"}},
		}
		spec := map[string]any{"containers": []any{container}}
		if !second {
			spec["securityContext"] = map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}}
			container["securityContext"] = map[string]any{
				"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}},
			}
			all = append(all, &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "Namespace",
				"metadata": map[string]any{"name": tenant, "labels": map[string]any{"tenantisolation.dev/tenant": tenant}},
			}})
		}
		labels := map[string]any{"app": name}
		all = append(all, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": map[string]any{"name": name, "namespace": tenant},
			"spec": map[string]any{
				"replicas": int64(count), "selector": map[string]any{"matchLabels": labels},
				"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": spec},
			},
		}})
	}
	return all
}

// played reports whether each Deployment has as many pods as the act has, each on a node, and the nodes are as
// they are to be.
func (d *demo) played(ctx context.Context, act act) (bool, error) {
	nodes, err := d.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil || !act.nodes(nodes.Items) {
		return false, err
	}
	pods, err := d.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	counts := map[string]int{}
	for _, pod := range pods.Items {
		counts[pod.Labels["app"]]++
		if pod.Spec.NodeName == "" && pod.Labels["app"] != "" {
			return false, nil
		}
	}
	for name, count := range act.replicas {
		if counts[name] != count {
			return false, nil
		}
	}
	return true, nil
}

// nodeLine describes a node for the timeline.
func nodeLine(node *corev1.Node, pods []corev1.Pod) string {
	var on []string
	for i := range pods {
		if pods[i].Spec.NodeName == node.Name {
			on = append(on, pods[i].Labels["app"])
		}
	}
	slices.Sort(on)
	counts := map[string]int{}
	for _, name := range on {
		counts[name]++
	}
	var parts []string
	for _, name := range slices.Compact(on) {
		parts = append(parts, fmt.Sprintf("%s x%d", name, counts[name]))
	}
	owner := node.Labels[isolation.NodeLabelKey(isolation.AxisTenant)]
	if owner == "" {
		owner = "no one"
	}
	if len(parts) == 0 {
		parts = []string{"empty"}
	}
	return fmt.Sprintf("%s for %s: %s", node.Labels[corev1.LabelInstanceTypeStable], owner, strings.Join(parts, ", "))
}
