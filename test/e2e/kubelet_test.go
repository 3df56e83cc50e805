//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/realnode"
)

const stamp = "tenantisolation.dev/trust-domain"

// dedicated reports whether a node has a taint that keeps others off.
func (l lab) dedicated(ctx context.Context, name string) bool {
	l.Helper()
	node, err := l.api.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		l.Fatal(err)
	}
	for _, t := range node.Spec.Taints {
		if strings.Contains(t.Key, "tenantisolation") {
			return true
		}
	}
	return false
}

// testEnding ends a pod whose container takes its time: the node is not another tenant's before it is gone.
func testEnding(l lab) {
	slow := podOf("acme", "slow", on(workers[0]), func(pod *corev1.Pod) {
		pod.Spec.TerminationGracePeriodSeconds = ptr.To[int64](60)
		pod.Spec.Containers[0].Command = []string{
			"/bin/sh", "-c",
			`echo "version: $(cat /proc/version)"; echo "boot: $(cat /proc/sys/kernel/random/boot_id)"; trap 'while [ ! -e /tmp/end ]; do sleep 0.2; done; exit 0' TERM; while :; do sleep 0.2; done`,
		}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}}
		pod.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	})
	next := podOf("globex", "next", on(workers[0]))
	l.create(slow)
	l.awaitRunning(slow)
	uid := string(l.get(l.Context(), "acme", "slow").UID)

	// Nobody who may not force deletions, which a member of the tenant's namespace may not.
	tenant := l.memberOf("acme")
	err := tenant.CoreV1().Pods("acme").Delete(l.Context(), "slow", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
	if err == nil || apierrors.IsNotFound(err) {
		l.Errorf("a tenant's forced deletion of a running pod: %v, want it refused", err)
	}
	if err := tenant.CoreV1().Pods("acme").Delete(l.Context(), "slow", metav1.DeleteOptions{}); err != nil {
		l.Fatal(err)
	}
	l.create(next)
	l.awaitRefused(next, "node(s)")
	if !l.dedicated(l.Context(), workers[0]) {
		l.Error("the node is free while the container of its pod still runs")
	}
	if _, err := l.cluster.Node(workers[0]).Run(l.Context(), "touch", filepath.Join("/var/lib/kubelet/pods", uid, "volumes/kubernetes.io~empty-dir/tmp/end")); err != nil {
		l.Fatal(err)
	}
	l.awaitRunning(next)
	l.expectSound("")
	l.remove(slow, next)
	l.awaitFree()
}

// testKubeletRestart restarts a kubelet below running pods, with the affinity and the taints that a dedicated node has.
func testKubeletRestart(l lab) {
	node := l.cluster.Node(workers[0])
	pod := podOf("acme", "stays", on(node.Name))
	l.create(pod)
	l.awaitRunning(pod)
	before := l.get(l.Context(), "acme", "stays")
	if err := node.StopKubelet(l.Context()); err != nil {
		l.Fatal(err)
	}
	if err := node.AwaitReady(l.Context(), corev1.ConditionUnknown); err != nil {
		l.Fatal(err)
	}
	next := podOf("globex", "next", on(node.Name))
	l.create(next)
	l.awaitRefused(next, "node(s)")
	if !l.dedicated(l.Context(), node.Name) {
		l.Error("a node that is not ready is free for others, and its containers run")
	}
	if err := node.StartKubelet(); err != nil {
		l.Fatal(err)
	}
	if err := node.AwaitReady(l.Context(), corev1.ConditionTrue); err != nil {
		l.Fatal(err)
	}
	l.eventually("the pod is Ready again", func(ctx context.Context) (bool, string) {
		got := l.get(ctx, "acme", "stays")
		for _, c := range got.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return true, ""
			}
		}
		return false, describe(got)
	})
	after := l.get(l.Context(), "acme", "stays")
	if after.UID != before.UID || after.Status.ContainerStatuses[0].ContainerID != before.Status.ContainerStatuses[0].ContainerID {
		l.Errorf("want the same container, had %+v, have %+v", before.Status.ContainerStatuses, after.Status.ContainerStatuses)
	}
	l.awaitRefused(next, "node(s)")
	l.expectSound("")
	l.remove(pod, next)
	l.awaitFree()
}

// testChangesInPlace resizes a running pod and adds a container to it: it stays in its trust domain.
func testChangesInPlace(l lab) {
	pod := podOf("acme", "changes", on(workers[0]), func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")}
	})
	l.create(pod)
	l.awaitRunning(pod)
	before := l.get(l.Context(), "acme", "changes")
	if err := l.patchPod(pod, `{"spec":{"containers":[{"name":"probe","resources":{"requests":{"cpu":"20m"}}}]}}`, "resize"); err != nil {
		l.Fatal(err)
	}
	l.eventually("the kubelet has resized the container", func(ctx context.Context) (bool, string) {
		status := l.get(ctx, "acme", "changes").Status.ContainerStatuses[0]
		return status.Resources != nil && status.Resources.Requests.Cpu().String() == "20m", fmt.Sprintf("%+v", status.Resources)
	})
	security := `"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}`
	container := `{"spec":{"ephemeralContainers":[{"name":"debug","image":"` + realnode.ProbeImage + `","imagePullPolicy":"Never",` + security + `}]}}`
	privileged := strings.Replace(container, security, `"securityContext":{"privileged":true}`, 1)
	if err := l.patchPod(pod, privileged, "ephemeralcontainers"); err == nil {
		l.Error("a privileged container was added to a pod of the trust domain restricted")
	}
	if err := l.patchPod(pod, container, "ephemeralcontainers"); err != nil {
		l.Fatal(err)
	}
	l.eventually("the ephemeral container runs", func(ctx context.Context) (bool, string) {
		for _, status := range l.get(ctx, "acme", "changes").Status.EphemeralContainerStatuses {
			if status.State.Running != nil {
				return true, ""
			}
		}
		return false, describe(l.get(ctx, "acme", "changes"))
	})
	if after := l.get(l.Context(), "acme", "changes"); after.Annotations[stamp] == "" || after.Annotations[stamp] != before.Annotations[stamp] {
		l.Errorf("the stamp was %q and is %q", before.Annotations[stamp], after.Annotations[stamp])
	}
	l.expectSound("")
	l.remove(pod)
	l.awaitFree()
}

