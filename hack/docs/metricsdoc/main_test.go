package main

import (
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/series"
)

func TestTheCommittedPageIsInStep(t *testing.T) {
	if err := run("../../..", true); err != nil {
		t.Error(err)
	}
}

func TestAMetricThatIsNotAlphaIsNotCalledAlpha(t *testing.T) {
	_, err := page([]series.Group{{Series: []series.Series{{Name: "tenant_isolation_new", Stability: "BETA"}}}})
	if err == nil || !strings.Contains(err.Error(), "tenant_isolation_new") {
		t.Errorf("want the metric named, got %v", err)
	}
}
