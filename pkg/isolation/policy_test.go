package isolation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewPolicyNamesEveryFieldAtFault(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		want   []string // the fields, in the order of the message's lines
	}{
		"the defaults are without fault": {
			change: func(*Config) {},
		},
		"a data class is empty": {
			change: func(c *Config) { c.DataClasses = []string{"public", ""} },
			want:   []string{"DataClasses"},
		},
		"a data class is listed twice": {
			change: func(c *Config) { c.DataClasses = []string{"public", "internal", "public"} },
			want:   []string{"DataClasses"},
		},
		"unclassified is a class of its own and cannot be placed among the others": {
			change: func(c *Config) { c.DataClasses = []string{"public", Unclassified} },
			want:   []string{"DataClasses"},
		},
		"no data classes at all are no fault": {
			change: func(c *Config) { c.DataClasses = nil },
		},
		"tenants do not separate": {
			change: func(c *Config) { c.SeparateBy = []Axis{AxisPrivilege} },
			want:   []string{"SeparateBy"},
		},
		"nothing separates": {
			change: func(c *Config) { c.SeparateBy = nil },
			want:   []string{"SeparateBy"},
		},
		"an axis is unknown": {
			change: func(c *Config) { c.SeparateBy = []Axis{AxisTenant, AxisUserNamespace + 1} },
			want:   []string{"SeparateBy"},
		},
		"a sharing group names an unknown data class": {
			change: func(c *Config) { c.ShareDataClasses = [][]string{{"public", "secret"}} },
			want:   []string{"ShareDataClasses"},
		},
		"a data class is in two sharing groups, which would make them one": {
			change: func(c *Config) { c.ShareDataClasses = [][]string{{"public", "internal"}, {"internal", "restricted"}} },
			want:   []string{"ShareDataClasses"},
		},
		"unclassified may share": {
			change: func(c *Config) { c.ShareDataClasses = [][]string{{Unclassified, "public"}} },
		},
		"a sharing group names no privilege": {
			change: func(c *Config) { c.SharePrivileges = [][]Privilege{{PrivilegeUnknown, PrivilegeBaseline}} },
			want:   []string{"SharePrivileges"},
		},
		"a sharing group names a privilege above all": {
			change: func(c *Config) { c.SharePrivileges = [][]Privilege{{PrivilegePrivileged + 1}} },
			want:   []string{"SharePrivileges"},
		},
		"a privilege is listed twice": {
			change: func(c *Config) { c.SharePrivileges = [][]Privilege{{PrivilegeBaseline, PrivilegeBaseline}} },
			want:   []string{"SharePrivileges"},
		},
		"the node's default runtime cannot be called a VM: every container would be one": {
			change: func(c *Config) { c.BoundaryByHandler = map[string]Boundary{"": BoundaryVM} },
			want:   []string{"BoundaryByHandler"},
		},
		"a handler has a boundary beyond all": {
			change: func(c *Config) { c.BoundaryByHandler = map[string]Boundary{"kata": BoundaryVM + 1} },
			want:   []string{"BoundaryByHandler"},
		},
		"the handlers at fault are named in order": {
			change: func(c *Config) {
				c.BoundaryByHandler = map[string]Boundary{"b": 9, "a": 9, "d": 9, "c": 9}
			},
			want: []string{"BoundaryByHandler", "BoundaryByHandler", "BoundaryByHandler", "BoundaryByHandler"},
		},
		"a container is no boundary to share a machine behind": {
			change: func(c *Config) { c.MinimumBoundary = BoundaryContainer },
			want:   []string{"MinimumBoundary"},
		},
		"the minimum is beyond all boundaries": {
			change: func(c *Config) { c.MinimumBoundary = BoundaryVM + 1 },
			want:   []string{"MinimumBoundary"},
		},
		"a sandbox may be enough": {
			change: func(c *Config) { c.MinimumBoundary = BoundarySandbox },
		},
		"an allowed annotation configures no VM": {
			change: func(c *Config) { c.AllowedRuntimeAnnotations = []string{"team"} },
			want:   []string{"AllowedRuntimeAnnotations"},
		},
		"the preemption is unknown": {
			change: func(c *Config) { c.Preemption = PreemptAny + 1 },
			want:   []string{"Preemption"},
		},
		"several fields are at fault": {
			change: func(c *Config) {
				c.SeparateBy = nil
				c.MinimumBoundary = BoundaryContainer
				c.Preemption = PreemptAny + 1
			},
			want: []string{"SeparateBy", "MinimumBoundary", "Preemption"},
		},
		"the zero config is at fault in all that it must say": {
			change: func(c *Config) { *c = Config{} },
			want: []string{
				"SeparateBy", "MinimumBoundary",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := makeConfig()
			tc.change(&config)
			policy, err := NewPolicy(config)
			if (policy == nil) != (err != nil) {
				t.Errorf("got policy %v and error %v: want exactly one of them", policy, err)
			}
			if diff := cmp.Diff(tc.want, fieldsAtFault(err)); diff != "" {
				t.Errorf("fields at fault (-want +got):\n%s\nin: %v", diff, err)
			}
		})
	}
}

// fieldsAtFault returns what each line of the error names before its colon.
func fieldsAtFault(err error) []string {
	if err == nil {
		return nil
	}
	var fields []string
	for line := range strings.Lines(err.Error()) {
		field, _, _ := strings.Cut(line, ":")
		fields = append(fields, field)
	}
	return fields
}

func TestNewPolicyNamesTheHandlersInOrder(t *testing.T) {
	config := makeConfig()
	config.BoundaryByHandler = map[string]Boundary{"b": 9, "a": 9, "d": 9, "c": 9, "f": 9, "e": 9}
	_, err := NewPolicy(config)
	for range 20 {
		if _, again := NewPolicy(config); again.Error() != err.Error() {
			t.Fatalf("the same config gives two messages:\n%v\n%v", err, again)
		}
	}
}

// A policy keeps nothing of the config that a caller could change later.
func TestPolicyDoesNotChangeWithItsConfig(t *testing.T) {
	config := makeConfig()
	config.ShareDataClasses = [][]string{{"public", "internal"}}
	config.SharePrivileges = [][]Privilege{{PrivilegeRestricted, PrivilegeBaseline}}
	policy, err := NewPolicy(config)
	if err != nil {
		t.Fatal(err)
	}
	pods := []Pod{
		makePod("acme").RuntimeClass("kata").Obj(),
		makePod("acme").RuntimeClass("odd").Obj(),
		makePod("acme").Label(dataClassLabel, "internal").Obj(),
		makePod("acme").Privilege(PrivilegePrivileged).Obj(),
		makePod("acme").RuntimeClass("kata").Annotation(allowedAnnotation, "2").Obj(),
		makePod("acme").Namespace(platformNamespace()).Obj(),
		makePod("acme").Namespace(unmanagedNamespace()).Obj(),
	}
	resolve := func() []Subject {
		var subjects []Subject
		for _, p := range pods {
			subjects = append(subjects, policy.Resolve(p))
		}
		return subjects
	}
	want := resolve()

	clear(config.BoundaryByHandler)
	config.BoundaryByHandler["odd"] = BoundaryVM
	config.DataClasses[1] = "secret"
	config.SeparateBy[0] = AxisPrivilege
	config.ShareDataClasses[0][0] = "restricted"
	config.SharePrivileges[0][0] = PrivilegePrivileged
	config.PlatformNamespaces[0] = "default"
	config.AllowedRuntimeAnnotations[0] = unlistedAnnotation

	got := resolve()
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("pod %d: was %v, is %v after its config changed", i, want[i], got[i])
		}
	}
}
