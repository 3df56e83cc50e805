package own

import (
	"regexp"
	"strconv"
	"strings"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// meaning is what one part of the scheduler's message means for the owner of the pod.
type meaning struct {
	// says is the part, or a text within it.
	says string
	// matter, help and do are as in Answer.
	matter, help, do string
	// elsewhere: a new node might take the pod.
	elsewhere bool
}

// meanings are tried in order.
var meanings = []meaning{
	{isolation.UnmanagedNamespace.Sentence(), "The namespace belongs to no tenant", Administrator, "give the namespace its tenant", false},
	{isolation.InvalidTenant.Sentence(), "The namespace's tenant label is empty", Administrator, "write the tenant's name", false},
	{isolation.UnknownNamespace.Sentence(), "The scheduler does not know the namespace yet", Wait, "", false},
	{isolation.FactsIncomplete.Sentence(), "The scheduler has just been started", Wait, "", false},
	{isolation.TakingOver.Sentence(), "The scheduler has just been started", Wait, "", false},
	{isolation.NoPolicy.Sentence(), "No IsolationPolicy is in force, so no tenant's pod is placed", Administrator, "make one, or mend it", false},
	{isolation.OlderThanNamespace.Sentence(), "The pod is older than its namespace", Tenant, "delete the pod, so that it is made again", false},
	{isolation.MismatchedTenant.Sentence(), "The pod's tenant label contradicts its namespace", Tenant, "remove the label from the pod and its template", false},
	{isolation.UnknownDataClass.Sentence(), "A data-class label has a value that nobody knows", Tenant, "correct the pod's label; an administrator the namespace's", false},
	{isolation.UnknownPrivilege.Sentence(), "A privilege label has a value that nobody knows", Tenant, "correct the pod's label; an administrator the namespace's", false},
	{isolation.UnknownBoundary.Sentence(), "The namespace's boundary label has a value that nobody knows", Administrator, "correct the label", false},
	{isolation.UnknownRuntimeClass.Sentence(), "The pod names a RuntimeClass that does not exist", Tenant, "name one that exists", false},
	{isolation.WeakBoundary.Sentence(), "The namespace demands a stronger boundary than the pod has", Tenant, "name a VM RuntimeClass, and share nothing with the host", false},
	{isolation.NodeLimit.Sentence(), "The tenant has as many nodes as it may have", Tenant, "free one of them; or ask an administrator for a higher limit", false},
	{isolation.KeptForVMs.Sentence(), "The nodes that the pod selects are kept for pods in VMs", Tenant, "remove what selects them, or name a VM RuntimeClass", false},
	{"pod waits for its scheduling gates", "The pod has scheduling gates", Tenant, "whoever set the gates removes them", false},
	{"persistentvolumeclaim", "A volume of the pod is missing or not bound", Tenant, "look at its PVC with kubectl describe pvc", false},
	{"unbound immediate PersistentVolumeClaims", "A volume of the pod is not bound yet", Tenant, "look at its PVC with kubectl describe pvc", false},
	{"volume node affinity conflict", "The pod's volume is on nodes that cannot take the pod", Administrator, "make room where the volume is; the volume cannot move", false},
	{"didn't find available persistent volumes", "No volume is there for the pod on the nodes that could take it", Administrator, "provide a volume", false},
	{"didn't match pod affinity rules", "The pod has to be beside pods where it cannot be", Tenant, "loosen spec.affinity.podAffinity: pods of other trust domains are never beside it", false},
	{"didn't match pod anti-affinity rules", "The pod must not be beside pods that are on the nodes left for it", Tenant, "loosen spec.affinity.podAntiAffinity; or more nodes", true},
	{"anti-affinity rules", "Pods on the nodes left for it refuse its company", Tenant, "look at the podAntiAffinity of your other pods; or more nodes", true},
	{"didn't match pod topology spread constraints", "The pod's spread leaves no node for it", Tenant, "loosen topologySpreadConstraints (whenUnsatisfiable: ScheduleAnyway); or more nodes", true},
	{"didn't match Pod's node affinity/selector", "No node that is left has the labels that the pod selects", Tenant, "correct nodeSelector and nodeAffinity; the RuntimeClass may select nodes as well", false},
	{isolation.MissingHandler.Sentence(), "No node that is left has the runtime of the pod's RuntimeClass", Administrator, "provide such nodes", true},
	{isolation.ForeignResident.Sentence(), "Every node that could take the pod is in use by others", Autoscaler, "a new node; an administrator can add one", true},
	{"Insufficient", "No node that the pod may use has room for it", Autoscaler, "a new node; or lower the pod's requests, or free room in your own pods", true},
	{"Too many pods", "No node that the pod may use takes another pod", Autoscaler, "a new node; an administrator can add one", true},
	{"were unschedulable", "The nodes that could take the pod are closed for new pods", Administrator, "open them again, or add a node", true},
	{"untolerated taint", "The nodes that are left are tainted for others", Autoscaler, "a new node; an administrator can add one", true},
	{"not-ready", "The nodes that could take the pod are not ready", Administrator, "mend them, or add a node", true},
	{"no nodes available", "The cluster has no node", Administrator, "add one", true},
}

// part is one reason in the scheduler's message, with the number of nodes.
var part = regexp.MustCompile(`^(\d+) (.*)$`)

// understand finds what a message of the scheduler comes down to: what stands in the way of a pod wherever it goes, or else
// what a new node would mend, or else what is the pod's own.
func understand(message string) (*meaning, bool) {
	_, reasons, found := strings.Cut(message, "nodes are available: ")
	if !found {
		reasons = message
	}
	reasons, _, _ = strings.Cut(reasons, " preemption: ")
	var own, elsewhere *meaning
	most := 0
	for reason := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(reasons), "."), ", ") {
		counts := part.FindStringSubmatch(reason)
		m := find(reason, message)
		switch {
		case m == nil:
		case counts == nil && !m.elsewhere:
			return m, true
		case m.elsewhere:
			// Of several, what most nodes have.
			nodes := 1
			if counts != nil {
				nodes, _ = strconv.Atoi(counts[1])
			}
			if nodes > most {
				elsewhere, most = m, nodes
			}
		case own == nil:
			own = m
		}
	}
	if elsewhere != nil {
		return elsewhere, true
	}
	return own, own != nil
}

func find(reason, message string) *meaning {
	for i := range meanings {
		m := &meanings[i]
		// A sentence may have a comma in it.
		if strings.Contains(reason, m.says) || (strings.Contains(m.says, ", ") && strings.Contains(message, m.says) && strings.Contains(m.says, reason)) {
			return m
		}
	}
	return nil
}
