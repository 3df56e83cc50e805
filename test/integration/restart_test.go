package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// A scheduler that may not read RuntimeClasses cannot distinguish a virtual machine from a
// container. It places no pod until it has the right, and then all.
func TestStartWithoutTheRightToRuntimeClasses(t *testing.T) {
	c := newFixture(t)
	user := c.name("blind")
	profile := user + "-scheduler"
	config, err := c.environment.plane.AddUser(user)
	c.must(err)
	c.allow(user, "system:kube-scheduler")
	c.allow(user, "system:volume-scheduler")
	blind := *c.environment
	blind.user = config

	node := c.node()
	pod := c.pod(c.namespace(tenant("acme")), scheduledBy(profile))
	platform := c.platformPod(metav1.NamespaceSystem, scheduledBy(profile))

	path := writeConfig(t, alone(profile))
	type started struct {
		run *schedulerRun
		err error
	}
	starting := make(chan started, 1)
	go func() {
		run, err := blind.run(t.Context(), profile, path)
		starting <- started{run, err}
	}()
	log := filepath.Join(c.environment.plane.Dir(), "log", profile+".log")
	c.eventually("the scheduler to ask for RuntimeClasses more than once", func(context.Context) (bool, error) {
		text, _ := os.ReadFile(log) // not there yet
		return strings.Count(string(text), `runtimeclasses.node.k8s.io is forbidden`) > 1, nil
	})
	select {
	case s := <-starting:
		t.Errorf("it reports itself ready: %v", s.err)
		starting <- s
	default:
	}
	c.stillRefused(pod, platform)

	c.allow(user, schedulerName)
	s := <-starting
	if s.err != nil {
		t.Fatal(s.err)
	}
	t.Cleanup(s.run.Stop)
	c.expectOn(node, pod, platform)
}

// allow binds a ClusterRole to a user for the rest of the control plane's life.
func (c *fixture) allow(user, role string) {
	c.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user + ":" + role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	_, err := c.api.RbacV1().ClusterRoleBindings().Create(c.Context(), binding, metav1.CreateOptions{})
	c.must(err)
}

// Two replicas, as shipped, and the leader is killed in the middle of a burst: the other
// one takes over what it finds half done.
func TestLeaderKilledInABurst(t *testing.T) {
	w := newWorkload(t)
	profile := "relay-" + w.id
	election := func(_ *testing.T, config map[string]any) {
		config["leaderElection"] = map[string]any{
			"leaderElect": true, "resourceLock": "leases",
			"resourceName": profile, "resourceNamespace": systemNamespace,
			// Short, because the test waits for it, and long enough to be renewed in a burst.
			"leaseDuration": "10s", "renewDeadline": "8s", "retryPeriod": "500ms",
		}
	}
	path := writeConfig(t, alone(profile), election)
	// The shipped rights are for the shipped lease.
	admin := *w.environment
	admin.user = w.environment.plane.Admin()
	var runs []*schedulerRun
	for _, name := range []string{"first", "second"} {
		run, err := admin.run(t.Context(), profile+"-"+name, path)
		w.must(err)
		t.Cleanup(run.Stop)
		runs = append(runs, run)
	}
	leader := w.leader(runs)

	o := w.observe()
	burst := func(n int) {
		var pods []*corev1.Pod
		for range n {
			pod := w.randomPod()
			scheduledBy(profile)(pod)
			pods = append(pods, pod)
		}
		w.createAll(pods)
	}
	burst(60)
	killed := make(chan error, 1)
	go func() {
		err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, patience, true, func(context.Context) (bool, error) {
			return o.bound() >= 20, nil
		})
		leader.Kill()
		killed <- err
	}()
	burst(60)
	if err := <-killed; err != nil {
		t.Fatalf("waiting for the first 20 binds: %v", err)
	}
	before := o.bound()
	burst(20)
	w.scheduler = &schedulerRun{profile: profile}
	w.expectSound(o)
	if o.bound() == before {
		t.Error("no pod was placed after the leader's end")
	}
	t.Logf("%d pods were placed before the leader's end, %d after it", before, o.bound()-before)
}

// leader waits until a replica logs that it has the lease.
func (w *workload) leader(runs []*schedulerRun) *schedulerRun {
	w.Helper()
	var leader *schedulerRun
	w.eventually("a leader", func(context.Context) (bool, error) {
		for _, run := range runs {
			text, err := os.ReadFile(run.Log())
			if err != nil {
				return false, err
			}
			if strings.Contains(string(text), "Successfully acquired lease") {
				leader = run
			}
		}
		return leader != nil, nil
	})
	return leader
}
