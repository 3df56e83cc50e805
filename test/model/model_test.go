package model

import (
	"flag"
	"strings"
	"testing"
)

var full = flag.Bool("full", false, "explore the big worlds too: a minute or two")

var (
	acmePod      = pod{owner: acme}
	privileged   = pod{owner: acme, privilege: 1}
	globexPod    = pod{owner: globex}
	unmanagedPod = pod{}
)

// limit stops an exploration that a mistake in the model made too large.
const limit = 20_000_000

func (w *world) mustExplore(t *testing.T, liveness bool) result {
	t.Helper()
	if w.big && !*full {
		t.Skip("a big world, for -full")
	}
	r, err := w.explore(limit, liveness)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func story(lines []string) string { return "\n\t" + strings.Join(lines, "\n\t") }

// In all of these worlds a leader may be paused forever, or resume at any time; the
// API server's informer may lag, and a request may be committed long after its admission,
// both within the settle time.
func TestProtocolKeepsTheRule(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]world{
		"two privileges of one tenant, and two answers that are lost": {
			pods: []pod{acmePod, privileged}, leaders: 2, ids: 2, mishaps: 2, lostAnswers: true, big: true,
		},
		"two privileges of one tenant and the stock scheduler": {
			pods: []pod{acmePod, privileged, unmanagedPod}, leaders: 2, ids: 2, big: true,
		},
		"two privileges of one tenant, and a crash or an opening that fails": {
			pods: []pod{acmePod, privileged}, leaders: 2, ids: 2, mishaps: 1, crashes: true, doubts: true,
		},
		"a tenant and the stock scheduler, and an answer that is lost": {
			pods: []pod{acmePod, unmanagedPod}, leaders: 2, ids: 2, mishaps: 1, lostAnswers: true, big: true,
		},
		"a tenant and the stock scheduler, and a crash or an opening that fails": {
			pods: []pod{acmePod, unmanagedPod}, leaders: 2, ids: 2, mishaps: 1, crashes: true, doubts: true, big: true,
		},
		"a tenant and the stock scheduler": {
			pods: []pod{acmePod, unmanagedPod}, leaders: 2, ids: 2,
		},
		"two tenants, one leader, and two answers that are lost": {
			pods: []pod{acmePod, globexPod}, leaders: 1, ids: 2, mishaps: 2, lostAnswers: true,
		},
		"a tenant, another and the stock scheduler, one leader": {
			pods: []pod{acmePod, globexPod, unmanagedPod}, leaders: 1, ids: 2,
		},
		"a Node object that is deleted, and its machine registers again": {
			pods: []pod{acmePod, unmanagedPod}, leaders: 1, ids: 2, deletions: true, mishaps: 1, lostAnswers: true, doubts: true,
		},
		"nodes that are free after a reboot only": {
			pods: []pod{acmePod, globexPod}, leaders: 1, ids: 2, afterReboot: true, reboots: 2,
		},
		"nodes that are free after a reboot only, and two leaders": {
			pods: []pod{acmePod, globexPod}, leaders: 2, ids: 2, afterReboot: true, reboots: 1, big: true,
		},
		"two nodes": {
			nodes: 2, pods: []pod{acmePod, privileged}, leaders: 1, ids: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w.nodes = max(w.nodes, 1)
			r := w.mustExplore(t, w.reboots == 0)
			if r.trace != nil {
				t.Errorf("two pods that may not share a kernel do:%s", story(r.trace))
			}
			if r.stuck != nil {
				t.Errorf("after this no tidy state can be reached:%s", story(r.stuck))
			}
			t.Logf("%d states, %d steps deep", r.states, r.depth)
		})
	}
}
