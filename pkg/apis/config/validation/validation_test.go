package validation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/apis/config/v1"
)

// fault is what a table expects of one error: where, of which kind, and a part of
// the text of its message.
type fault struct {
	Path string
	Type field.ErrorType
	Says string
}

// check compares the errors with the faults expected, in order.
func check(t *testing.T, want []fault, errs field.ErrorList) {
	t.Helper()
	var got []fault
	for i, err := range errs {
		says := err.Error()
		// A part that is said is shown as expected, so that the rest of a sentence may
		// be worded anew.
		if i < len(want) && strings.Contains(says, want[i].Says) {
			says = want[i].Says
		}
		got = append(got, fault{Path: err.Field, Type: err.Type, Says: says})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	check(t, nil, ValidateTenantIsolationArgs(nil, v1.New()))
}

func TestValidateTenantIsolationArgs(t *testing.T) {
	tests := map[string]struct {
		change func(*config.TenantIsolationArgs)
		want   []fault
	}{
		// labelKeys
		"a label key without a prefix is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.LabelKeys.Tenant = "tenant" },
		},
		"a label key with a space is refused": {
			change: func(args *config.TenantIsolationArgs) { args.LabelKeys.Tenant = "tenant name" },
			want:   []fault{{"args.labelKeys.tenant", field.ErrorTypeInvalid, `write a label key, such as "example.com/tenant": `}},
		},
		"an empty label key is refused": {
			change: func(args *config.TenantIsolationArgs) { args.LabelKeys.DataClass = "" },
			want:   []fault{{"args.labelKeys.dataClass", field.ErrorTypeInvalid, msgLabelKey}},
		},
		"a label key with two slashes is refused": {
			change: func(args *config.TenantIsolationArgs) { args.LabelKeys.Privilege = "Security/Level/Pod" },
			want:   []fault{{"args.labelKeys.privilege", field.ErrorTypeInvalid, msgLabelKey}},
		},
		"a label key that begins with a dash is refused": {
			change: func(args *config.TenantIsolationArgs) { args.LabelKeys.Boundary = "-boundary" },
			want:   []fault{{"args.labelKeys.boundary", field.ErrorTypeInvalid, msgLabelKey}},
		},
		"a label key without a name after its prefix is refused": {
			change: func(args *config.TenantIsolationArgs) { args.LabelKeys.RuntimeClass = "runtime-class/" },
			want:   []fault{{"args.labelKeys.runtimeClass", field.ErrorTypeInvalid, msgLabelKey}},
		},
		"two labels with one key are refused at the second": {
			change: func(args *config.TenantIsolationArgs) { args.LabelKeys.Boundary = args.LabelKeys.Tenant },
			want:   []fault{{"args.labelKeys.boundary", field.ErrorTypeDuplicate, "write another key"}},
		},

		// dataClasses
		"no data classes are accepted: then only unclassified exists": {
			change: func(args *config.TenantIsolationArgs) { args.DataClasses = []string{} },
		},
		"an empty data class is refused": {
			change: func(args *config.TenantIsolationArgs) { args.DataClasses = []string{"public", ""} },
			want:   []fault{{"args.dataClasses[1]", field.ErrorTypeRequired, msgDataClass}},
		},
		"a data class that no label can have is refused": {
			change: func(args *config.TenantIsolationArgs) { args.DataClasses = []string{"top secret"} },
			want:   []fault{{"args.dataClasses[0]", field.ErrorTypeInvalid, `"top secret": ` + msgDataClass + ": "}},
		},
		"a data class of 63 characters is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.DataClasses = []string{strings.Repeat("c", 63)} },
		},
		"a data class of 64 characters is refused": {
			change: func(args *config.TenantIsolationArgs) { args.DataClasses = []string{strings.Repeat("c", 64)} },
			want:   []fault{{"args.dataClasses[0]", field.ErrorTypeInvalid, msgDataClass}},
		},
		"the reserved data class is refused": {
			change: func(args *config.TenantIsolationArgs) { args.DataClasses = []string{"unclassified", "public"} },
			want:   []fault{{"args.dataClasses[0]", field.ErrorTypeInvalid, `remove "unclassified"`}},
		},
		"a repeated data class is refused": {
			change: func(args *config.TenantIsolationArgs) { args.DataClasses = []string{"public", "internal", "public"} },
			want:   []fault{{"args.dataClasses[2]", field.ErrorTypeDuplicate, msgRepeated}},
		},

		// separateBy
		"separating by tenant alone is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.SeparateBy = []config.Axis{config.AxisTenant} },
		},
		"separating by nothing is refused": {
			change: func(args *config.TenantIsolationArgs) { args.SeparateBy = []config.Axis{} },
			want:   []fault{{"args.separateBy", field.ErrorTypeRequired, `add "tenant"`}},
		},
		"separating without the tenant is refused": {
			change: func(args *config.TenantIsolationArgs) { args.SeparateBy = []config.Axis{config.AxisPrivilege} },
			want:   []fault{{"args.separateBy", field.ErrorTypeRequired, `add "tenant"`}},
		},
		"an unknown axis is refused with the list of axes": {
			change: func(args *config.TenantIsolationArgs) { args.SeparateBy = []config.Axis{"tenant", "data_class"} },
			want:   []fault{{"args.separateBy[1]", field.ErrorTypeNotSupported, `"tenant", "data-class", "privilege", "user-namespace"`}},
		},
		"a repeated axis is refused": {
			change: func(args *config.TenantIsolationArgs) { args.SeparateBy = []config.Axis{"tenant", "tenant"} },
			want:   []fault{{"args.separateBy[1]", field.ErrorTypeDuplicate, msgRepeated}},
		},

		// sharing
		"disjoint groups of known members are accepted, unclassified among them": {
			change: func(args *config.TenantIsolationArgs) {
				args.Sharing.DataClasses = [][]string{{"unclassified", "public"}, {"confidential", "restricted"}}
				args.Sharing.Privileges = [][]string{{"restricted", "baseline", "privileged"}}
			},
		},
		"an empty group is refused": {
			change: func(args *config.TenantIsolationArgs) { args.Sharing.DataClasses = [][]string{{}} },
			want:   []fault{{"args.sharing.dataClasses[0]", field.ErrorTypeInvalid, "at least 2"}},
		},
		"a group of one is refused": {
			change: func(args *config.TenantIsolationArgs) { args.Sharing.Privileges = [][]string{{"baseline"}} },
			want:   []fault{{"args.sharing.privileges[0]", field.ErrorTypeInvalid, "at least 2"}},
		},
		"a member of two groups is refused at the second": {
			change: func(args *config.TenantIsolationArgs) {
				args.Sharing.DataClasses = [][]string{{"public", "internal"}, {"internal", "restricted"}}
			},
			want: []fault{{"args.sharing.dataClasses[1][0]", field.ErrorTypeDuplicate, "in one group only"}},
		},
		"a member that is twice in one group is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.Sharing.Privileges = [][]string{{"restricted", "restricted"}}
			},
			want: []fault{{"args.sharing.privileges[0][1]", field.ErrorTypeDuplicate, "in one group only"}},
		},
		"an unknown data class in a group is refused": {
			change: func(args *config.TenantIsolationArgs) { args.Sharing.DataClasses = [][]string{{"public", "secret"}} },
			want:   []fault{{"args.sharing.dataClasses[0][1]", field.ErrorTypeInvalid, `a class that dataClasses lists, or "unclassified"`}},
		},
		"an unknown privilege in a group is refused with the list of levels": {
			change: func(args *config.TenantIsolationArgs) {
				args.Sharing.Privileges = [][]string{{"restricted", "default"}}
			},
			want: []fault{{"args.sharing.privileges[0][1]", field.ErrorTypeNotSupported, `"restricted", "baseline", "privileged"`}},
		},
		"unclassified is not a privilege level": {
			change: func(args *config.TenantIsolationArgs) {
				args.Sharing.Privileges = [][]string{{"restricted", "unclassified"}}
			},
			want: []fault{{"args.sharing.privileges[0][1]", field.ErrorTypeNotSupported, ""}},
		},
		"groups of an axis that does not separate are refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.SeparateBy = []config.Axis{config.AxisTenant}
				args.Sharing.DataClasses = [][]string{{"public", "internal"}}
				args.Sharing.Privileges = [][]string{{"restricted", "baseline"}}
			},
			want: []fault{
				{"args.sharing.dataClasses", field.ErrorTypeForbidden, "add to separateBy: data-class"},
				{"args.sharing.privileges", field.ErrorTypeForbidden, "add to separateBy: privilege"},
			},
		},

		// boundaryByHandler
		"no handlers are accepted: then nothing is a VM": {
			change: func(args *config.TenantIsolationArgs) { args.BoundaryByHandler = map[string]config.Boundary{} },
		},
		"a handler that may be named as container is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.BoundaryByHandler["runc"] = config.BoundaryContainer },
		},
		"a handler that no RuntimeClass can have is refused": {
			change: func(args *config.TenantIsolationArgs) { args.BoundaryByHandler["Kata"] = config.BoundaryVM },
			want:   []fault{{"args.boundaryByHandler[Kata]", field.ErrorTypeInvalid, msgHandler + ": "}},
		},
		"a runtime of containers is refused as a VM": {
			change: func(args *config.TenantIsolationArgs) { args.BoundaryByHandler["runc"] = config.BoundaryVM },
			want:   []fault{{"args.boundaryByHandler[runc]", field.ErrorTypeInvalid, msgContainerHandler}},
		},
		"the label that every namespace has is refused as a key": {
			change: func(args *config.TenantIsolationArgs) { args.LabelKeys.Tenant = "kubernetes.io/metadata.name" },
			want:   []fault{{"args.labelKeys.tenant", field.ErrorTypeInvalid, msgNameLabel}},
		},
		"the empty handler is refused": {
			change: func(args *config.TenantIsolationArgs) { args.BoundaryByHandler[""] = config.BoundaryVM },
			want:   []fault{{"args.boundaryByHandler[]", field.ErrorTypeInvalid, msgHandler}},
		},
		"an unknown boundary of a handler is refused with the list of boundaries": {
			change: func(args *config.TenantIsolationArgs) { args.BoundaryByHandler["kata"] = "VM" },
			want:   []fault{{"args.boundaryByHandler[kata]", field.ErrorTypeNotSupported, `"container", "sandbox", "vm"`}},
		},
		"node is not a boundary of a handler": {
			change: func(args *config.TenantIsolationArgs) { args.BoundaryByHandler["kata"] = "node" },
			want:   []fault{{"args.boundaryByHandler[kata]", field.ErrorTypeNotSupported, ""}},
		},

		// minimumBoundary
		"the minimum boundary may be a sandbox": {
			change: func(args *config.TenantIsolationArgs) { args.MinimumBoundary = config.BoundarySandbox },
		},
		"container as the minimum boundary is refused": {
			change: func(args *config.TenantIsolationArgs) { args.MinimumBoundary = config.BoundaryContainer },
			want:   []fault{{"args.minimumBoundary", field.ErrorTypeInvalid, "all pods could share a kernel"}},
		},
		"an unknown minimum boundary is refused without offering container": {
			change: func(args *config.TenantIsolationArgs) { args.MinimumBoundary = "kata" },
			want:   []fault{{"args.minimumBoundary", field.ErrorTypeNotSupported, `supported values: "sandbox", "vm"`}},
		},
		"an empty minimum boundary is refused": {
			change: func(args *config.TenantIsolationArgs) { args.MinimumBoundary = "" },
			want:   []fault{{"args.minimumBoundary", field.ErrorTypeNotSupported, ""}},
		},

		// allowedRuntimeAnnotations
		"a key of a Kata annotation is accepted, capitals included": {
			change: func(args *config.TenantIsolationArgs) {
				args.AllowedRuntimeAnnotations = []string{"io.katacontainers.config.hypervisor.default_vcpus", "io.katacontainers.config.agent.Trace"}
			},
		},
		"an annotation of something else is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.AllowedRuntimeAnnotations = []string{"io.kubernetes.container.resource"}
			},
			want: []fault{{"args.allowedRuntimeAnnotations[0]", field.ErrorTypeInvalid, `an annotation of a container runtime`}},
		},
		"a wildcard is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.AllowedRuntimeAnnotations = []string{"io.katacontainers.config.hypervisor.*"}
			},
			want: []fault{{"args.allowedRuntimeAnnotations[0]", field.ErrorTypeInvalid, "one whole annotation key"}},
		},
		"the bare prefix is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.AllowedRuntimeAnnotations = []string{"io.katacontainers."}
			},
			want: []fault{{"args.allowedRuntimeAnnotations[0]", field.ErrorTypeInvalid, "one whole annotation key"}},
		},
		"a repeated annotation is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.AllowedRuntimeAnnotations = []string{"io.katacontainers.config.a", "io.katacontainers.config.a"}
			},
			want: []fault{{"args.allowedRuntimeAnnotations[1]", field.ErrorTypeDuplicate, msgRepeated}},
		},

		// hostPathProvisioners
		"no host path provisioners are accepted": {
			change: func(args *config.TenantIsolationArgs) { args.HostPathProvisioners = []string{} },
		},
		"a provisioner that no StorageClass can have is refused": {
			change: func(args *config.TenantIsolationArgs) { args.HostPathProvisioners = []string{"local path", ""} },
			want: []fault{
				{"args.hostPathProvisioners[0]", field.ErrorTypeInvalid, msgHostPathProvisioner + ": "},
				{"args.hostPathProvisioners[1]", field.ErrorTypeInvalid, msgHostPathProvisioner},
			},
		},
		"a repeated provisioner is refused": {
			change: func(args *config.TenantIsolationArgs) { args.HostPathProvisioners = []string{"a.b/c", "a.b/c"} },
			want:   []fault{{"args.hostPathProvisioners[1]", field.ErrorTypeDuplicate, msgRepeated}},
		},

		// preemption
		"preemption of the same tenant is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.Preemption = config.PreemptionSameTenant },
		},
		"an unknown preemption policy is refused with the list of policies": {
			change: func(args *config.TenantIsolationArgs) { args.Preemption = "never" },
			want:   []fault{{"args.preemption", field.ErrorTypeNotSupported, `"Never", "SameTenant", "Any"`}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			args := v1.New()
			tc.change(args)
			check(t, tc.want, ValidateTenantIsolationArgs(field.NewPath("args"), args))
		})
	}
}

