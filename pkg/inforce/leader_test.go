package inforce

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/policy"
)

const theirLabel = "example.com/team"

// small is a cluster of a few namespaces, whose admission policies are as shipped.
type small struct{ namespaces []*v1.Namespace }

func (small) RuntimeClasses() []*nodev1.RuntimeClass { return nil }
func (s small) Namespaces() []*v1.Namespace          { return s.namespaces }
func (small) Nodes() []*v1.Node                      { return nil }

func (small) Parameter(*v1alpha1.InForce) *v1.ConfigMap {
	return &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "parameter"}, Data: map[string]string{}}
}

func (small) Differences(context.Context, *v1alpha1.InForce) ([]string, error) { return nil, nil }

// leading returns a leader of a cluster whose IsolationPolicy takes tenants from another label and refuses nothing.
func leading(t *testing.T, client *fake.Clientset, namespaces ...string) *Leader {
	t.Helper()
	spec := policy.Default()
	spec.Enforcement, spec.TenantFrom = v1alpha1.EnforcementAudit, &v1alpha1.TenantFrom{NamespaceLabel: theirLabel}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.IsolationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.DefaultName, UID: "policy", Generation: 1, ResourceVersion: "1"},
		Spec:       *spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	objects := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{v1alpha1.Resource: "IsolationPolicyList"}, &unstructured.Unstructured{Object: object})
	var cluster small
	for _, name := range namespaces {
		cluster.namespaces = append(cluster.namespaces, &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{theirLabel: "acme"}}})
	}
	follower := NewFollower(objects, v1alpha1.DefaultName)
	go follower.Run(t.Context())
	synctest.Wait()
	return NewLeader(Config{
		Client: client, Dynamic: objects, Follower: follower, Cluster: cluster, Controls: cluster,
		Findings: func() (int, bool) { return 0, true }, Dedicated: func() int { return 0 }, SetBlind: func(bool) {},
		Clock: clock.RealClock{}, Logger: klog.Background(),
	})
}

// A namespace that refuses the label of its tenant keeps neither the others nor the policy from being kept.
func TestANamespaceRefusesItsTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		copied := map[string]bool{}
		client.PrependReactor("patch", "namespaces", func(action k8stesting.Action) (bool, runtime.Object, error) {
			name := action.(k8stesting.PatchAction).GetName()
			if name == "frozen" {
				return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, name, errors.New("frozen"))
			}
			copied[name] = true
			return true, &v1.Namespace{}, nil
		})
		l := leading(t, client, "a", "frozen", "z")
		for range 2 { // the first puts it into force
			if err := l.look(t.Context()); !apierrors.IsForbidden(err) {
				t.Errorf("got %v, want that frozen refuses it", err)
			}
			synctest.Wait()
		}
		if !copied["a"] || !copied["z"] {
			t.Errorf("copied to %v, want to a and z", copied)
		}
		status := l.Follower.Policy().Status
		if status.InForce == nil || meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionEnforced) == nil {
			t.Errorf("nothing more was looked at: %+v", status)
		}
	})
}

// However many namespaces refuse it, the API server is not asked about all of them with every look.
func TestManyNamespacesRefuseTheirTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		asked := 0
		client.PrependReactor("patch", "namespaces", func(k8stesting.Action) (bool, runtime.Object, error) {
			asked++
			return true, nil, apierrors.NewBadRequest("admission webhook denied the request")
		})
		var names []string
		for i := range 2 * namespacesPerLook {
			names = append(names, fmt.Sprint("frozen-", i))
		}
		l := leading(t, client, names...)
		if err := l.look(t.Context()); !apierrors.IsBadRequest(err) {
			t.Errorf("got %v, want the refusal", err)
		}
		if asked != refusalsPerLook {
			t.Errorf("%d namespaces were asked, want %d", asked, refusalsPerLook)
		}
	})
}

// However often a look fails, and whatever else wakes the leader, the next one is a second later.
func TestLooksThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		looks := 0
		client.PrependReactor("get", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
			looks++
			return true, nil, errors.New("etcd is away")
		})
		l := leading(t, client)
		go l.Run(t.Context())
		const minutes = 2
		for range minutes * 60 / 10 {
			time.Sleep(10 * time.Second)
			l.Look()
		}
		synctest.Wait()
		if most := minutes*60 + 2*minutes*60/10 + 2; looks < minutes*60/2 || looks > most {
			t.Errorf("%d looks, want at most %d", looks, most)
		}
	})
}

// A leader that was paused after it had read the parameter writes over no newer one: it asks after that whether the object
// is the newest.
func TestTheParameterIsReadBeforeTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		l := leading(t, client)
		var calls []string
		note := func(action k8stesting.Action) (bool, runtime.Object, error) {
			calls = append(calls, action.GetVerb()+" "+action.GetResource().Resource)
			return false, nil, nil
		}
		client.PrependReactor("*", "configmaps", note)
		l.Dynamic.(*dynamicfake.FakeDynamicClient).PrependReactor("get", "isolationpolicies", note)
		if err := l.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"get configmaps", "get isolationpolicies", "create configmaps"}, calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}
