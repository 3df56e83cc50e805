package app

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

func TestJoin(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second bool
		fails         bool
	}{
		"no profile dedicates":         {},
		"the first profile dedicates":  {first: true, fails: true},
		"the second profile dedicates": {second: true, fails: true},
		"both dedicate":                {first: true, second: true, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			var p Process
			audits, err := p.join(tc.first)
			if err != nil || !audits {
				t.Fatalf("the first profile: audits %t, %v", audits, err)
			}
			audits, err = p.join(tc.second)
			if (err != nil) != tc.fails {
				t.Errorf("the second profile: %v, want an error: %t", err, tc.fails)
			}
			if audits {
				t.Error("the second profile audits as well")
			}
		})
	}
}

// withInformers is a handle of which nothing but the informers is asked.
type withInformers struct {
	fwk.Handle
	factory informers.SharedInformerFactory
}

func (h withInformers) SharedInformerFactory() informers.SharedInformerFactory { return h.factory }

// As long as an informer has not read everything, kube-scheduler has made no elector, and that there is none says nothing.
func TestNoElectionBeforeAllInformersHaveSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules, err := podfacts.NewRules(policy.Default())
		if err != nil {
			t.Fatal(err)
		}
		gatherer, err := podfacts.NewGatherer()
		if err != nil {
			t.Fatal(err)
		}
		factory, arrived := informers.NewSharedInformerFactory(fake.NewClientset(), 0), make(chan struct{})
		factory.InformerFor(&policyv1.PodDisruptionBudget{}, func(client kubernetes.Interface, _ time.Duration) cache.SharedIndexInformer {
			return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
				ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
					<-arrived
					return &policyv1.PodDisruptionBudgetList{}, nil
				},
				WatchFuncWithContext: func(context.Context, metav1.ListOptions) (apiwatch.Interface, error) { return apiwatch.NewFake(), nil },
			}, client), &policyv1.PodDisruptionBudget{}, 0, nil)
		})
		store := cluster.New(rules, gatherer)
		if err := store.Follow(t.Context(), factory, func() {}); err != nil {
			t.Fatal(err)
		}
		factory.Start(t.Context().Done())

		var leads atomic.Bool
		go func() {
			leads.Store((&Process{}).awaitElection(t.Context(), &parts{handle: withInformers{factory: factory}, store: store}))
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if !store.Synced() || leads.Load() {
			t.Errorf("the store has synced: %t; taken for a process without an election: %t", store.Synced(), leads.Load())
		}
		close(arrived)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !leads.Load() {
			t.Error("a process without an election waits for one")
		}
	})
}
