package cli

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
	"tenantisolation.dev/scheduler/pkg/cli/preflight"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// This test installs the policies, which stay. It is in one of the last files, because tests run in the
// order of their files, and the others put pods where the policies forbid it.

// Before the installation preflight reports that everything is missing, and afterwards nothing.
func TestPreflightBeforeAndAfterTheInstallation(t *testing.T) {
	w := newEnvironment(t)
	w.node(t, "preflight-1")
	before := preflightOf(t, w)
	for check, want := range map[string]preflight.Status{
		"api server": preflight.Pass, "admission types": preflight.Pass, "policies": preflight.Fail, "scheduler": preflight.Fail,
		"scheduler rights": preflight.Fail, "daemon sets": preflight.Pass, "policy in force": preflight.Fail,
	} {
		if got := worst(before, check); got != want {
			t.Errorf("before: %s: %s, want %s: %+v", check, got, want, before)
		}
	}
	for _, result := range before {
		if result.Status != preflight.Pass && result.Fix == "" {
			t.Errorf("it does not say what to do about %+v", result)
		}
	}

	w.install(t, "audit")
	if got := worst(preflightOf(t, w), "policies"); got != preflight.Warn {
		t.Errorf("policies that only observe: %s, want %s", got, preflight.Warn)
	}
	w.install(t, "default")
	after := preflightOf(t, w)
	for check, want := range map[string]preflight.Status{
		"policies": preflight.Pass, "scheduler rights": preflight.Pass,
		// No kubelet runs its pods here.
		"scheduler": preflight.Fail,
	} {
		if got := worst(after, check); got != want {
			t.Errorf("after: %s: %s, want %s: %+v", check, got, want, after)
		}
	}
	// Where nodes are dedicated, the policies for that are looked for as well.
	w.kubectl(t, "delete", "validatingadmissionpolicybinding", "tenant-isolation-fence")
	if got := worst(preflightOf(t, w), "policies"); got != preflight.Fail {
		t.Errorf("policies without the binding of the fence: %s, want %s", got, preflight.Fail)
	}
	// The rule that is asked is the one in force.
	got := w.run(t, w.plane.AdminKubeconfig(), "audit")
	if !strings.Contains(got.out, "rule: IsolationPolicy default, generation 2 in force") {
		t.Errorf("the policy in force was not taken:\n%s%s", got.out, got.errOut)
	}
	// The leader has said that the admission policies are enforced, and is gone. One binding is, too.
	says := strings.Join(strings.Fields(got.out), " ")
	if got.status != 2 || !strings.Contains(says, "Not judged: the admission policies are not as shipped: ValidatingAdmissionPolicyBinding tenant-isolation-fence is missing") {
		t.Errorf("status %d, want 2 and what is missing:\n%s%s", got.status, got.out, got.errOut)
	}
	w.namespace(t, "installed-acme", "acme")
	changed := w.run(t, w.plane.AdminKubeconfig(), "plan", "--policy", repository(t, "manifests", "overlays", "audit", "policy.yaml"))
	if changed.status != 1 || !strings.Contains(changed.out, "enforcement: Audit, instead of Enforce") {
		t.Errorf("plan --policy: status %d, want 1 and what differs:\n%s%s", changed.status, changed.out, changed.errOut)
	}
}

// install applies an overlay as an administrator does, and puts its policy in force as the leader of the
// scheduler does, which does not run here.
func (w *environment) install(t *testing.T, overlay string) {
	t.Helper()
	w.kubectl(t, "apply", "-k", repository(t, "manifests", "crds"))
	w.kubectl(t, "wait", "--for=condition=Established", "crd/isolationpolicies.tenantisolation.dev")
	w.kubectl(t, "apply", "-k", repository(t, "manifests", "base"))
	w.kubectl(t, "apply", "-f", repository(t, "manifests", "overlays", overlay, "policy.yaml"))
	w.putInForce(t)
	w.kubectl(t, "apply", "-k", repository(t, "manifests", "overlays", overlay))
}

func (w *environment) kubectl(t *testing.T, args ...string) {
	t.Helper()
	if _, err := w.plane.Kubectl(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// putInForce writes what the leader writes of the IsolationPolicy. No policy forbids it yet to others: it is
// called before those that deny are installed.
func (w *environment) putInForce(t *testing.T) {
	t.Helper()
	config := w.plane.Admin()
	config.WarningHandler = rest.NoWarnings{}
	api, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	object, err := api.Resource(v1alpha1.Resource).Get(t.Context(), v1alpha1.DefaultName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	read, err := policy.FromObject(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	read.Status.InForce = &v1alpha1.InForce{Generation: read.Generation, Spec: read.Spec}
	read.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ConditionEnforced, Status: metav1.ConditionTrue, Reason: "AsShipped", Message: "as shipped", LastTransitionTime: metav1.Now(),
	}}
	if object.Object["status"], err = runtime.DefaultUnstructuredConverter.ToUnstructured(&read.Status); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Resource(v1alpha1.Resource).UpdateStatus(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	parameters := admission.Parameters(read.Status.InForce, []string{"tenant-isolation-scheduler"})
	w.apply(t, parameters)
}

// apply creates a ConfigMap, or changes it.
func (w *environment) apply(t *testing.T, parameters *corev1.ConfigMap) {
	t.Helper()
	maps := w.api.CoreV1().ConfigMaps(admission.Namespace)
	_, err := maps.Create(t.Context(), parameters, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = maps.Update(t.Context(), parameters, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func preflightOf(t *testing.T, w *environment) []preflight.Result {
	t.Helper()
	got := w.run(t, w.plane.AdminKubeconfig(), "preflight", "-o", "json")
	var results []preflight.Result
	if err := json.Unmarshal([]byte(got.out), &results); err != nil {
		t.Fatalf("%v: %s%s", err, got.out, got.errOut)
	}
	return results
}

func worst(results []preflight.Result, check string) preflight.Status {
	status := preflight.Status("not checked")
	rank := map[preflight.Status]int{"not checked": 0, preflight.Pass: 1, preflight.Warn: 2, preflight.Fail: 3}
	for _, r := range results {
		if r.Check == check && rank[r.Status] > rank[status] {
			status = r.Status
		}
	}
	return status
}
