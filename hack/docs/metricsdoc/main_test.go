package main

import (
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/metricinfo"
)

func TestPageInStep(t *testing.T) {
	if err := run("../../..", true); err != nil {
		t.Error(err)
	}
}

func TestStability(t *testing.T) {
	_, err := page([]metricinfo.Group{{Metrics: []metricinfo.Metric{{Name: "tenant_isolation_new", Stability: "BETA"}}}})
	if err == nil || !strings.Contains(err.Error(), "tenant_isolation_new") {
		t.Errorf("want the metric named, got %v", err)
	}
}
