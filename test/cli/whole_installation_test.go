package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

// This test installs the policies, which stay. It is in the last file, because tests run in the
// order of their files, and the others put pods where the policies forbid it.

// Before the installation preflight reports that everything is missing, and afterwards nothing.
func TestPreflightBeforeAndAfterTheInstallation(t *testing.T) {
	w := newEnvironment(t)
	w.node(t, "preflight-1")
	before := preflightOf(t, w)
	for check, want := range map[string]preflight.Status{
		"api server": preflight.Pass, "admission types": preflight.Pass, "policies": preflight.Fail, "scheduler": preflight.Fail,
		"scheduler rights": preflight.Fail, "daemon sets": preflight.Pass,
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

	for _, args := range [][]string{
		{"-f", repository(t, "manifests", "crds", "keepers.yaml")}, {"-k", repository(t, "manifests", "overlays", "audit")},
	} {
		if _, err := w.plane.Kubectl(t.Context(), append([]string{"apply"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	if got := worst(preflightOf(t, w), "policies"); got != preflight.Warn {
		t.Errorf("policies that only observe: %s, want %s", got, preflight.Warn)
	}
	if _, err := w.plane.Kubectl(t.Context(), "apply", "-k", repository(t, "manifests", "overlays", "default")); err != nil {
		t.Fatal(err)
	}
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
	if _, err := w.plane.Kubectl(t.Context(), "delete", "validatingadmissionpolicybinding", "tenant-isolation-fence"); err != nil {
		t.Fatal(err)
	}
	if got := worst(preflightOf(t, w), "policies"); got != preflight.Fail {
		t.Errorf("policies without the binding of the fence: %s, want %s", got, preflight.Fail)
	}
	// The rule that is asked is that of the installed scheduler.
	if got := w.run(t, w.plane.AdminKubeconfig(), "audit"); !strings.Contains(got.out, "rule: ConfigMap tenant-isolation-system/tenant-isolation-scheduler-config-") {
		t.Errorf("the arguments of the installed scheduler were not taken:\n%s%s", got.out, got.errOut)
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
