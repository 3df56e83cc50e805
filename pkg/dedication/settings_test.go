package dedication

import (
	"testing"
	"time"
)

// Switched off, every node is free at once, whoever is on it; the table and the nodes keep no trace. Switched
// on again, what is in use is dedicated.
func TestConfigureOffAndOn(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		w.node("n2")
		p := w.leader()
		p.open()
		p.mustPlace(w.pod("other", "bolt"), "n2")

		on := *p.engine.settings()
		off := on
		off.Enabled = false
		p.engine.Configure(off)
		if p.engine.Dedicated("n1").Dedicated {
			t.Error("n1 is still said to be dedicated")
		}
		// Nobody waits, and nothing is to be borne by a Binding.
		if token, ok := p.engine.Token("n1"); token != "" || !ok || !p.engine.Ready() {
			t.Errorf("token %q, %t, ready %t", token, ok, p.engine.Ready())
		}
		late := w.pod("late", "bolt")
		if err := p.engine.Reserve(late, "n1", p.subject(late)); err != nil {
			t.Errorf("a node is not free: %v", err)
		}
		w.sleep(time.Second)
		for _, node := range []string{"n1", "n2"} {
			if w.dedicated(node) || w.taints(node) != "" {
				t.Errorf("%s keeps taints %q, entry: %t", node, w.taints(node), w.dedicated(node))
			}
		}
		if got := p.engine.Count(); got != 0 {
			t.Errorf("%d nodes are counted", got)
		}

		p.engine.Configure(on)
		w.sleep(time.Minute)
		for _, node := range []string{"n1", "n2"} {
			if !w.dedicated(node) || w.taints(node) == "" {
				t.Errorf("%s is in use and not dedicated", node)
			}
		}
	})
}

// A process that does not know the policy yet neither places nor frees.
func TestUnsettled(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.openedBefore()

		second, _ := w.process(func(c *Config) { c.Unsettled = true })
		second.engine.Lead()
		w.sleep(time.Minute)
		if second.engine.Ready() || !w.dedicated("n1") {
			t.Fatalf("ready %t, n1 dedicated %t before anything is known", second.engine.Ready(), w.dedicated("n1"))
		}
		second.engine.Configure(*second.engine.settings())
		w.sleep(settleTime)
		if !second.engine.Ready() || !w.dedicated("n1") {
			t.Errorf("ready %t, n1 dedicated %t", second.engine.Ready(), w.dedicated("n1"))
		}
	})
}

// That pods may be placed without dedication does not say that this process leads: what others left behind is
// still to be taken over.
func TestReadyWithoutLeading(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		p, _ := w.process(func(c *Config) { c.Enabled = false })
		if !p.engine.Ready() || p.engine.Leads() {
			t.Errorf("ready %t, leads %t", p.engine.Ready(), p.engine.Leads())
		}
		p.engine.Lead()
		if !p.engine.Leads() {
			t.Error("does not lead after Lead")
		}
	})
}

// While the API server answers by an old table, nothing is placed.
func TestBlind(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader()
		p.engine.SetBlind(true)
		pod := w.pod("web", "acme")
		if err := p.engine.Reserve(pod, "n1", p.subject(pod)); err == nil {
			t.Error("a node is reserved on the word of a fence that does not see")
		}
		before := p.ready
		p.engine.SetBlind(false)
		if p.ready != before+1 {
			t.Error("the pods that wait are not woken")
		}
		p.mustPlace(pod, "n1")
	})
}

// What stands beside the entries is written with them, and read by nobody here.
func TestBesideTheTable(t *testing.T) {
	inWorld(t, func(w *world) {
		t := w.t
		w.node("n1")
		p := w.leader(func(c *Config) { c.Beside = map[string]string{"platformNames": " kube-system "} })
		p.open()
		if got := w.data(); got["platformNames"] != " kube-system " || got[modeKey] != modeEnabled {
			t.Errorf("the table is %v", got)
		}
		changed := *p.engine.settings()
		changed.Beside = map[string]string{"platformNames": " none "}
		p.engine.Configure(changed)
		w.sleep(time.Second)
		if got := w.data(); got["platformNames"] != " none " || !w.dedicated("n1") {
			t.Errorf("the table is %v", got)
		}
	})
}
