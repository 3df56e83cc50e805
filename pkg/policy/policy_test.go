package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

func TestDefault(t *testing.T) {
	spec := Default()
	if errs := Validate(spec); len(errs) > 0 {
		t.Errorf("the defaults are refused: %v", errs)
	}
	if _, err := podfacts.NewRules(spec); err != nil {
		t.Errorf("the defaults make no rules: %v", err)
	}
	if spec.Dedication.MaxNodesPerTenant != nil {
		t.Errorf("by default a tenant may have %s nodes, want no limit", spec.Dedication.MaxNodesPerTenant)
	}
	for name, text := range map[string]string{
		"null": "dedication: null\nenforcement: null\ndataClasses: null", "nothing": "", "an empty object": "{}",
	} {
		got, err := ParseSpec(nil, []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(spec, got); diff != "" {
			t.Errorf("%s is not the default (-want +got):\n%s", name, diff)
		}
	}
}

// An empty list is a value, and means none.
func TestEmptyIsNotMissing(t *testing.T) {
	spec, err := ParseSpec(nil, []byte("dataClasses: []\nboundaries: {hostPathProvisioners: []}\nplatformNamespaces: {names: []}"))
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.DataClasses)+len(spec.Boundaries.HostPathProvisioners)+len(spec.PlatformNamespaces.Names) > 0 {
		t.Errorf("an empty list became the default: %+v", spec)
	}
}

func TestFaultsAreNamed(t *testing.T) {
	for text, paths := range map[string][]string{
		"enforcemen: Audit": {"at.enforcemen"},
		"boundaries: {minimun: vm, handlers: {kata: none}}":                                      {"at.boundaries.minimun", "at.boundaries.handlers.kata"},
		"boundaries: {minimum: container}":                                                       {"at.boundaries.minimum"},
		"boundaries: {handlers: {Kata: vm}}":                                                     {"at.boundaries.handlers"},
		"dataClasses: [public, public]":                                                          {"at.dataClasses"},
		"dataClasses: [unclassified]":                                                            {"at.dataClasses"},
		"dataClasses: [two words]":                                                               {"at.dataClasses[0]"},
		"separateBy: [privilege]":                                                                {"at.separateBy"},
		"separateBy: [tenant, tenant]":                                                           {"at.separateBy"},
		"sharing: {dataClasses: [[public]]}":                                                     {"at.sharing.dataClasses[0]"},
		"sharing: {dataClasses: [[public, none]]}":                                               {"at.sharing.dataClasses"},
		"sharing: {dataClasses: [[public, internal], [internal, restricted]]}":                   {"at.sharing.dataClasses"},
		"{separateBy: [tenant], sharing: {privileges: [[baseline, restricted]]}}":                {"at.sharing.privileges"},
		"platformNamespaces: {names: [Not_A_Name]}":                                              {"at.platformNamespaces.names[0]"},
		"platformNamespaces: {names: [a, a]}":                                                    {"at.platformNamespaces.names[1]"},
		"platformNamespaces: {selector: {}}":                                                     {"at.platformNamespaces.selector"},
		"platformNamespaces: {selector: {matchExpressions: [{key: a, operator: DoesNotExist}]}}": {"at.platformNamespaces.selector"},
		"platformNamespaces: {selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}}":                     {"at.platformNamespaces.selector"},
		"platformNamespaces: {selector: {matchExpressions: [{key: a, operator: In}]}}":                                                   {"at.platformNamespaces.selector"},
		"nodeLabel: {selector: {matchExpressions: [{key: a, operator: In}]}}":                                                            {"at.nodeLabel.selector"},
		"nodeLabel: {selector: {matchLabels: {tenantisolation.node-restriction.kubernetes.io/tenant: acme}}}":                            {"at.nodeLabel.selector"},
		"nodeLabel: {selector: {matchExpressions: [{key: tenantisolation.node-restriction.kubernetes.io/privilege, operator: Exists}]}}": {"at.nodeLabel.selector"},
		"nodeLabel: {nodes: all}":                                  {"at.nodeLabel.nodes"},
		"preemption: never":                                        {"at.preemption"},
		"{enforcement: Audit, dedication: {mode: Enabled}}":        {"at.dedication.mode"},
		"{enforcement: Audit, audit: {remediation: Evict}}":        {"at.audit.remediation"},
		"audit: {mode: Disabled, remediation: Evict}":              {"at.audit.remediation"},
		"audit: {mode: Disabled, reports: OpenReports}":            {"at.audit.reports"},
		"audit: {reports: Files}":                                  {"at.audit.reports"},
		"audit: {evictionsPerMinute: 0}":                           {"at.audit.evictionsPerMinute"},
		"dedication: {settleTime: 0s}":                             {"at.dedication.settleTime"},
		"dedication: {settleTime: 61s, releaseAfter: 2m}":          {"at.dedication.settleTime"},
		"dedication: {settleTime: 5s, releaseAfter: 1s}":           {"at.dedication.releaseAfter"},
		"dedication: {maxNodesPerTenant: 0}":                       {"at.dedication.maxNodesPerTenant"},
		"dedication: {maxNodesPerTenant: 101%}":                    {"at.dedication.maxNodesPerTenant"},
		"dedication: {maxNodesPerTenant: half}":                    {"at.dedication.maxNodesPerTenant"},
		"dedication: {taintEffect: PreferNoSchedule}":              {"at.dedication.taintEffect"},
		"runtimeClasses: {byDataClass: {none: kata}}":              {"at.runtimeClasses.byDataClass"},
		"runtimeClasses: {byDataClass: {public: Not A Name}}":      {"at.runtimeClasses.byDataClass.public"},
		"tenantFrom: {namespaceLabel: tenantisolation.dev/tenant}": {"at.tenantFrom.namespaceLabel"},
		"tenantFrom: {}":                                           {"at.tenantFrom.namespaceLabel"},
		"preemption: Never\npreemption: Any":                       {"preemption"},
	} {
		_, err := ParseSpec(field.NewPath("at"), []byte(text))
		if err == nil {
			t.Errorf("%s: accepted", text)
			continue
		}
		for _, path := range paths {
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v does not name %s", text, err, path)
			}
		}
	}
}

