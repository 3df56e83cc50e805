package autoscaling

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tenantisolation.dev/scheduler/internal/karpenter"
)

// What users may rely on.
const (
	firstNodes = 60 * time.Second
	nextNode   = 45 * time.Second
	afterNode  = 20 * time.Second
	quiet      = 150 * time.Second
)

// TestKarpenter runs scenarios side by side, as most of each is waiting.
func TestKarpenter(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds Karpenter and waits for consolidation")
	}
	f := newField(t, nil)
	for name, run := range map[string]func(*scenario){
		"five tenants come, stay and go": fiveTenants,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields := strings.Fields(name)
			run(f.scenario(t, strings.ToLower(fields[0]+"-"+fields[1])))
		})
	}
}

func fiveTenants(s *scenario) {
	var namespaces []string
	for i := range 5 {
		namespaces = append(namespaces, s.tenant(fmt.Sprintf("t%d", i)))
	}
	for _, ns := range namespaces {
		s.run(ns, "web", 5, unsatisfiablePreference)
	}
	s.placed(25, firstNodes)
	// 2.5 CPUs do not fit on a machine of two.
	if want, got := slices.Repeat([]string{karpenter.MachineName(4)}, 5), s.machines(); !slices.Equal(want, got) {
		s.Errorf("want the smallest machines that fit, %v, got %v", want, got)
	}
	if cost := s.idle(quiet, namespaces[0]); cost != (tally{}) {
		s.Errorf("want no node added or removed and no pod evicted, got %s", cost)
	}
	s.keepsTheRule()
	for _, ns := range namespaces {
		s.scale(ns, "web", 0)
	}
	s.within(patience, "all nodes gone", func() string { return strings.Join(s.nodesWithLabels(), ", ") })
	s.report("all nodes gone; in all: %s", s.journal.tally(s.name))
}
