package tenantisolation

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

func (h *fakeHandle) ClientSet() clientset.Interface { return h.world.client }
func (h *fakeHandle) APICacher() fwk.APICacher       { return nil }

// apiServer answers binds as the API server does: a version that is not the current one
// is a conflict. It returns the bindings that it has let through.
func (w *world) apiServer(current *v1.Pod) *[]*v1.Binding {
	client := fake.NewClientset(current)
	bound := &[]*v1.Binding{}
	client.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create, ok := action.(clienttesting.CreateAction)
		if !ok || action.GetSubresource() != "binding" {
			return false, nil, nil
		}
		b, ok := create.GetObject().(*v1.Binding)
		if !ok {
			return true, nil, errors.New("not a Binding")
		}
		if b.ResourceVersion != "" && b.ResourceVersion != current.ResourceVersion {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, b.Name, errors.New("precondition failed"))
		}
		*bound = append(*bound, b)
		return true, b, nil
	})
	w.client = client
	return bound
}

func TestBindStampsWhatWasJudged(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red-secret", "p", class("kata")))
	bound := w.apiServer(pod)
	if status := w.bind(t.Context(), pod); !status.IsSuccess() {
		t.Fatal(status)
	}
	if len(*bound) != 1 {
		t.Fatalf("%d bindings, want 1", len(*bound))
	}
	b := (*bound)[0]
	want := map[string]string{
		isolation.EvidenceAnnotation: "tenant=red,data-class=restricted,privilege=restricted,user-namespace=host,boundary=vm",
	}
	if diff := cmp.Diff(want, b.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if b.UID != pod.UID || b.ResourceVersion != pod.ResourceVersion || b.Target.Name != "n1" || len(b.Labels) != 0 {
		t.Errorf("got %+v", b)
	}
}

// bind runs a cycle from PreFilter to Bind on n1.
func (w *world) bind(ctx context.Context, pod *v1.Pod, meanwhile ...func()) *fwk.Status {
	w.t.Helper()
	state := framework.NewCycleState()
	if _, status := w.pl.PreFilter(ctx, state, pod, nil); !status.IsSuccess() && !status.IsSkip() {
		w.t.Fatal(status)
	}
	for _, f := range meanwhile {
		f()
	}
	return w.pl.Bind(ctx, state, pod, "n1")
}

func TestBindLooksIntoAConflictOnce(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p"))
	bound := w.apiServer(w.changed(pod, func(p *v1.Pod) { p.Status.Message = "a newer status" }))
	if status := w.bind(t.Context(), pod); !status.IsSuccess() || len(*bound) != 1 {
		t.Errorf("got %v and %d bindings, want the newer version bound", status, len(*bound))
	}
}

func TestBindRefusesAChangedPod(t *testing.T) {
	for name, meanwhile := range map[string]func(w *world, pod *v1.Pod) *v1.Pod{
		"a label was edited, and no event has come": func(w *world, pod *v1.Pod) *v1.Pod {
			return w.changed(pod, labelled("data-class=restricted"))
		},
		"a label was edited": func(w *world, pod *v1.Pod) *v1.Pod {
			return w.add(w.changed(pod, labelled("data-class=restricted")))
		},
		"the namespace was given to another tenant": func(w *world, pod *v1.Pod) *v1.Pod {
			w.namespace("red", "tenant=blue")
			return pod
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			pod := w.add(w.pod("red", "p"))
			var bound *[]*v1.Binding
			status := w.bind(t.Context(), pod, func() { bound = w.apiServer(meanwhile(w, pod)) })
			if status.IsSuccess() || len(*bound) != 0 {
				t.Errorf("got %v and %d bindings, want none", status, len(*bound))
			}
		})
	}
}

func TestBindRefusesATakenNode(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p"))
	bound := w.apiServer(pod)
	status := w.bind(t.Context(), pod, func() { w.add(w.pod("stray", "s", on("n1"))) })
	if status.IsSuccess() || len(*bound) != 0 {
		t.Errorf("got %v and %d bindings, want none", status, len(*bound))
	}
}

func TestBindRefusesAnotherPod(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p"))
	bound := w.apiServer(w.changed(pod, func(p *v1.Pod) { p.UID = "another" }))
	status := w.bind(t.Context(), pod)
	if status.IsSuccess() || len(*bound) != 0 {
		t.Errorf("got %v and %d bindings, want none", status, len(*bound))
	}
}

func TestBindSeesAVolumeOfItsPreBind(t *testing.T) {
	for name, tc := range map[string]struct {
		source func(*v1.PersistentVolume)
		binds  bool
	}{
		"a volume of a network":   {csi, true},
		"a directory of the host": {hostPath, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			w.boundPVC("red", csi)
			pod := w.add(w.pod("red", "p", class("kata"), mountsData))
			bound := w.apiServer(pod)
			w.bind(t.Context(), pod, func() {
				volume := &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-data"}}
				tc.source(volume)
				w.set(volume)
			})
			if got := len(*bound) == 1; got != tc.binds {
				t.Errorf("bound: %v, want %v", got, tc.binds)
			}
		})
	}
}

func TestBindWithAnotherHostAccess(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("red", "p", mountsData))
	bound := w.apiServer(pod)
	status := w.bind(t.Context(), pod, func() { w.boundPVC("red", csi) })
	if !status.IsSuccess() || len(*bound) != 1 {
		t.Errorf("got %v and %d bindings, want one", status, len(*bound))
	}
}

func TestBindSkipsPlatformPods(t *testing.T) {
	w := tenants(t)
	pod := w.add(w.pod("kube-system", "p"))
	w.apiServer(pod)
	if status := w.bind(t.Context(), pod); !status.IsSkip() {
		t.Errorf("got %v, want Skip", status)
	}
}

func TestBindWhileObserving(t *testing.T) {
	w := tenants(t, func(a *v1alpha1.IsolationPolicySpec) { a.Enforcement = v1alpha1.EnforcementAudit })
	pod := w.add(w.pod("red", "p"))
	var bound *[]*v1.Binding
	status := w.bind(t.Context(), pod, func() {
		bound = w.apiServer(w.add(w.changed(pod, labelled("data-class=restricted"))))
		w.add(w.pod("blue", "there", on("n1")))
	})
	if !status.IsSuccess() || len(*bound) != 1 {
		t.Fatalf("got %v and %d bindings, want one", status, len(*bound))
	}
	want := "tenant=red,data-class=restricted,privilege=restricted,user-namespace=host,boundary=container"
	if got := (*bound)[0].Annotations[isolation.EvidenceAnnotation]; got != want {
		t.Errorf("evidence: got %s, want %s", got, want)
	}
	stray := w.add(w.pod("stray", "s"))
	bound = w.apiServer(stray)
	if status := w.bind(t.Context(), stray); !status.IsSuccess() || len((*bound)[0].Annotations) != 0 {
		t.Errorf("a pod without a tenant: %v, %v, want it bound without evidence", status, *bound)
	}
}
