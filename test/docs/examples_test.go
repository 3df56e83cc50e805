package docs

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// TestWorkedExamples reads the table of docs/concepts.md and asks the rule. It
// shares no builder with the golden files, which hold much the same cases.
func TestWorkedExamples(t *testing.T) {
	policy := defaultPolicy(t)
	row := regexp.MustCompile("(?m)^\\| ([^|]+) \\| ([^|]+) \\| (allow|deny) \\| `([A-Za-z]+)` \\|$")
	rows := row.FindAllStringSubmatch(readPage(t, "docs/concepts.md").text, -1)
	if len(rows) < 20 {
		t.Fatalf("%d examples were found", len(rows))
	}
	for _, r := range rows {
		residents, incoming, answer, reason := r[1], r[2], r[3], r[4]
		node := &isolation.Node{}
		if residents != "–" {
			var there []isolation.Resident
			for i, words := range strings.Split(residents, ", ") {
				there = append(there, isolation.Resident{UID: fmt.Sprint(i), Subject: policy.Resolve(examplePod(t, words))})
			}
			node.Occupancy = isolation.NewOccupancy(there)
		}
		subject := policy.Resolve(examplePod(t, incoming))
		verdict := isolation.Decide(&subject, node)
		if verdict.Reason().String() != reason || verdict.Allowed() != (answer == "allow") {
			t.Errorf("%s beside %s: the page says %s %s, the rule %s", incoming, residents, answer, reason, verdict.Reason())
		}
	}
}

func defaultPolicy(t *testing.T) *isolation.Policy {
	t.Helper()
	args := policy.Default()
	made, err := isolation.NewPolicy(isolation.Config{
		DataClasses:        args.DataClasses,
		SeparateBy:         isolation.Axes(),
		BoundaryByHandler:  map[string]isolation.Boundary{"kata": isolation.BoundaryVM, "runsc": isolation.BoundarySandbox},
		MinimumBoundary:    isolation.BoundaryVM,
		PlatformNamespaces: args.PlatformNamespaces.Names,
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// examplePod makes a pod of the words of the table: a tenant, or what stands for none, and
// what differs from a plain pod.
func examplePod(t *testing.T, words string) isolation.Pod {
	t.Helper()
	args := policy.Default()
	fields := strings.Fields(words)
	namespace := &isolation.Namespace{Name: "n", Labels: map[string]string{}}
	pod := isolation.Pod{Namespace: namespace, Privilege: isolation.PrivilegeRestricted}
	switch fields[0] {
	case "platform":
		namespace.Name = args.PlatformNamespaces.Names[0]
	case "unmanaged":
	case "unknown":
		pod.Namespace = nil
	default:
		namespace.Labels[isolation.TenantLabel] = fields[0]
	}
	for _, word := range fields[1:] {
		switch word {
		case "vm":
			pod.RuntimeClass, pod.RuntimeClassFound, pod.Handler = "any", true, "kata"
		case "sandbox":
			pod.RuntimeClass, pod.RuntimeClassFound, pod.Handler = "any", true, "runsc"
		case "alone":
			namespace.Labels[isolation.BoundaryLabel] = "node"
		case "hostpath":
			pod.HostAccess = isolation.HostPath
		case "privileged":
			pod.Privilege = isolation.PrivilegePrivileged
		case "ownusers":
			pod.UserNamespace = isolation.UserNamespacePod
		default:
			namespace.Labels[isolation.DataClassLabel] = word
		}
	}
	return pod
}
