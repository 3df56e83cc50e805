//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/realnode"
)

const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
	deploymentName  = "tenant-isolation-scheduler"

	// patience is for a machine that does other things as well.
	patience = 2 * time.Minute
	poll     = 100 * time.Millisecond
)

// Two nodes of the control plane, for the two replicas, and two for tenants.
var (
	controlPlaneTaint = corev1.Taint{Key: "node-role.kubernetes.io/control-plane", Effect: corev1.TaintEffectNoSchedule}
	workers           = []string{"worker-1", "worker-2"}
)

func TestMain(m *testing.M) {
	os.Exit(realnode.Run(m.Run)) //nolint:forbidigo // the status of tests that ran in another process
}

// lab is the cluster, and what its tests share.
type lab struct {
	*testing.T

	root    string
	cluster *realnode.Cluster
	api     kubernetes.Interface
	seen    *sightings
}

func (l lab) at(t *testing.T) lab {
	t.Helper()
	l.T = t
	return l
}

// TestRealNodes is one test because a cluster of real nodes takes long to start; each part leaves it as it was.
func TestRealNodes(t *testing.T) {
	l := start(t)
	defer func() {
		if t.Failed() {
			l.cluster.KeepLogs(filepath.Join(l.root, "bin", "nodes", "log"))
		}
	}()
	defer func() { t.Logf("what the containers saw:\n%s", l.seen) }()
	for _, part := range []struct {
		name string
		run  func(lab)
	}{
		{withoutPlugin, testWithoutPlugin},
		{"the shipped image is installed and Ready", testInstall},
		{"a rollout, a drain and a killed leader", testFailover},
		{"containers of two tenants are never on one node", testContainers},
		{"two tenants share a node, each in its own gVisor", testSandbox},
		{"two tenants share a node, each in its own machine", testVirtualMachines},
		{"nodes report the handlers of their containerd", testHandlers},
		{"a node is kept until the last container is gone", testEnding},
		{"a pod is resized and gets another container", testChangesInPlace},
		{"a RuntimeClass's overhead is in the pod's cgroup", testOverhead},
		{"kubelets reject what came past every scheduler", testKubeletChecks},
		{"a kubelet that is away changes nothing", testKubeletRestart},
		{"a node is another tenant's after its reboot", testReboot},
		{staticPods, testStaticPod},
		{firingAlerts, testMonitoring},
		{"a pod with a user namespace is apart", testUserNamespace},
	} {
		begin := time.Now()
		l.seen.part = part.name
		if !t.Run(part.name, func(t *testing.T) { part.run(l.at(t)) }) {
			t.Fatalf("%q failed, and what comes after it builds on it", part.name)
		}
		t.Logf("%s: %.1f s", part.name, time.Since(begin).Seconds())
	}
}

func start(t *testing.T) lab {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	probe, scheduler := realnode.Images("probe.tar"), realnode.Images("scheduler.tar")
	if err := realnode.WriteProbeImage(probe); err != nil {
		t.Fatal(err)
	}
	if err := realnode.WriteArchive(scheduler, filepath.Join(root, "bin", "nodes", "release", "scheduler-image")); err != nil {
		t.Fatal(err)
	}
	nodes := []realnode.NodeOptions{}
	for _, name := range []string{"control-1", "control-2"} {
		nodes = append(nodes, realnode.NodeOptions{
			Name: name, Labels: map[string]string{controlPlaneTaint.Key: ""}, Taints: []corev1.Taint{controlPlaneTaint},
		})
	}
	for _, name := range workers {
		nodes = append(nodes, realnode.NodeOptions{Name: name})
	}
	cluster, err := realnode.Start(t.Context(), []string{probe, scheduler}, func(line string) { t.Log(line) }, nodes...)
	if err != nil {
		t.Fatal(err)
	}
	return lab{T: t, root: root, cluster: cluster, api: cluster.API, seen: &sightings{}}
}

// eventually polls until a condition holds. What keeps it from holding is its second result.
func (l lab) eventually(what string, condition func(ctx context.Context) (bool, string)) {
	l.Helper()
	why := ""
	err := wait.PollUntilContextTimeout(l.Context(), poll, patience, true, func(ctx context.Context) (bool, error) {
		ok, reason := condition(ctx)
		if ctx.Err() == nil {
			why = reason
		}
		return ok, l.cluster.Failed()
	})
	if err != nil {
		l.Fatalf("%s: %v: %s\n%s", what, err, why, l.state())
	}
}
