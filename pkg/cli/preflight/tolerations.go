package preflight

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "k8s.io/api/core/v1"
	core "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/util/tolerations"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// whitelistKey is the annotation in which PodTolerationRestriction finds what the pods of a namespace may tolerate.
const whitelistKey = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"

// tolerations finds namespaces of tenants whose pods may not have the tolerations that admission gives them.
func (c *Checker) tolerations(context.Context) ([]Result, error) {
	if c.Policy.Dedication.Mode != v1alpha1.ModeEnabled {
		return pass("dedication is off"), nil
	}
	var results []Result
	for _, ns := range c.Namespaces {
		text, listed := ns.Annotations[whitelistKey]
		if _, managed := ns.Labels[tenantLabel]; !managed || !listed {
			continue
		}
		var may []v1.Toleration
		if err := json.Unmarshal([]byte(text), &may); err != nil {
			results = append(results, fail(advise("correct it, or remove it", fmt.Sprintf("kubectl annotate namespace %s %s-", ns.Name, whitelistKey)),
				"namespace %s has an annotation %s that is no list of tolerations: %v", ns.Name, whitelistKey, err))
			continue
		}
		missing := unlisted(may)
		if len(missing) == 0 {
			continue
		}
		for _, key := range missing {
			may = append(may, v1.Toleration{Key: key, Operator: v1.TolerationOpExists})
		}
		whole, err := json.Marshal(may)
		if err != nil {
			return nil, err
		}
		results = append(results, fail(advise("list them", fmt.Sprintf("kubectl annotate --overwrite namespace %s %s=%s", ns.Name, whitelistKey, quoted(string(whole)))),
			"namespace %s does not list %s in the annotation %s: where the admission plugin PodTolerationRestriction is on, its pods are refused",
			ns.Name, some(missing), whitelistKey))
	}
	if len(results) == 0 {
		results = pass("no namespace of a tenant forbids the tolerations that admission gives its pods")
	}
	return results, nil
}

// unlisted are the keys that are not tolerated with any value.
func unlisted(may []v1.Toleration) []string {
	var whitelist []core.Toleration
	for _, t := range may {
		whitelist = append(whitelist, core.Toleration{
			Key: t.Key, Operator: core.TolerationOperator(t.Operator), Value: t.Value, Effect: core.TaintEffect(t.Effect), TolerationSeconds: t.TolerationSeconds,
		})
	}
	var missing []string
	for _, key := range isolation.DedicationTaints() {
		if !tolerations.VerifyAgainstWhitelist([]core.Toleration{{Key: key, Operator: core.TolerationOpExists}}, whitelist) {
			missing = append(missing, key)
		}
	}
	return missing
}
