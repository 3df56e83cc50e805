//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/realnode"
)

// staticPods names the part in which a pair breaks the rule that no scheduler can keep apart.
const staticPods = "static pods are seen by the audit"

// staticManifest is of a namespace without a tenant.
const staticManifest = `apiVersion: v1
kind: Pod
metadata: {name: static, namespace: default}
spec:
  terminationGracePeriodSeconds: 2
  containers: [{name: probe, image: "` + realnode.ProbeImage + `", imagePullPolicy: Never}]
`

// testStaticPod has a kubelet run a pod of an unmanaged namespace beside a tenant's. No one can keep it from that;
// its mirror shows it, and the audit says so.
func testStaticPod(l lab) {
	node := l.cluster.Node(workers[0])
	pod := podOf("acme", "resident", on(node.Name))
	l.create(pod)
	l.awaitRunning(pod)
	if err := node.StaticPod("static", staticManifest); err != nil {
		l.Fatal(err)
	}
	mirror := "static-" + node.Name
	l.eventually("the static pod has a mirror that runs", func(ctx context.Context) (bool, string) {
		got, err := l.api.CoreV1().Pods("default").Get(ctx, mirror, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return got.Status.Phase == corev1.PodRunning, describe(got)
	})
	l.eventually("the audit reports it", func(ctx context.Context) (bool, string) {
		events, err := l.api.CoreV1().Events(systemNamespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		var notes []string
		for _, e := range events.Items {
			notes = append(notes, e.Reason+": "+e.Message)
			if strings.Contains(e.Message, mirror) {
				return true, ""
			}
		}
		return false, fmt.Sprint(notes)
	})
	if result := l.check(""); result.Sound() {
		l.Error("the checker does not see the static pod")
	}
	if err := node.StaticPod("static", ""); err != nil {
		l.Fatal(err)
	}
	l.eventually("the static pod is gone", func(ctx context.Context) (bool, string) {
		pods, err := l.api.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == 0, fmt.Sprint(len(pods.Items), err)
	})
	l.remove(pod)
	l.awaitFree()
}

// testUserNamespace places a pod whose root is not the node's, and expects none beside it whose root is. Where the runtime
// has no user namespaces, its kubelet does not run the pod, rather than to run it without.
func testUserNamespace(l lab) {
	apart := podOf("acme", "userns", on(workers[0]), func(pod *corev1.Pod) { pod.Spec.HostUsers = ptr.To(false) })
	same := podOf("acme", "hostns", on(workers[0]))
	l.create(apart)
	if l.hasUserNamespaces(workers[0]) {
		l.awaitRunning(apart)
	} else {
		l.eventually("the kubelet refuses a user namespace that it cannot make", func(ctx context.Context) (bool, string) {
			events, err := l.api.CoreV1().Events("acme").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=userns"})
			if err != nil {
				return false, err.Error()
			}
			for _, e := range events.Items {
				if strings.Contains(e.Message, "does not support user namespaces") {
					return true, ""
				}
			}
			return false, describe(l.get(ctx, "acme", "userns"))
		})
	}
	l.create(same)
	l.awaitRefused(same, "node(s)")
	l.expectSound("")
	l.remove(apart, same)
	l.awaitFree()
}

func (l lab) hasUserNamespaces(name string) bool {
	l.Helper()
	node, err := l.api.CoreV1().Nodes().Get(l.Context(), name, metav1.GetOptions{})
	if err != nil {
		l.Fatal(err)
	}
	for _, h := range node.Status.RuntimeHandlers {
		if h.Name == "" && h.Features != nil && h.Features.UserNamespaces != nil {
			return *h.Features.UserNamespaces
		}
	}
	return false
}
