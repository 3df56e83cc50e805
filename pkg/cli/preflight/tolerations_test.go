package preflight

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/policy"
)

func TestTolerations(t *testing.T) {
	const own = `{"key":"tenantisolation.dev/tenant","operator":"Exists"},{"key":"tenantisolation.dev/data-class","operator":"Exists"},{"key":"tenantisolation.dev/boundary","operator":"Exists"}`
	for name, tc := range map[string]struct {
		whitelist string
		tenant    bool
		mode      v1alpha1.Mode
		status    Status
		fix       string
	}{
		"others alone are listed": {
			`[{"key":"pool","operator":"Exists"}]`, true, v1alpha1.ModeEnabled, Fail,
			`kubectl annotate --overwrite namespace web scheduler.alpha.kubernetes.io/tolerationsWhitelist='[{"key":"pool","operator":"Exists"},` + own + `]'`,
		},
		"one value is not every value":      {`[{"key":"tenantisolation.dev/tenant","value":"acme"}]`, true, v1alpha1.ModeEnabled, Fail, own},
		"the project's are listed":          {"[" + own + "]", true, v1alpha1.ModeEnabled, Pass, ""},
		"everything is listed":              {`[{"operator":"Exists"}]`, true, v1alpha1.ModeEnabled, Pass, ""},
		"an empty list forbids nothing":     {`[]`, true, v1alpha1.ModeEnabled, Pass, ""},
		"what is no list is named":          {`pool`, true, v1alpha1.ModeEnabled, Fail, "tolerationsWhitelist-"},
		"without a tenant nothing is added": {`[{"key":"pool"}]`, false, v1alpha1.ModeEnabled, Pass, ""},
		"without dedication nothing is":     {`[{"key":"pool"}]`, true, v1alpha1.ModeDisabled, Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ns := &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{whitelistKey: tc.whitelist}}}
			if tc.tenant {
				ns.Labels = map[string]string{tenantLabel: "acme"}
			}
			spec := policy.Default()
			spec.Dedication.Mode = tc.mode
			c := &Checker{Policy: spec, Namespaces: []*v1.Namespace{ns}}
			results, err := c.tolerations(t.Context())
			if err != nil || len(results) != 1 || results[0].Status != tc.status || !strings.Contains(strings.Join(results[0].Run, "\n"), tc.fix) {
				t.Errorf("%v, got %+v", err, results)
			}
		})
	}
}