func TestAllErrorsAreReported(t *testing.T) {
	args := &config.TenantIsolationArgs{
		LabelKeys: config.LabelKeys{
			Tenant: "a b", DataClass: "same", Privilege: "same", Boundary: "example.com/boundary", RuntimeClass: "example.com/class/",
		},
		DataClasses: []string{"public", "public", "unclassified"},
		SeparateBy:  []config.Axis{"data-class", "owner"},
		Sharing: config.Sharing{
			DataClasses: [][]string{{"public"}, {"public", "secret"}},
			Privileges:  [][]string{{"restricted", "root"}},
		},
		BoundaryByHandler:         map[string]config.Boundary{"z_1": "vm", "kata": "strong", "A": "VM"},
		MinimumBoundary:           "container",
		PlatformNamespaces:        config.PlatformNamespaces{Names: []string{"kube_system"}, Selector: &metav1.LabelSelector{}},
		AllowedRuntimeAnnotations: []string{"example.com/a"},
		HostPathProvisioners:      []string{"*"},
		Preemption:                "Sometimes",
		Enforcement:               "Warn",
	}
	path := field.NewPath("profiles").Index(0).Child("pluginConfig").Index(2).Child("args")
	var got []string
	for _, err := range ValidateTenantIsolationArgs(path, args) {
		got = append(got, strings.TrimPrefix(err.Field, "profiles[0].pluginConfig[2].args."))
	}
	want := []string{
		"labelKeys.tenant", "labelKeys.privilege", "labelKeys.runtimeClass",
		"dataClasses[1]", "dataClasses[2]",
		"separateBy[1]", "separateBy",
		"sharing.dataClasses[0]", "sharing.dataClasses[1][0]", "sharing.dataClasses[1][1]",
		"sharing.privileges", "sharing.privileges[0][1]",
		"boundaryByHandler[A]", "boundaryByHandler[A]", "boundaryByHandler[kata]", "boundaryByHandler[z_1]",
		"minimumBoundary",
		"platformNamespaces.names[0]", "platformNamespaces.selector",
		"allowedRuntimeAnnotations[0]",
		"hostPathProvisioners[0]",
		"preemption", "enforcement",
		"claims.mode", "claims.taintEffect", "claims.settleTime", "claims.releaseAfter", "claims.maxNodesPerTenant", "claims.nodeReuse",
		"audit.mode", "audit.remediation", "audit.evictionsPerMinute",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths of the faults (-want +got):\n%s", diff)
	}
}
