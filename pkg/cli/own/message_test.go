package own

import (
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Whatever the plugin says of a pod, somebody is named who can help.
func TestUnderstandEveryReason(t *testing.T) {
	for _, reason := range isolation.Reasons() {
		sentence := reason.Sentence()
		if sentence == "" {
			continue
		}
		message := sentence
		if !reason.AboutPod() {
			message = "0/3 nodes are available: 3 " + sentence + ". preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
		}
		m, ok := understand(message)
		if !ok || m.help == "" || !strings.Contains(message, m.says) {
			t.Errorf("%s: %+v of %q", reason, m, message)
		}
	}
}

func TestUnderstand(t *testing.T) {
	residents := isolation.ForeignResident.Sentence()
	for name, tc := range map[string]struct{ message, help string }{
		"what a new node would mend comes first": {"0/4 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 3 " + residents + ".", Autoscaler},
		"of two, what most nodes have":           {"0/9 nodes are available: 8 node(s) were unschedulable, 1 Insufficient memory.", Administrator},
		"a selector that matches no node":        {"0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector.", Tenant},
		"a limit and a selector":                 {"0/4 nodes are available: 2 " + isolation.NodeLimit.Sentence() + ", 2 node(s) didn't match Pod's node affinity/selector.", Tenant},
		"a fault of the pod":                     {"0/4 nodes are available: " + isolation.WeakBoundary.Sentence() + ".", Tenant},
		"a fault of the namespace":               {"0/4 nodes are available: " + isolation.UnmanagedNamespace.Sentence() + ".", Administrator},
		"a volume that is not there":             {`0/4 nodes are available: persistentvolumeclaim "data" not found.`, Tenant},
		"what preemption says does not count":    {"0/4 nodes are available: 4 node(s) didn't match pod affinity rules. preemption: 0/4 nodes are available: 4 Insufficient cpu.", Tenant},
	} {
		t.Run(name, func(t *testing.T) {
			if m, ok := understand(tc.message); !ok || m.help != tc.help {
				t.Errorf("%+v, want help from %s", m, tc.help)
			}
		})
	}
	if m, ok := understand("0/1 nodes are available: 1 something new."); ok {
		t.Errorf("what is not known is understood as %+v", m)
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"1 node(s) had untolerated taint {tenantisolation.dev/tenant: globex}, 2 Insufficient cpu": "1 node(s) had untolerated taint {...}, 2 Insufficient cpu",
		"did not tolerate tenantisolation.dev/tenant=globex:NoSchedule":                            "did not tolerate tenantisolation.dev/tenant=...:NoSchedule",
		"did not tolerate tenantisolation.dev/tenant=acme:NoSchedule":                              "did not tolerate tenantisolation.dev/tenant=acme:NoSchedule",
	} {
		if got := redact(text, "acme"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
