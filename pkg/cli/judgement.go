package cli

import (
	"fmt"
	"io"
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// judgement says of what input an answer is, by which policy, and what it does not cover. Its fields are a
// contract. The zero judgement is of nothing.
type judgement struct {
	// Judged reports whether everything was judged that the answer depends on. Without it, that nothing was
	// found means nothing.
	Judged bool `json:"judged"`
	// NotJudged is what was not, one sentence each without a full stop.
	NotJudged []string `json:"notJudged"`
	// Source is the input, Policy what the rule was, both for people.
	Source string `json:"source"`
	Policy string `json:"policy"`
	// PolicyGeneration is that of the IsolationPolicy in force, 0 if the rule was another.
	PolicyGeneration int64 `json:"policyGeneration"`
}

// judgement takes lists of what was not judged.
func (c *judgedCluster) judgement(lists ...[]string) judgement {
	j := judgement{NotJudged: []string{}, Source: c.Source, Policy: c.policyFrom, PolicyGeneration: c.generation}
	for _, list := range lists {
		j.NotJudged = append(j.NotJudged, list...)
	}
	j.Judged = len(j.NotJudged) == 0
	return j
}

// status returns how a command ends. What was found is true whatever else was not judged.
func (j *judgement) status(found bool) error {
	switch {
	case found:
		return errFindings
	case !j.Judged:
		return errNotJudged
	}
	return nil
}

// printNotJudged lists what was not judged.
func printNotJudged(out io.Writer, paint colour, j *judgement) {
	for _, reason := range j.NotJudged {
		printFolded(out, "", "", fmt.Sprintf("%s: %s.", paint.warn("Not judged"), reason))
	}
}

// unjudgedTenants is for input without a tenant, or read without all rights.
func (c *judgedCluster) unjudgedTenants() []string {
	var reasons []string
	if !c.anyTenant() {
		reasons = append(reasons, fmt.Sprintf("no namespace has the label %s, so no pod has a tenant (--tenant-key names another label)", c.tenantLabel))
	}
	return append(reasons, c.Unread...)
}

// unjudgedPods is for input without pods that could break the rule, or with pods whose volumes are unknown.
func (c *judgedCluster) unjudgedPods() []string {
	placed, unknown := 0, 0
	for _, pod := range c.Pods {
		if pod.Spec.NodeName == "" || inventory.Ended(pod) {
			continue
		}
		if subject := c.store.Judge(pod); subject.Platform() || !hasTenant(subject) {
			continue
		}
		placed++
		for _, key := range podfacts.PVCKeys(pod) {
			if !c.storageKnown(key) {
				unknown++
				break
			}
		}
	}
	var reasons []string
	if placed == 0 && c.anyTenant() {
		reasons = append(reasons, "no pod of a tenant is on a node")
	}
	if unknown > 0 && len(c.Unread) == 0 {
		reasons = append(reasons, fmt.Sprintf("%s of tenants on nodes mount PVCs that are missing in the input, or whose PersistentVolumes are, so it is unknown who shares their files", count(unknown, "pod")))
	}
	return reasons
}

// storageKnown reports whether the input has a PVC, and its volume if it is bound.
func (c *judgedCluster) storageKnown(pvcKey string) bool {
	pvc, known := c.store.PVC(pvcKey)
	if !known || pvc.Spec.VolumeName == "" {
		return known
	}
	_, known = c.store.Volume(pvc.Spec.VolumeName)
	return known
}

// hasTenant reports whether a pod is of a managed namespace, or of one that is unknown.
func hasTenant(s isolation.Subject) bool {
	reason, denied := s.Denied()
	return !denied || reason != isolation.UnmanagedNamespace
}

// unjudgedPolicy is for a policy that is not in force, and controls that do not hold: then other pods than
// those that were judged may come at any time.
func (c *judgedCluster) unjudgedPolicy(o *options) []string {
	if c.policyUnread != "" {
		return []string{c.policyUnread}
	}
	if c.Policy == nil {
		if c.client == nil {
			return nil
		}
		return []string{"no IsolationPolicy is in the cluster, so nothing keeps the rule"}
	}
	status := &c.Policy.Status
	if status.InForce == nil {
		// A manifest has no status.
		if c.client == nil && c.Policy.UID == "" && len(status.Conditions) == 0 {
			return nil
		}
		return []string{"the IsolationPolicy is not in force: no scheduler has accepted it"}
	}
	var reasons []string
	if !reflect.DeepEqual(c.policy, &status.InForce.Spec) {
		reasons = append(reasons, fmt.Sprintf("by %s, and not by generation %d of the IsolationPolicy, which is in force", c.policyFrom, status.InForce.Generation))
	}
	if o.tenantKey != "" {
		reasons = append(reasons, "by the tenants of --tenant-key, and not by those in force")
	}
	enforced := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionEnforced)
	switch {
	case enforced == nil:
		reasons = append(reasons, "it is unknown whether the admission policies are enforced: the IsolationPolicy has no condition Enforced")
	case enforced.Status != metav1.ConditionTrue:
		reasons = append(reasons, "the admission policies are not enforced: "+enforced.Message)
	}
	return reasons
}
