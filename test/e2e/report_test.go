//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"tenantisolation.dev/scheduler/internal/checker"
	"tenantisolation.dev/scheduler/internal/realnode"
)

// sighting is what a container said of the kernel that it is in.
type sighting struct {
	Part, Pod, Tenant, Node, Runtime, Version, Boot string
	// Verdict is the checker's, on the node at that time.
	Verdict string
}

// sightings are those of all parts, for the table.
type sightings struct {
	part string
	all  []sighting
	// pairs and broken count what expectSound has had checked.
	pairs, broken int
}

func (s *sightings) add(one sighting) {
	one.Part = s.part
	s.all = append(s.all, one)
}

// of returns the newest sighting of a pod.
func (l lab) of(namespace, name string) sighting {
	l.Helper()
	for _, s := range slices.Backward(l.seen.all) {
		if s.Pod == namespace+"/"+name {
			return s
		}
	}
	l.Fatalf("%s/%s has said nothing", namespace, name)
	return sighting{}
}

// check asks the checker for its verdict on every node, and notes it beside what has been seen in this part.
func (l lab) check(minimum string) checker.Result {
	l.Helper()
	cluster, err := checker.Read(context.WithoutCancel(l.Context()), l.api)
	if err != nil {
		l.Fatal(err)
	}
	cluster.Minimum, cluster.VMHandlers = minimum, []string{realnode.HandlerVM}
	result := cluster.Check()
	for i := range l.seen.all {
		s := &l.seen.all[i]
		if s.Part != l.seen.part || s.Verdict != "" {
			continue
		}
		s.Verdict = "keeps the rule"
		for _, pair := range result.Broken {
			if pair.A == s.Pod || pair.B == s.Pod {
				s.Verdict = "BREAKS the rule"
			}
		}
	}
	return result
}

// expectSound fails the part if a pair of pods breaks the rule now.
func (l lab) expectSound(minimum string) {
	l.Helper()
	result := l.check(minimum)
	l.seen.pairs += result.Pairs
	l.seen.broken += len(result.Broken) + len(result.Weak)
	if !result.Sound() {
		l.Error(result)
	}
}

func (s *sightings) String() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "POD\tTENANT\tNODE\tRUNTIME\tKERNEL SEEN\tBOOT ID\tCHECKER")
	part := ""
	for _, one := range s.all {
		if one.Part != part {
			part = one.Part
			_ = w.Flush()
			fmt.Fprintf(&text, "%s:\n", part)
		}
		version, _, _ := strings.Cut(one.Version, " (")
		boot, _, _ := strings.Cut(one.Boot+"-", "-")
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n", one.Pod, one.Tenant, one.Node, one.Runtime, version, boot, one.Verdict)
	}
	_ = w.Flush()
	fmt.Fprintf(&text, "%d pairs of pods were checked where the scheduler placed them: %d break the rule\n", s.pairs, s.broken)
	fmt.Fprintf(&text, "(apart from three parts that bring it about: %q, %q and %q)\n", withoutPlugin, staticPods, firingAlerts)
	return text.String()
}
