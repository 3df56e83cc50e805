package validation

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// maxSettleTime bounds the wait of the first pod of a node.
const maxSettleTime = time.Minute

const (
	msgClaimsInAudit  = `write "` + string(config.ModeDisabled) + `", or "` + string(config.EnforcementEnforce) + `" as enforcement: a dedication keeps pods off a node, but "` + string(config.EnforcementAudit) + `" refuses no pod`
	msgSettleTime     = `write a time above zero and up to one minute, such as "1s"`
	msgReleaseAfter   = "write a time of at least settleTime, which is "
	msgMaxNodes       = `write a number from 1, or a percentage from "1%" to "100%", which is no limit`
	msgEvictWithout   = `write "` + string(config.RemediationNone) + `", or "` + string(config.ModeEnabled) + `" as the mode of the audit: without it there are no findings`
	msgEvictInAudit   = `write "` + string(config.RemediationNone) + `", or "` + string(config.EnforcementEnforce) + `" as enforcement: pods would be placed and evicted in turn`
	msgEvictions      = `write a number from 1, or "` + string(config.RemediationNone) + `" as remediation for no evictions`
	msgReleaseMissing = `write a time, such as "30s"`
)

var (
	modes        = []config.Mode{config.ModeDisabled, config.ModeEnabled}
	enforcements = []config.Enforcement{config.EnforcementEnforce, config.EnforcementAudit}
	taintEffects = []config.TaintEffect{config.TaintEffectNoSchedule, config.TaintEffectNoExecute}
	nodeReuses   = []config.NodeReuse{config.NodeReuseImmediately, config.NodeReuseAfterReboot}
	remediations = []config.Remediation{config.RemediationNone, config.RemediationEvict}
)

func validateClaims(path *field.Path, args *config.TenantIsolationArgs) field.ErrorList {
	claims := args.Claims
	errs := oneOf(path.Child("mode"), claims.Mode, modes)
	if claims.Mode == config.ModeEnabled && args.Enforcement == config.EnforcementAudit {
		errs = append(errs, field.Invalid(path.Child("mode"), claims.Mode, msgClaimsInAudit))
	}
	errs = append(errs, oneOf(path.Child("taintEffect"), claims.TaintEffect, taintEffects)...)

	settle, release := path.Child("settleTime"), path.Child("releaseAfter")
	switch {
	case claims.SettleTime == nil:
		errs = append(errs, field.Required(settle, msgSettleTime))
	case claims.SettleTime.Duration <= 0 || claims.SettleTime.Duration > maxSettleTime:
		errs = append(errs, field.Invalid(settle, claims.SettleTime.Duration.String(), msgSettleTime))
	}
	switch {
	case claims.ReleaseAfter == nil:
		errs = append(errs, field.Required(release, msgReleaseMissing))
	case claims.SettleTime != nil && claims.ReleaseAfter.Duration < claims.SettleTime.Duration:
		errs = append(errs, field.Invalid(release, claims.ReleaseAfter.Duration.String(), msgReleaseAfter+claims.SettleTime.Duration.String()))
	}
	errs = append(errs, validateMaxNodes(path.Child("maxNodesPerTenant"), claims.MaxNodesPerTenant)...)
	return append(errs, oneOf(path.Child("nodeReuse"), claims.NodeReuse, nodeReuses)...)
}

func validateMaxNodes(path *field.Path, maximum *intstr.IntOrString) field.ErrorList {
	if maximum == nil {
		return field.ErrorList{field.Required(path, msgMaxNodes)}
	}
	// A percentage of a hundred nodes is that number, so the range is easy to check.
	const hundred = 100
	value, err := intstr.GetScaledValueFromIntOrPercent(maximum, hundred, true)
	if err != nil || value < 1 || (maximum.Type == intstr.String && value > hundred) {
		return field.ErrorList{field.Invalid(path, maximum.String(), msgMaxNodes)}
	}
	return nil
}

func validateAudit(path *field.Path, args *config.TenantIsolationArgs) field.ErrorList {
	audit := args.Audit
	errs := oneOf(path.Child("mode"), audit.Mode, modes)
	remediation := path.Child("remediation")
	errs = append(errs, oneOf(remediation, audit.Remediation, remediations)...)
	if audit.Remediation == config.RemediationEvict {
		if audit.Mode == config.ModeDisabled {
			errs = append(errs, field.Invalid(remediation, audit.Remediation, msgEvictWithout))
		}
		if args.Enforcement == config.EnforcementAudit {
			errs = append(errs, field.Invalid(remediation, audit.Remediation, msgEvictInAudit))
		}
	}
	evictions := path.Child("evictionsPerMinute")
	switch {
	case audit.EvictionsPerMinute == nil:
		errs = append(errs, field.Required(evictions, msgEvictions))
	case *audit.EvictionsPerMinute < 1:
		errs = append(errs, field.Invalid(evictions, *audit.EvictionsPerMinute, msgEvictions))
	}
	return errs
}
