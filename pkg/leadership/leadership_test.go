package leadership

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/component-base/metrics/legacyregistry"
)

func TestProcessWithoutAnElectionNeverLeads(t *testing.T) {
	for name, signal := range map[string]*Signal{"no signal": nil, "an unused signal": newSignal()} {
		t.Run(name, func(t *testing.T) {
			if signal.Elects() || signal.Leads() {
				t.Errorf("elects %t, leads %t, want neither", signal.Elects(), signal.Leads())
			}
		})
	}
}

// The whole of it, with client-go's own elector: the provider of a process is set once, so
// this is the one test that installs a Signal.
func TestElection(t *testing.T) {
	signal := Install()
	lock := func(identity string) resourcelock.Interface {
		return &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: "default", Name: "scheduler"},
			Client:     fake.NewClientset().CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	elected := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:          lock("us"),
		LeaseDuration: 15 * time.Second,
		RenewDeadline: 10 * time.Second,
		RetryPeriod:   2 * time.Second,
		Name:          "kube-scheduler",
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(elected) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !signal.Elects() || signal.Leads() {
		t.Errorf("before the election: elects %t, leads %t, want only the first", signal.Elects(), signal.Leads())
	}
	if got := gauge(t); got != 0 {
		t.Errorf("leader_election_master_status %v before the election, want 0", got)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		elector.Run(ctx)
	}()
	select {
	case <-elected:
	case <-time.After(time.Minute):
		t.Fatal("not elected")
	}
	select {
	case <-signal.Leading():
	case <-time.After(time.Minute):
		t.Fatal("elected and not notified")
	}
	if got := gauge(t); got != 1 {
		t.Errorf("leader_election_master_status %v, want 1", got)
	}
	cancel()
	<-ended
	// What the elector calls when it fails to renew the lease.
	provider{signal}.Off("kube-scheduler")
	if got := gauge(t); got != 0 {
		t.Errorf("leader_election_master_status %v after the lease was lost, want 0", got)
	}
}

// gauge returns the stock metric's value as it is scraped.
func gauge(t *testing.T) float64 {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "leader_election_master_status" {
			// The shipped alert selects by it.
			if label := family.GetMetric()[0].GetLabel()[0]; label.GetName() != "name" || label.GetValue() != "tenant-isolation-scheduler" {
				t.Errorf("leader_election_master_status has the label %v, want our own name", label)
			}
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("no metric leader_election_master_status")
	return 0
}
