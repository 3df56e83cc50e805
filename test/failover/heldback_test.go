package failover

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

const poolLabel = "example.com/pool"

// The stock scheduler decides while the node is free, and its bind arrives when the node is
// dedicated to a tenant.
func TestHeldBackBindOfTheStockScheduler(t *testing.T) {
	for name, dedicating := range map[string]bool{"with dedication": true, "without dedication it arrives": false} {
		t.Run(name, func(t *testing.T) {
			a := newArena(t, burstSize{nodes: 1, tenants: 1}, dedicating)
			user, err := a.plane.AddUser("system:kube-scheduler")
			a.must(err)
			d := a.newSlowProxy(user)
			early := a.newPod(a.unmanaged[0], "early")
			h := d.hold(a, early)
			a.startStockAs(d.Config)
			a.create([]*corev1.Pod{early}, 1)
			h.untilHeld()

			a.startFleet(1)
			tenants := a.newPod(a.managed[0], "tenants")
			a.create([]*corev1.Pod{tenants}, 2)
			a.untilBound(tenants)

			code, text := h.send()
			r := a.witness.report()
			switch {
			case dedicating && code != http.StatusForbidden:
				t.Errorf("the API server answers %d, want it to refuse: %s", code, text)
			case dedicating:
				t.Logf("refused: %s", text)
			case code != http.StatusCreated:
				t.Errorf("the API server answers %d, want it to bind: else the case with dedication proves nothing: %s", code, text)
			}
			if dedicating && len(r.broken) > 0 {
				t.Errorf("broken:\n\t%s", head(r.broken))
			}
			if !dedicating {
				a.eventually("a pair that breaks the rule", func(context.Context) (bool, error) {
					return len(a.witness.report().broken) == 1, nil
				})
			}
		})
	}
}

// A leader is stopped while a bind is under way. Whatever happens to the node, the bind is never
// committed.
func TestHeldBackBindOfAPausedLeader(t *testing.T) {
	a := newArena(t, burstSize{nodes: 1, tenants: 2}, true)
	node := a.nodes[0]
	a.pool(node, "a")
	a.prepareFleet()
	d := a.newSlowProxy(a.fleet.user)
	pods := map[string]*corev1.Pod{}
	for name, namespace := range map[string]string{"prompt": a.managed[0], "late": a.managed[0], "next": a.managed[2]} {
		pods[name] = a.newPod(namespace, name)
		pods[name].Spec.NodeSelector = map[string]string{poolLabel: map[bool]string{true: "b", false: "a"}[name == "next"]}
	}

	prompt := d.hold(a, pods["prompt"])
	old := a.fleet.startAs(d.Config)
	a.activate()
	a.create([]*corev1.Pod{pods["prompt"]}, 1)
	prompt.untilHeld()
	if code, text := prompt.send(); code != http.StatusCreated {
		t.Fatalf("a bind of the leader is answered with %d: refusing the others proves nothing: %s", code, text)
	}
	late := d.hold(a, pods["late"])
	a.create([]*corev1.Pod{pods["late"]}, 2)
	late.untilHeld()
	a.must(old.Pause())
	old.paused = true
	// Its pod must not be placed by the next leader.
	a.pool(node, "b")
	a.remove(pods["prompt"])

	a.fleet.start()
	a.eventually("the term of the next leader", func(context.Context) (bool, error) {
		table, err := a.table()
		return err == nil && table["term"] != "" && table["term"] != termOf(late), err
	})
	late.expectRefused("after another has taken over")
	a.eventually("the node to be released", func(context.Context) (bool, error) {
		c, err := a.dedicated()
		return err == nil && len(c.table)+len(c.taints) == 0, err
	})
	late.expectRefused("after the node was released")
	a.create([]*corev1.Pod{pods["next"]}, 3)
	a.untilBound(pods["next"])
	late.expectRefused("after the node was dedicated again")

	a.must(old.Resume())
	a.eventually("the paused leader to end itself", func(context.Context) (bool, error) { return !old.running(), nil })
	if r := a.witness.report(); len(r.broken) > 0 {
		t.Errorf("broken:\n\t%s", head(r.broken))
	}
}

// The leader keeps leading, the dedication stays, and only the id distinguishes a bind that was given
// up from those that are meant.
func TestHeldBackBindWithALostAnswer(t *testing.T) {
	a := newArena(t, burstSize{nodes: 1, tenants: 1}, true)
	node := a.nodes[0]
	a.pool(node, "a")
	a.prepareFleet()
	d := a.newSlowProxy(a.fleet.user)
	lost, probe, other := a.newPod(a.managed[0], "lost"), a.newPod(a.managed[0], "probe"), a.newPod(a.managed[0], "other")
	lost.Spec.NodeSelector = map[string]string{poolLabel: "a"}
	probe.Spec.NodeSelector = map[string]string{poolLabel: "b"}
	other.Spec.NodeSelector = map[string]string{poolLabel: "b"}
	restrict(other)

	h := d.hold(a, lost)
	a.fleet.startAs(d.Config)
	a.activate()
	a.create([]*corev1.Pod{lost}, 1)
	h.untilHeld()
	// It cannot be tried again, and a pod that is placed by the new label shows that the
	// scheduler knows.
	a.pool(node, "b")
	a.create([]*corev1.Pod{probe}, 2)
	a.untilBound(probe)
	close(h.lost)
	a.remove(probe)
	a.create([]*corev1.Pod{other}, 3)
	a.untilBound(other)

	h.expectRefused("after a pod of another privilege was placed")
	if r := a.witness.report(); len(r.broken) > 0 {
		t.Errorf("broken:\n\t%s", head(r.broken))
	}
}

// termOf returns the term in the token of a held bind.
func termOf(h *heldBind) string {
	// In JSON or in protobuf.
	binding := &corev1.Binding{}
	_, _, err := scheme.Codecs.UniversalDeserializer().Decode(h.body, nil, binding)
	h.must(err)
	term, _ := cutToken(binding.Annotations[tokenAnnotation])
	return term
}

// pool puts a node into one of two pools.
func (a *arena) pool(node, pool string) {
	a.Helper()
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, poolLabel, pool)
	_, err := a.api.CoreV1().Nodes().Patch(a.Context(), node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	a.must(err)
}

func (a *arena) remove(pod *corev1.Pod) {
	a.Helper()
	a.must(a.api.CoreV1().Pods(pod.Namespace).Delete(a.Context(), pod.Name, *metav1.NewDeleteOptions(0)))
}

func (a *arena) untilBound(pod *corev1.Pod) {
	a.Helper()
	a.eventually(pod.Namespace+"/"+pod.Name+" to be bound", func(ctx context.Context) (bool, error) {
		got, err := a.api.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		return err == nil && got.Spec.NodeName != "", err
	})
}

// table is the data of the table, nil if there is none yet.
func (a *arena) table() (map[string]string, error) {
	table, err := a.api.CoreV1().ConfigMaps(systemNamespace).Get(a.Context(), tableName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return table.Data, nil
}
