package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

// The scheduler as shipped on a control plane that is upgraded and rolled back under it, by a
// kube-apiserver that emulates other releases.
func TestSchedulerFollowsTheAPIServer(t *testing.T) {
	if _, err := buildProgram(); err != nil {
		t.Fatal(err)
	}
	plane := controlplanetest.Start(t, controlplane.Options{APIServerFlags: map[string]string{"emulated-version": "1.36"}})
	client := mustClient(t, plane)
	// Before the policies, which want to know who names tenants.
	tenantsOf(t, client, "acme", "globex")
	applyCRDs(t, plane)
	apply(t, plane, "overlays/default")
	for _, name := range []string{"node-1", "node-2"} {
		if _, err := client.CoreV1().Nodes().Create(t.Context(), newNode(name), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	u := &upgraded{T: t, plane: plane, client: client}

	t.Run("the features of its own release stop it on an older API server", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := u.start(ctx, "ahead", "--emulated-version=1.37")
			failed <- err
		}()
		// It asks again and again, and never gets ready.
		log := filepath.Join(plane.Dir(), "log", "ahead.log")
		eventually(t, "it to ask for a kind that is not served", func(context.Context) (bool, error) {
			text, _ := os.ReadFile(log) // not there yet
			return strings.Count(string(text), "failed to list *v1.DeviceTaintRule") > 1, nil
		})
		cancel()
		if err := <-failed; err == nil {
			t.Error("it is ready")
		}
		// It would lead once the API server is upgraded.
		for _, process := range controlplanetest.ProcessesNaming(t, filepath.Join(plane.Dir(), "ahead")) {
			t.Errorf("still running: %s", process)
		}
	})
	var running *controlplane.Scheduler
	t.Run("by itself it offers what the API server does", func(t *testing.T) {
		running = u.mustStart("older", `version="1.36" builtFor="1.37"`)
		u.expectTwoNodes("older")
	})
	t.Run("it starts anew when the API server is upgraded", func(t *testing.T) {
		u.emulate("1.37")
		u.expectEnd(running)
		running = u.mustStart("upgraded", `version="1.37" builtFor="1.37"`)
		u.expectTwoNodes("upgraded")
	})
	t.Run("it refuses an API server that is too old", func(t *testing.T) {
		u.emulate("1.35")
		u.expectEnd(running)
		_, err := u.start(t.Context(), "too-old")
		if err == nil || !strings.Contains(err.Error(), "the API server offers Kubernetes 1.35, and this release works with 1.36 to 1.38: upgrade the API server") {
			t.Errorf("it says: %v", err)
		}
	})
}

// upgraded is a control plane whose API server changes its version.
type upgraded struct {
	*testing.T

	plane  *controlplane.ControlPlane
	client *kubernetes.Clientset
}

// emulate restarts the API server with another version.
func (u *upgraded) emulate(version string) {
	u.Helper()
	if err := u.plane.RestartAPIServer(u.Context(), "--emulated-version="+version); err != nil {
		u.Fatal(err)
	}
}

func (u *upgraded) start(ctx context.Context, name string, args ...string) (*controlplane.Scheduler, error) {
	user, err := u.plane.ServiceAccount(ctx, systemNamespace, schedulerName)
	if err != nil {
		return nil, err
	}
	return u.plane.StartScheduler(ctx, controlplane.SchedulerOptions{
		Name: name, User: user,
		// A slow restart of the API server does not cost it its lease.
		Args:   append(args, "--v=2", "--leader-elect-lease-duration=90s", "--leader-elect-renew-deadline=80s"),
		Config: filepath.Join(manifests(u.T, "components", "policy"), "scheduler-config.yaml"),
	})
}

// mustStart expects the scheduler to say once which version it offers.
func (u *upgraded) mustStart(name, says string) *controlplane.Scheduler {
	u.Helper()
	scheduler, err := u.start(u.Context(), name)
	if err != nil {
		u.Fatal(err)
	}
	if got := strings.Count(readFile(u.T, scheduler.Log()), says); got != 1 {
		u.Errorf("it says %d times, not once, %s", got, says)
	}
	return scheduler
}

// expectEnd waits for the end of a scheduler, which leaves its lease to the next one.
func (u *upgraded) expectEnd(scheduler *controlplane.Scheduler) {
	u.Helper()
	select {
	case <-scheduler.Exited():
	case <-time.After(time.Minute):
		u.Fatal("it has not ended after a minute")
	}
	if text := readFile(u.T, scheduler.Log()); !strings.Contains(text, "The version of the API servers has changed, exiting to start anew with it") {
		u.Error("it does not say why it ended")
	}
	lease, err := u.client.CoordinationV1().Leases(systemNamespace).Get(u.Context(), schedulerName, metav1.GetOptions{})
	if err != nil {
		u.Fatal(err)
	}
	if holder := lease.Spec.HolderIdentity; holder == nil || *holder != "" {
		u.Errorf("the lease is still held by %q; the scheduler says:\n%s", ptr.Deref(holder, "nobody that is named"), readFile(u.T, scheduler.Log()))
	}
}

// expectTwoNodes puts a pod of each tenant onto a node of its own, and removes both.
func (u *upgraded) expectTwoNodes(name string) {
	u.Helper()
	if _, err := u.plane.Kubectl(u.Context(), "wait", "--for=condition=Enforced", "isolationpolicy/default", "--timeout=60s"); err != nil {
		u.Fatal(err)
	}
	nodes := map[string]string{}
	for _, ns := range []string{"acme", "globex"} {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
			Spec:       corev1.PodSpec{SchedulerName: schedulerName, Containers: []corev1.Container{{Name: "c", Image: "none"}}},
		}
		if _, err := u.client.CoreV1().Pods(ns).Create(u.Context(), pod, metav1.CreateOptions{}); err != nil {
			u.Fatal(err)
		}
		eventually(u.T, "a node for the pod of "+ns, func(ctx context.Context) (bool, error) {
			got, err := u.client.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
			if err != nil || got.Spec.NodeName == "" {
				return false, err
			}
			nodes[ns] = got.Spec.NodeName
			return true, nil
		})
	}
	if nodes["acme"] == nodes["globex"] {
		u.Errorf("both are on %s", nodes["acme"])
	}
}

// tenantsOf creates a namespace of each tenant.
func tenantsOf(t *testing.T, client *kubernetes.Clientset, tenants ...string) {
	t.Helper()
	for _, name := range tenants {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labelMap([]label{tenant(name)})}}
		if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}
