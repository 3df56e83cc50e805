package controlplane_test

import (
	"context"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

const patience = time.Minute

func eventually(t *testing.T, what string, condition func(ctx context.Context) (bool, error)) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func client(t *testing.T, c *controlplane.ControlPlane) kubernetes.Interface {
	t.Helper()
	client, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestAPIServerAlone(t *testing.T) {
	c := controlplanetest.Start(t, controlplane.Options{})

	t.Run("it is the release that we build against", func(t *testing.T) {
		version, err := client(t, c).Discovery().ServerVersion()
		if err != nil {
			t.Fatal(err)
		}
		if version.GitVersion != "v1.37.2" {
			t.Errorf("discovery reports %s, want v1.37.2", version.GitVersion)
		}
		text, err := c.Kubectl(t.Context(), "version")
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(text, "v1.37.2"); n != 2 {
			t.Errorf("kubectl version names v1.37.2 %d times, want once for the client and once for the server:\n%s", n, text)
		}
	})

	t.Run("a user has the rights that RBAC gives and no more", func(t *testing.T) {
		config, err := c.AddUser("ada", "developers")
		if err != nil {
			t.Fatal(err)
		}
		ada, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = ada.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("a user without rights lists nodes: %v, want forbidden", err)
		}
	})

	t.Run("a service account has its own name", func(t *testing.T) {
		if _, err := c.Kubectl(t.Context(), "create", "serviceaccount", "robot"); err != nil {
			t.Fatal(err)
		}
		config, err := c.ServiceAccount(t.Context(), "default", "robot")
		if err != nil {
			t.Fatal(err)
		}
		kubeconfig, err := c.WriteKubeconfig("robot", config)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Kubectl(t.Context(), "--kubeconfig", kubeconfig, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
		if want := "system:serviceaccount:default:robot"; got != want || err != nil {
			t.Errorf("it is %q (%v), want %q", got, err, want)
		}
	})

	t.Run("a privileged pod is accepted, and needs no service account where no controller makes one", func(t *testing.T) {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p"},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "c", Image: "none", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)},
			}}},
		}
		if _, err := client(t, c).CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	})
}

func TestDeploymentRunsOnAFakeNode(t *testing.T) {
	c := controlplanetest.Start(t, controlplane.Options{ControllerManager: true, Kwok: true})
	api := client(t, c)
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "fake-1",
			Annotations: map[string]string{controlplane.FakeNodeAnnotation: controlplane.FakeNodeValue},
		},
	}
	if _, err := api.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](3),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					NodeName:   "fake-1", // no scheduler runs here
					Containers: []corev1.Container{{Name: "c", Image: "none"}},
				},
			},
		},
	}
	if _, err := api.AppsV1().Deployments("default").Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three available replicas", func(ctx context.Context) (bool, error) {
		if err := c.Failed(); err != nil {
			return false, err
		}
		got, err := api.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
		return err == nil && got.Status.AvailableReplicas == 3, err
	})
	if got, want := len(c.PIDs()), 4; got != want {
		t.Errorf("%d processes are noted, want %d: etcd, kube-apiserver, kube-controller-manager, kwok", got, want)
	}
	eventually(t, "rules in the aggregated ClusterRole edit", func(ctx context.Context) (bool, error) {
		role, err := api.RbacV1().ClusterRoles().Get(ctx, "edit", metav1.GetOptions{})
		return err == nil && len(role.Rules) > 0, err
	})
	// With leases kwok would overlook a pod that is bound before it has seen the lease of the node.
	leases, err := api.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(leases.Items); n != 0 {
		t.Errorf("%d fake nodes have a lease, want none", n)
	}
	eventually(t, "a node without taints", func(ctx context.Context) (bool, error) {
		node, err := api.CoreV1().Nodes().Get(ctx, "fake-1", metav1.GetOptions{})
		return err == nil && len(node.Spec.Taints) == 0, err
	})
}
