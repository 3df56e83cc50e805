package validation

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/apis/config/v1"
)

func lasting(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

func TestValidateOperation(t *testing.T) {
	atMost := func(value intstr.IntOrString) func(*config.TenantIsolationArgs) {
		return func(args *config.TenantIsolationArgs) { args.Claims.MaxNodesPerTenant = &value }
	}
	refusedMaximum := []fault{{"args.claims.maxNodesPerTenant", field.ErrorTypeInvalid, msgMaxNodes}}
	tests := map[string]struct {
		change func(*config.TenantIsolationArgs)
		want   []fault
	}{
		"dedication is accepted as their defaults are": {
			change: func(args *config.TenantIsolationArgs) { args.Claims.Mode = config.ModeEnabled },
		},
		"only observing is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.Enforcement = config.EnforcementAudit },
		},
		"a value of enforcement in the wrong case is refused with the list": {
			change: func(args *config.TenantIsolationArgs) { args.Enforcement = "audit" },
			want:   []fault{{"args.enforcement", field.ErrorTypeNotSupported, `"Enforce", "Audit"`}},
		},
		"dedication while only observing is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.Enforcement = config.EnforcementAudit
				args.Claims.Mode = config.ModeEnabled
			},
			want: []fault{{"args.claims.mode", field.ErrorTypeInvalid, `write "Disabled", or "Enforce" as enforcement`}},
		},
		"a mode that does not exist is refused with the list": {
			change: func(args *config.TenantIsolationArgs) { args.Claims.Mode = "On" },
			want:   []fault{{"args.claims.mode", field.ErrorTypeNotSupported, `"Disabled", "Enabled"`}},
		},
		"a taint effect that schedulers may ignore is refused with the list": {
			change: func(args *config.TenantIsolationArgs) { args.Claims.TaintEffect = "PreferNoSchedule" },
			want:   []fault{{"args.claims.taintEffect", field.ErrorTypeNotSupported, `"NoSchedule", "NoExecute"`}},
		},
		"another way to reuse nodes is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.Claims.NodeReuse = config.NodeReuseAfterReboot },
		},
		"nodes that are never used again are refused with the list": {
			change: func(args *config.TenantIsolationArgs) { args.Claims.NodeReuse = "Never" },
			want:   []fault{{"args.claims.nodeReuse", field.ErrorTypeNotSupported, `"Immediately", "AfterReboot"`}},
		},

		"no settle time is refused": {
			change: func(args *config.TenantIsolationArgs) { args.Claims.SettleTime = lasting(0) },
			want:   []fault{{"args.claims.settleTime", field.ErrorTypeInvalid, `"0s": ` + msgSettleTime}},
		},
		"a negative settle time is refused": {
			change: func(args *config.TenantIsolationArgs) { args.Claims.SettleTime = lasting(-time.Second) },
			want:   []fault{{"args.claims.settleTime", field.ErrorTypeInvalid, msgSettleTime}},
		},
		"a settle time of a minute is accepted": {
			change: func(args *config.TenantIsolationArgs) {
				args.Claims.SettleTime, args.Claims.ReleaseAfter = lasting(time.Minute), lasting(time.Minute)
			},
		},
		"a settle time above a minute is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.Claims.SettleTime, args.Claims.ReleaseAfter = lasting(61*time.Second), lasting(time.Hour)
			},
			want: []fault{{"args.claims.settleTime", field.ErrorTypeInvalid, msgSettleTime}},
		},
		"a release before the dedication has settled is refused with the settle time": {
			change: func(args *config.TenantIsolationArgs) {
				args.Claims.SettleTime, args.Claims.ReleaseAfter = lasting(2*time.Second), lasting(1999*time.Millisecond)
			},
			want: []fault{{"args.claims.releaseAfter", field.ErrorTypeInvalid, `"1.999s": ` + msgReleaseAfter + "2s"}},
		},

		"one node for each tenant is accepted":    {change: atMost(intstr.FromInt32(1))},
		"one percent is accepted":                 {change: atMost(intstr.FromString("1%"))},
		"all nodes are accepted":                  {change: atMost(intstr.FromString("100%"))},
		"no node at all is refused":               {change: atMost(intstr.FromInt32(0)), want: refusedMaximum},
		"a negative number of nodes is refused":   {change: atMost(intstr.FromInt32(-1)), want: refusedMaximum},
		"zero percent is refused":                 {change: atMost(intstr.FromString("0%")), want: refusedMaximum},
		"more than all nodes are refused":         {change: atMost(intstr.FromString("101%")), want: refusedMaximum},
		"a negative percentage is refused":        {change: atMost(intstr.FromString("-5%")), want: refusedMaximum},
		"a number in quotes is refused":           {change: atMost(intstr.FromString("5")), want: refusedMaximum},
		"a percentage with a fraction is refused": {change: atMost(intstr.FromString("2.5%")), want: refusedMaximum},
		"a percentage that overflows is refused":  {change: atMost(intstr.FromString("99999999999999999999%")), want: refusedMaximum},
		"a word is refused":                       {change: atMost(intstr.FromString("half")), want: refusedMaximum},
		"nothing, without the defaulting, is refused": {
			change: func(args *config.TenantIsolationArgs) { args.Claims.MaxNodesPerTenant = nil },
			want:   []fault{{"args.claims.maxNodesPerTenant", field.ErrorTypeRequired, msgMaxNodes}},
		},

		"evicting what is found is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.Audit.Remediation = config.RemediationEvict },
		},
		"deleting what is found is refused with the list": {
			change: func(args *config.TenantIsolationArgs) { args.Audit.Remediation = "Delete" },
			want:   []fault{{"args.audit.remediation", field.ErrorTypeNotSupported, `"None", "Evict"`}},
		},
		"evicting without looking is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.Audit.Mode, args.Audit.Remediation = config.ModeDisabled, config.RemediationEvict
			},
			want: []fault{{"args.audit.remediation", field.ErrorTypeInvalid, msgEvictWithout}},
		},
		"evicting what is only observed is refused": {
			change: func(args *config.TenantIsolationArgs) {
				args.Enforcement, args.Audit.Remediation = config.EnforcementAudit, config.RemediationEvict
			},
			want: []fault{{"args.audit.remediation", field.ErrorTypeInvalid, msgEvictInAudit}},
		},
		"a mode of the audit that does not exist is refused with the list": {
			change: func(args *config.TenantIsolationArgs) { args.Audit.Mode = "Off" },
			want:   []fault{{"args.audit.mode", field.ErrorTypeNotSupported, `"Disabled", "Enabled"`}},
		},
		"one eviction a minute is accepted": {
			change: func(args *config.TenantIsolationArgs) { args.Audit.EvictionsPerMinute = ptr.To[int32](1) },
		},
		"no eviction a minute is refused": {
			change: func(args *config.TenantIsolationArgs) { args.Audit.EvictionsPerMinute = ptr.To[int32](0) },
			want:   []fault{{"args.audit.evictionsPerMinute", field.ErrorTypeInvalid, msgEvictions}},
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
