package failover

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Each kube-apiserver reads the table by its own informer. The settle time has to cover the time in
// which one still admits binds after a write by another. The test has no scheduler, and acts as
// the leader.
func TestFenceLagOfAnotherAPIServer(t *testing.T) {
	if !*full {
		t.Skip("a figure and no law, for -full")
	}
	const rounds = 30
	a := newArena(t, burstSize{nodes: 1, tenants: 1}, true)
	config, err := a.plane.AddAPIServer(t.Context())
	a.must(err)
	other, err := kubernetes.NewForConfig(config)
	a.must(err)
	node := a.nodes[0]
	pod := a.newPod(a.unmanaged[0], "probe")
	pod.Spec.SchedulerName = "none"
	a.create([]*corev1.Pod{pod}, 1)

	account, err := a.plane.ServiceAccount(t.Context(), systemNamespace, schedulerName)
	a.must(err)
	leader, err := kubernetes.NewForConfig(account)
	a.must(err)
	tables := leader.CoreV1().ConfigMaps(systemNamespace)
	table, err := tables.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: tableName}}, metav1.CreateOptions{})
	a.must(err)
	// Dry runs are admitted like any other, and leave the pod where it is.
	refused := func() bool {
		err := other.CoreV1().Pods(pod.Namespace).Bind(t.Context(), &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
			Target:     corev1.ObjectReference{Kind: "Node", Name: node},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil && !apierrors.IsForbidden(err) {
			t.Fatal(err)
		}
		return err != nil
	}
	untilRefused := func(want bool) time.Duration {
		begin := time.Now()
		for refused() != want {
			if time.Since(begin) > patience {
				t.Fatalf("the other API server refuses: %t, still", !want)
			}
		}
		return time.Since(begin)
	}
	untilRefused(false)
	var lags []time.Duration
	for i := range rounds {
		table.Data = map[string]string{"term": "t", node[len(node)-2:]: fmt.Sprintf(" %s=id%d: ", node, i)}
		table, err = tables.Update(t.Context(), table, metav1.UpdateOptions{})
		a.must(err)
		lags = append(lags, untilRefused(true))
		table.Data = nil
		table, err = tables.Update(t.Context(), table, metav1.UpdateOptions{})
		a.must(err)
		untilRefused(false)
	}
	slices.Sort(lags)
	t.Logf("%d writes; the other API server refused %.1f ms later in the median, %.1f ms at most", rounds,
		float64(lags[rounds/2].Microseconds())/1000, float64(lags[rounds-1].Microseconds())/1000)
}
