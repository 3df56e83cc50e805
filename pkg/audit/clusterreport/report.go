// Package clusterreport writes what the audit finds as a report of OpenReports (openreports.io), or as its
// predecessor PolicyReport, which dashboards and collectors of other tools read.
//
// There is one cluster-scoped report and none in a namespace: a finding is about pods of several tenants, and whoever
// may read a report in the namespace of one would read of the others.
package clusterreport

import (
	"fmt"
	"strconv"

	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"tenantisolation.dev/scheduler/pkg/audit"
)

const (
	// Name is that of the report.
	Name = "tenant-isolation"
	// policyName is what results name as the policy.
	policyName = "tenant-isolation"
	source     = "tenantisolation.dev"

	// maxResults and maxSubjects keep the report below the size that etcd takes; what is left out is counted.
	maxResults, maxSubjects = 500, 10
)

// Resource is the kind of the report in the API.
var Resource = schema.GroupVersionResource{Group: "openreports.io", Version: "v1alpha1", Resource: "clusterreports"}

// Input is what a report is made of.
type Input struct {
	Found audit.Report
	// NotJudged is what was not, one sentence each. Without it nothing is said to have passed.
	NotJudged []string
	// Policy names the policy, and Generation is that of the IsolationPolicy in force, 0 if the rule was another.
	Policy     string
	Generation int64
	// Owner is the IsolationPolicy, nil if there is none: with it the report goes.
	Owner *metav1.OwnerReference
}

// Make returns the report. It depends on the input alone.
func Make(in *Input) *openreports.ClusterReport {
	r := &openreports.ClusterReport{
		TypeMeta: metav1.TypeMeta{APIVersion: Resource.GroupVersion().String(), Kind: "ClusterReport"},
		ObjectMeta: metav1.ObjectMeta{
			Name:   Name,
			Labels: map[string]string{"app.kubernetes.io/managed-by": policyName, "app.kubernetes.io/part-of": policyName},
			Annotations: map[string]string{
				"tenantisolation.dev/policy": in.Policy, "tenantisolation.dev/policy-generation": strconv.FormatInt(in.Generation, 10),
			},
		},
		Source:        source,
		Configuration: &openreports.ReportConfiguration{Limits: openreports.Limits{MaxResults: maxResults}},
	}
	if in.Owner != nil {
		r.OwnerReferences = []metav1.OwnerReference{*in.Owner}
	}
	broken := map[string]bool{}
	for i := range in.Found.Findings {
		f := &in.Found.Findings[i]
		broken[f.Node] = true
		if i < maxResults {
			r.Results = append(r.Results, result(f))
		}
	}
	delete(broken, "")
	r.Summary.Fail, r.Summary.Error = len(in.Found.Findings), len(in.NotJudged)
	if len(in.NotJudged) == 0 {
		r.Summary.Pass = max(0, in.Found.Nodes-len(broken))
	}
	for _, reason := range in.NotJudged {
		r.Results = append(r.Results, openreports.ReportResult{
			Policy: policyName, Rule: "NotJudged", Category: category, Result: "error", Severity: "high", Description: "not judged: " + reason,
		})
	}
	if more := len(in.Found.Findings) - maxResults; more > 0 {
		r.Results = append(r.Results, openreports.ReportResult{
			Policy: policyName, Rule: "More", Category: category, Result: "error", Severity: "info",
			Description: fmt.Sprintf("%d more findings: kubectl isolation audit lists all of them", more),
		})
		r.Summary.Error++
	}
	return r
}

const category = "Tenant isolation"

func result(f *audit.Finding) openreports.ReportResult {
	severity := openreports.ResultSeverity("medium")
	if len(f.Conflicts) > 0 {
		severity = "high"
	}
	r := openreports.ReportResult{
		Policy: policyName, Rule: string(f.Reason), Category: category, Result: "fail", Severity: severity, Scored: true,
		Description: f.String(), Timestamp: metav1.Timestamp{Seconds: max(0, f.Last.Since.Unix())},
		Properties: map[string]string{"pairs": strconv.Itoa(f.Pairs)},
	}
	if f.Node != "" {
		r.Subjects = append(r.Subjects, v1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: f.Node})
	}
	if f.Volume != "" {
		r.Properties["volume"] = f.Volume
	}
	left := maxSubjects
	for i := range f.Parties {
		party := &f.Parties[i]
		// Each side has its share, so that none is left out for the pods of another.
		share := max(1, left/(len(f.Parties)-i))
		for _, pod := range party.Pods[:min(share, len(party.Pods), max(0, left))] {
			r.Subjects = append(r.Subjects, v1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID})
			left--
		}
	}
	return r
}

// PolicyReport returns the report as its predecessor, a ClusterPolicyReport of wgpolicyk8s.io/v1alpha2, whose results
// bear the source.
func PolicyReport(r *openreports.ClusterReport) (map[string]any, error) {
	r = r.DeepCopy()
	r.APIVersion, r.Kind = "wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport"
	r.Configuration = nil
	for i := range r.Results {
		r.Results[i].Source = source
	}
	return Object(r)
}

// Object returns the report as the API has it.
func Object(r *openreports.ClusterReport) (map[string]any, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(r)
	if err != nil {
		return nil, err
	}
	if r.APIVersion != Resource.GroupVersion().String() {
		delete(object, "source")
	}
	if metadata, ok := object["metadata"].(map[string]any); ok && metadata["creationTimestamp"] == nil {
		delete(metadata, "creationTimestamp")
	}
	results, _ := object["results"].([]any)
	for _, each := range results {
		if result, ok := each.(map[string]any); ok && result["source"] == "" {
			delete(result, "source")
		}
	}
	return object, nil
}
