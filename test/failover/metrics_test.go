package failover

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/component-base/metrics/testutil"
)

// metrics are those of kube-apiserver.
func (a *arena) metrics() testutil.Metrics {
	a.Helper()
	text, err := a.api.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(a.Context())
	a.must(err)
	metrics := testutil.NewMetrics()
	a.must(testutil.ParseMetrics(string(text), &metrics))
	return metrics
}

// refusals are how often each of the fence's policies has refused a request.
func (a *arena) refusals() string {
	a.Helper()
	counts := map[string]float64{}
	for _, sample := range a.metrics()["apiserver_validating_admission_policy_check_total"] {
		policy := string(sample.Metric["policy"])
		if sample.Metric["enforcement_action"] == "deny" && strings.HasPrefix(policy, "tenant-isolation-") {
			counts[policy] += float64(sample.Value)
		}
	}
	var parts []string
	for _, policy := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %.0f", strings.TrimPrefix(policy, "tenant-isolation-"), counts[policy]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// requests are how many requests of a kind kube-apiserver has answered.
func (a *arena) requests(resource string, verbs ...string) int {
	a.Helper()
	total := 0.0
	for _, sample := range a.metrics()["apiserver_request_total"] {
		l := sample.Metric
		if string(l["resource"]) == resource && l["subresource"] == "" && slices.Contains(verbs, string(l["verb"])) {
			total += float64(sample.Value)
		}
	}
	return int(total)
}