// testOverhead reads from the cgroup of a pod what its RuntimeClass adds to the limits of its containers.
func testOverhead(l lab) {
	pod := podOf("acme", "overhead", on(workers[0]), class(vmClass), func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
			corev1.ResourceMemory: resource.MustParse("64Mi"), corev1.ResourceCPU: resource.MustParse("1"),
		}
	})
	l.create(pod)
	l.awaitRunning(pod)
	limit, err := l.cluster.Node(workers[0]).PodMemoryLimit(string(l.get(l.Context(), "acme", "overhead").UID))
	if err != nil {
		l.Fatal(err)
	}
	sum := resource.MustParse("64Mi")
	sum.Add(resource.MustParse(vmOverhead))
	if limit != sum.Value() {
		l.Errorf("the pod's cgroup has the limit %d, want the container's and the overhead, %d", limit, sum.Value())
	}
	l.expectSound("")
	l.remove(pod)
	l.awaitFree()
}

// testKubeletChecks names a node past every scheduler. The API server refuses it for a dedicated node; a kubelet
// rejects the pod where its required affinity does not hold, which is what admission writes into the pods of tenants,
// and where the node has a taint NoExecute, which is what dedication.taintEffect can be.
func testKubeletChecks(l lab) {
	owner := podOf("acme", "owner", on(workers[0]))
	l.create(owner)
	l.awaitRunning(owner)
	past := podOf("default", "past", func(p *corev1.Pod) { p.Spec.NodeName = workers[0] })
	if _, err := l.api.CoreV1().Pods("default").Create(l.Context(), past, metav1.CreateOptions{}); !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		l.Errorf("a pod that names a dedicated node: %v, want it refused", err)
	}
	node := workers[1]
	l.kubectl("taint", "node", node, "example.com/e2e=x:NoExecute")
	for what, p := range map[string]*corev1.Pod{
		"affinity": podOf("kube-system", "past-affinity", on(workers[0]), func(p *corev1.Pod) { p.Spec.NodeName = node }),
		"taint":    podOf("kube-system", "past-taint", func(p *corev1.Pod) { p.Spec.NodeName = node }),
	} {
		l.create(p)
		l.eventually("the kubelet rejects a pod because of its "+what, func(ctx context.Context) (bool, string) {
			got, err := l.api.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return true, "" // the controller that evicts because of taints was faster
			}
			if err != nil {
				return false, err.Error()
			}
			return got.Status.Phase == corev1.PodFailed, describe(got)
		})
		l.remove(p)
	}
	l.kubectl("taint", "node", node, "example.com/e2e-")
	l.expectSound("")
	l.remove(owner)
	l.awaitFree()
}

// testReboot lets a tenant have a node that another has left only once its kernel is another one.
func testReboot(l lab) {
	l.setPolicy(`{"spec":{"dedication":{"nodeReuse":"AfterReboot"}}}`)
	node := l.cluster.Node(workers[0])
	a, b := podOf("acme", "first", on(node.Name)), podOf("globex", "second", on(node.Name))
	l.create(a)
	l.awaitRunning(a)
	before, err := l.api.CoreV1().Nodes().Get(l.Context(), node.Name, metav1.GetOptions{})
	if err != nil {
		l.Fatal(err)
	}
	l.remove(a)
	l.create(b)
	l.awaitRefused(b, "node(s)")
	// A reboot before it is written down in which boot the node became empty would not count.
	l.eventually("the boot is noted in which the node became empty", func(ctx context.Context) (bool, string) {
		table, err := l.api.CoreV1().ConfigMaps(systemNamespace).Get(ctx, "tenant-isolation-dedicated-nodes", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		noted := false
		for _, value := range table.Data {
			noted = noted || regexp.MustCompile(" "+node.Name+"=[^ :]*:[^ ]+ ").MatchString(" "+value+" ")
		}
		return noted, fmt.Sprint(table.Data)
	})
	if err := node.Reboot(l.Context()); err != nil {
		l.Fatal(err)
	}
	l.awaitRunning(b)
	after, err := l.api.CoreV1().Nodes().Get(l.Context(), node.Name, metav1.GetOptions{})
	if err != nil {
		l.Fatal(err)
	}
	if before.Status.NodeInfo.BootID == after.Status.NodeInfo.BootID {
		l.Error("the second tenant is on the kernel that the first has left")
	}
	l.expectSound("")
	l.remove(b)
	l.setPolicy(`{"spec":{"dedication":{"nodeReuse":"Immediately"}}}`)
	l.awaitFree()
}
