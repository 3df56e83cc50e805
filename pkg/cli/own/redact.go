package own

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// speakers are the components whose events are repeated as they are: they speak of the pod, its volumes and its own
// node. What others say, such as autoscalers, names nodes and groups of nodes that are not the tenant's.
var speakers = map[string]bool{
	"kubelet": true, "replicaset-controller": true, "job-controller": true, "statefulset-controller": true, "daemonset-controller": true,
	"daemon-controller": true, "cronjob-controller": true, "replication-controller": true, "deployment-controller": true,
	"persistentvolume-controller": true, "attachdetach-controller": true, "resource-claim-controller": true,
}

// counted is a scheduler's message: it counts nodes, and names none.
var counted = regexp.MustCompile(`^\d+/\d+ nodes are available`)

var (
	// braces have keys and values of taints, and names of groups of nodes.
	braces = regexp.MustCompile(`\{[^{}]*\}`)
	// values are what labels and taints of this project say.
	values = regexp.MustCompile(`(tenantisolation\.(?:dev|node-restriction\.kubernetes\.io)/[a-z-]+)\s*(?:=|:|,\s*value:)\s*"?([A-Za-z0-9_.-]+)"?`)
)

// redact takes out of a text what may be about others. tenant is the reader's own.
func redact(text, tenant string) string {
	text = braces.ReplaceAllString(text, "{...}")
	return values.ReplaceAllStringFunc(text, func(found string) string {
		parts := values.FindStringSubmatch(found)
		if tenant != "" && parts[2] == tenant {
			return found
		}
		return parts[1] + "=..."
	})
}

// others are the components whose events are named, without what they say.
var others = map[string]bool{
	"cluster-autoscaler": true, "karpenter": true, "default-scheduler": true, "tenant-isolation-scheduler": true, "kube-scheduler": true,
}

// told is an event as it is repeated.
func told(e *v1.Event, tenant string) string {
	by := cmp.Or(e.ReportingController, e.Source.Component)
	message := strings.TrimSpace(e.Message)
	switch {
	case speakers[by], counted.MatchString(message) && others[by]:
		return fmt.Sprintf("%s: %s", e.Reason, redact(message, tenant))
	case others[by]:
		return fmt.Sprintf("%s, from %s", e.Reason, by)
	}
	return "an event of a component that may speak of others: kubectl get events shows it"
}
