package app

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/audit/clusterreport"
	"tenantisolation.dev/scheduler/pkg/inforce"
)

// reportsWriter returns what writes the findings where audit.reports asks for it, and deletes them where it does not.
func reportsWriter(objects dynamic.Interface, follower *inforce.Follower, parts *parts) *clusterreport.Writer {
	return &clusterreport.Writer{
		Objects: objects,
		Input:   func() *clusterreport.Input { return reportInput(follower.Policy(), parts) },
		Clock:   clock.RealClock{},
		Logger:  klog.LoggerWithName(parts.logger, "reports"),
	}
}

// reportInput returns what is reported, nil for nothing.
func reportInput(policy *v1alpha1.IsolationPolicy, parts *parts) *clusterreport.Input {
	if policy == nil || policy.Status.InForce == nil || policy.Status.InForce.Spec.Audit.Reports != v1alpha1.ReportsOpenReports {
		return nil
	}
	inForce := policy.Status.InForce
	in := &clusterreport.Input{
		Policy: "IsolationPolicy " + policy.Name, Generation: inForce.Generation,
		Owner: &metav1.OwnerReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.Kind.Kind, Name: policy.Name, UID: policy.UID},
	}
	var looked bool
	if in.Found, looked = parts.auditor.Report(); !looked {
		in.NotJudged = append(in.NotJudged, "the audit has not looked yet")
	}
	if enforced := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionEnforced); enforced == nil {
		in.NotJudged = append(in.NotJudged, "it is unknown whether the admission policies are enforced")
	} else if enforced.Status != metav1.ConditionTrue {
		in.NotJudged = append(in.NotJudged, "the admission policies are not enforced: "+enforced.Message)
	}
	return in
}
