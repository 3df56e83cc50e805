package controlplane_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

const stockConfig = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
`

func TestFaults(t *testing.T) {
	c := controlplanetest.Start(t, controlplane.Options{})
	api := client(t, c)
	config := filepath.Join(t.TempDir(), "stock.yaml")
	if err := os.WriteFile(config, []byte(stockConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	user, err := c.AddUser("system:kube-scheduler")
	if err != nil {
		t.Fatal(err)
	}
	scheduler, err := c.StartScheduler(t.Context(), controlplane.SchedulerOptions{Name: "stock", Stock: true, Config: config, User: user})
	if err != nil {
		t.Fatal(err)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	if _, err := api.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	create := func(name string) {
		t.Helper()
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none"}}},
		}
		if _, err := api.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	placed := func(name string) bool {
		pod, err := api.CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
		return err == nil && pod.Spec.NodeName != ""
	}
	untilPlaced := func(name string) {
		t.Helper()
		eventually(t, name+" to be placed", func(context.Context) (bool, error) { return placed(name), c.Failed() })
	}

	t.Run("the stock scheduler places a pod", func(t *testing.T) {
		create("first")
		// No node has room until its kubelet says so.
		giveRoom(t, api, "n")
		untilPlaced("first")
	})
	t.Run("what was placed is still there when etcd was killed", func(t *testing.T) {
		if err := c.RestartEtcd(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !placed("first") {
			t.Error("the pod is gone, or is on no node")
		}
	})
	t.Run("pods are placed after kube-apiserver was killed", func(t *testing.T) {
		if err := c.RestartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		create("second")
		untilPlaced("second")
	})
	t.Run("a second kube-apiserver has the same pods", func(t *testing.T) {
		config, err := c.AddAPIServer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		pods, err := other.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) != 2 {
			t.Errorf("it has %d pods (%v), want 2", len(pods.Items), err)
		}
	})
	t.Run("a paused scheduler places nothing until it is resumed", func(t *testing.T) {
		if err := scheduler.Pause(); err != nil {
			t.Fatal(err)
		}
		create("third")
		if placed("third") {
			t.Error("it is placed")
		}
		if err := scheduler.Resume(); err != nil {
			t.Fatal(err)
		}
		untilPlaced("third")
	})
	t.Run("a paused scheduler ends when it is asked to", func(t *testing.T) {
		if err := scheduler.Pause(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		scheduler.Stop()
		t.Logf("it took %s", time.Since(begin))
	})
}

func giveRoom(t *testing.T, api kubernetes.Interface, name string) {
	t.Helper()
	node, err := api.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("10")}
	node.Status.Capacity = node.Status.Allocatable
	if _, err := api.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}
