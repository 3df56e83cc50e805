package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"tenantisolation.dev/scheduler/internal/plots"
	"tenantisolation.dev/scheduler/test/performance"
)

// group is all measurements of one case at one size.
type group struct {
	c     performance.Case
	nodes int
	// pods is the throughput by round.
	pods              map[int]float64
	attempt, slowest  sample
	throughputByRound sample
}

func grouped(all []measurement) []*group {
	var groups []*group
	for _, m := range all {
		i := slices.IndexFunc(groups, func(g *group) bool { return g.c.Name == m.c.Name && g.nodes == m.nodes })
		if i < 0 {
			i = len(groups)
			groups = append(groups, &group{c: m.c, nodes: m.nodes, pods: map[int]float64{}})
		}
		g := groups[i]
		g.pods[m.round] = m.podsPerSecond
		g.throughputByRound = append(g.throughputByRound, m.podsPerSecond)
		g.attempt = append(g.attempt, m.attemptMedian)
		g.slowest = append(g.slowest, m.attemptSlow)
	}
	// In the order of the cases, whichever of them came first.
	var order []string
	for _, c := range performance.Cases() {
		order = append(order, c.Name)
	}
	slices.SortStableFunc(groups, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.nodes, b.nodes), cmp.Compare(slices.Index(order, a.c.Name), slices.Index(order, b.c.Name)))
	})
	return groups
}

// ratios compares two groups round by round, so that what slows a whole round cancels.
func ratios(of, to *group) sample {
	var s sample
	for round, pods := range of.pods {
		if other, ok := to.pods[round]; ok {
			s = append(s, pods/other)
		}
	}
	return s
}

func find(groups []*group, workload, variant string, nodes int) *group {
	for _, g := range groups {
		if g.c.Workload == workload && g.c.Variant == variant && g.nodes == nodes {
			return g
		}
	}
	return nil
}

// comparison is the table of the plain workload, and the ratios that matter.
func comparison(all []measurement) string {
	groups := grouped(all)
	var b strings.Builder
	b.WriteString("| nodes | variant | pods/s | of `none` | an attempt takes: median, 99th percentile |\n|---|---|---|---|---|\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s |\n", g.nodes, g.c.Variant,
			spread(g.throughputByRound, "%.0f"), ratio(g, find(groups, "", performance.None, g.nodes)), attempts(g))
	}
	b.WriteString("\n| nodes | plugin compared with | times |\n|---|---|---|\n")
	for _, g := range groups {
		if g.c.Variant != performance.Plugin {
			continue
		}
		for _, other := range []string{performance.None, performance.AntiAffinity, performance.AntiAffinityFastPath} {
			if to := find(groups, "", other, g.nodes); to != nil {
				fmt.Fprintf(&b, "| %d | `%s` | %s |\n", g.nodes, other, spread(ratios(g, to), "%.2f"))
			}
		}
	}
	return b.String()
}

// throughputs are the measurements as they are drawn.
func throughputs(all []measurement) []plots.Throughput {
	var data []plots.Throughput
	for _, g := range grouped(all) {
		data = append(data, plots.Throughput{Nodes: g.nodes, Variant: g.c.Variant, PodsPerSecond: plots.Measured{
			Median: math.Round(g.throughputByRound.median()), Lowest: math.Round(g.throughputByRound.lowest()), Highest: math.Round(g.throughputByRound.highest()),
		}})
	}
	return data
}

func mixedTable(all []measurement) string {
	groups := grouped(all)
	var b strings.Builder
	b.WriteString("| workload | nodes | `none`, pods/s | `antiAffinity`, pods/s | `plugin`, pods/s | plugin of `none` | an attempt takes, with the plugin |\n|---|---|---|---|---|---|---|\n")
	for _, g := range groups {
		if g.c.Variant != performance.Plugin {
			continue
		}
		none := find(groups, g.c.Workload, performance.None, g.nodes)
		affinity := find(groups, g.c.Workload, performance.AntiAffinity, g.nodes)
		fmt.Fprintf(&b, "| `%s` | %d | %s | %s | %s | %s | %s |\n", g.c.Workload, g.nodes,
			throughput(none), throughput(affinity), throughput(g), ratio(g, none), attempts(g))
	}
	return b.String()
}

func throughput(g *group) string {
	if g == nil {
		return "–"
	}
	return spread(g.throughputByRound, "%.0f")
}

func ratio(g, to *group) string {
	if to == nil || to == g {
		return "–"
	}
	return spread(ratios(g, to), "%.2f")
}

func attempts(g *group) string {
	return fmt.Sprintf("%.2f ms, %.1f ms", g.attempt.median(), g.slowest.median())
}

// spread is a median with the lowest and the highest value.
func spread(s sample, format string) string {
	switch len(s) {
	case 0:
		return "–"
	case 1:
		return fmt.Sprintf(format, s[0])
	}
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.median(), s.lowest(), s.highest())
}
