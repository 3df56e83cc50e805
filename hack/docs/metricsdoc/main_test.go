package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/internal/metricinfo"
)

func TestPageInStep(t *testing.T) {
	groups, err := metricinfo.Groups()
	if err != nil {
		t.Fatal(err)
	}
	want, err := page(groups)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../" + pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run make generate (-want +got):\n%s", diff)
	}
}

func TestStability(t *testing.T) {
	_, err := page([]metricinfo.Group{{Metrics: []metricinfo.Metric{{Name: "tenant_isolation_new", Stability: "BETA"}}}})
	if err == nil || !strings.Contains(err.Error(), "tenant_isolation_new") {
		t.Errorf("want the metric named, got %v", err)
	}
}
