package cli

import (
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

// On an API server that is too old, preflight still runs every check. Without mutating policies of
// version v1, a check that lists them must not end the others.
func TestPreflightOnAnOldAPIServer(t *testing.T) {
	plane := controlplanetest.Start(t, controlplane.Options{APIServerFlags: map[string]string{"emulated-version": "1.34"}})
	api, err := plane.Client()
	if err != nil {
		t.Fatal(err)
	}
	w := &environment{plane, api}
	results := preflightOf(t, w)
	for check, want := range map[string]preflight.Status{
		"api server": preflight.Fail, "admission types": preflight.Fail, "policies": preflight.Fail, "scheduler": preflight.Fail,
		"daemon sets": preflight.Pass, "who administers": preflight.Pass,
	} {
		if got := worst(results, check); got != want {
			t.Errorf("%s: %s, want %s: %+v", check, got, want, results)
		}
	}
	for _, result := range results {
		if strings.Contains(result.Says, "could not be checked") {
			t.Errorf("%s: %s", result.Check, result.Says)
		}
		if result.Check == "api server" && !strings.Contains(result.Says, "emulates 1.34, is older than 1.36") {
			t.Errorf("it does not name both versions: %s", result.Says)
		}
	}
}
