//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/internal/realnode"
)

// As make e2e has it built.
const (
	shippedImage = "tenantisolation.dev/scheduler"
	shippedTag   = "v0.0.0-e2e"
)

// helm runs Helm as the administrator.
func (l lab) helm(args ...string) {
	l.Helper()
	cmd := exec.CommandContext(l.Context(), filepath.Join(l.root, "bin", "tools", "helm"), args...)
	cmd.Env = []string{"HOME=" + l.TempDir(), "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + l.cluster.AdminKubeconfig()}
	if output, err := cmd.CombinedOutput(); err != nil {
		l.Fatalf("helm %s: %v\n%s\n%s", strings.Join(args, " "), err, output, l.state())
	}
}

func (l lab) kubectl(args ...string) string {
	l.Helper()
	output, err := l.cluster.Kubectl(l.Context(), args...)
	if err != nil {
		l.Fatalf("%v\n%s", err, l.state())
	}
	return output
}

// state is what an administrator would look at first.
func (l lab) state() string {
	pods, _ := l.cluster.Kubectl(context.WithoutCancel(l.Context()), "get", "pods", "--all-namespaces", "--output=wide")
	events, _ := l.cluster.Kubectl(context.WithoutCancel(l.Context()), "get", "events", "--all-namespaces", "--field-selector=type!=Normal")
	return pods + events
}

func testInstall(l lab) {
	l.helm("install", "tenant-isolation", filepath.Join(l.root, "charts", "tenant-isolation"), "--namespace=kube-system",
		"--set=image.repository="+shippedImage, "--set=image.tag="+shippedTag,
		// Soon, because the parts follow each other on the same nodes.
		"--set=policy.dedication.releaseAfter=2s", "--set=policy.boundaries.handlers."+realnode.HandlerVM+"=vm",
		"--wait=watcher", "--timeout="+patience.String())
	l.awaitReplicas()
	l.kubectl("wait", "--for=condition=Enforced", "isolationpolicy/default", "--timeout="+patience.String())
}

// replicas are the pods of the scheduler.
func (l lab) replicas(ctx context.Context) []corev1.Pod {
	l.Helper()
	pods, err := l.api.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=scheduler"})
	if err != nil {
		l.Fatal(err)
	}
	return pods.Items
}

func (l lab) awaitReplicas() {
	l.Helper()
	const want = 2
	l.eventually("the scheduler's replicas are Ready", func(ctx context.Context) (bool, string) {
		d, err := l.api.AppsV1().Deployments(systemNamespace).Get(ctx, deploymentName, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		ready := d.Status.ObservedGeneration == d.Generation && d.Status.ReadyReplicas == want && d.Status.UpdatedReplicas == want && d.Status.Replicas == want
		return ready, fmt.Sprintf("%+v", d.Status)
	})
}

// leader returns the name of the pod that leads.
func (l lab) leader(ctx context.Context) string {
	l.Helper()
	lease, err := l.api.CoordinationV1().Leases(systemNamespace).Get(ctx, deploymentName, metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	name, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return name
}

// testFailover changes the scheduler's pods in three ways. After each, a tenant's pod is placed.
func testFailover(l lab) {
	placed := func(after string) {
		pod := podOf("acme", "after-"+after)
		l.create(pod)
		l.awaitRunning(pod)
		l.expectSound("")
		l.remove(pod)
	}

	for _, name := range []string{"control-1", "control-2", workers[0], workers[1]} {
		if err := l.cluster.Node(name).TagImage(l.Context(), shippedImage+":"+shippedTag, shippedImage+":"+shippedTag+"-2"); err != nil {
			l.Fatal(err)
		}
	}
	l.kubectl("set", "image", "deployment/"+deploymentName, "--namespace="+systemNamespace, "scheduler="+shippedImage+":"+shippedTag+"-2")
	l.kubectl("rollout", "status", "deployment/"+deploymentName, "--namespace="+systemNamespace, "--timeout="+patience.String())
	l.awaitReplicas()
	placed("rollout")

	// The leader's node: a preference, not a demand, says which node that is.
	drained := ""
	for _, pod := range l.replicas(l.Context()) {
		if pod.Name == l.leader(l.Context()) {
			drained = pod.Spec.NodeName
		}
	}
	l.kubectl("drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout="+patience.String())
	l.awaitReplicas()
	for _, pod := range l.replicas(l.Context()) {
		if pod.Spec.NodeName == drained && pod.DeletionTimestamp == nil {
			l.Errorf("%s is on a drained node", pod.Name)
		}
	}
	placed("drain")
	l.kubectl("uncordon", drained)

	leader, node := l.leader(l.Context()), ""
	for _, pod := range l.replicas(l.Context()) {
		if pod.Name == leader {
			node = pod.Spec.NodeName
			if err := l.cluster.Node(node).KillContainer(l.Context(), string(pod.UID), "scheduler"); err != nil {
				l.Fatal(err)
			}
		}
	}
	if node == "" {
		l.Fatalf("the leader %q is no replica", leader)
	}
	placed("kill")
	l.awaitReplicas()
	l.awaitFree()
}