func TestParse(t *testing.T) {
	const header = "apiVersion: tenantisolation.dev/v1alpha1\nkind: IsolationPolicy\nmetadata: {name: default}\n"
	got, err := Parse([]byte(header + "spec: {enforcement: Audit, dedication: {maxNodesPerTenant: 3}}\nstatus: {observedGeneration: 4}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "default" || got.Spec.Enforcement != v1alpha1.EnforcementAudit || got.Spec.Dedication.MaxNodesPerTenant.IntValue() != 3 ||
		got.Status.ObservedGeneration != 4 || got.Spec.Preemption != v1alpha1.PreemptionNever {
		t.Errorf("got %+v", got)
	}
	for name, text := range map[string]string{
		"another kind":          "apiVersion: v1\nkind: ConfigMap\n",
		"a field beside spec":   header + "specs: {}\n",
		"a spec that is a list": header + "spec: []\n",
		"not YAML":              "\t",
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestOfArguments(t *testing.T) {
	inline := &runtime.RawExtension{Raw: []byte(`{"enforcement":"Audit"}`)}
	for name, tc := range map[string]struct {
		args   config.TenantIsolationArgs
		object string
		fails  bool
	}{
		"nothing":       {object: v1alpha1.DefaultName},
		"a name":        {args: config.TenantIsolationArgs{PolicyName: "other"}, object: "other"},
		"a spec":        {args: config.TenantIsolationArgs{Policy: inline}},
		"both":          {args: config.TenantIsolationArgs{PolicyName: "default", Policy: inline}, fails: true},
		"a faulty spec": {args: config.TenantIsolationArgs{Policy: &runtime.RawExtension{Raw: []byte(`{"x":1}`)}}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			spec, object, err := OfArguments(&tc.args)
			if (err != nil) != tc.fails {
				t.Fatalf("error %v, want one: %t", err, tc.fails)
			}
			if object != tc.object || (spec != nil) != (!tc.fails && tc.object == "") {
				t.Errorf("spec %v, object %q", spec, object)
			}
		})
	}
}
