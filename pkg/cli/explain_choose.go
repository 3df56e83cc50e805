package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/cli/workload"
)

// candidate is a pod that can be explained.
type candidate struct {
	// name is "pod/name" or "deployment/name".
	name string
	pod  *v1.Pod
	// of is the workload that the pod stands for, and how many of its pods are placed; empty for a pod alone.
	of string
}

// candidates lists the pods that an argument may name. Manifests hide the cluster's pods:
// the question is then what applying the manifests would do.
func candidates(c *judgedCluster, manifests *inventory.Inventory) []candidate {
	from := c.Inventory
	if manifests != nil {
		from = manifests
	}
	all := make([]candidate, 0, len(from.Pods)+len(from.Workloads))
	for _, pod := range from.Pods {
		all = append(all, candidate{name: "pod/" + pod.Name, pod: pod})
	}
	for i := range from.Workloads {
		w := &from.Workloads[i]
		all = append(all, candidate{name: strings.ToLower(w.Kind) + "/" + w.Pod.Name, pod: w.Pod})
	}
	return all
}

// maxExplained is how many manifests are explained at once without a name.
const maxExplained = 50

// choose finds the wanted pods, by name if one is given, and in this namespace alone if
// onlyNamespace is set.
func choose(all []candidate, wanted, namespace string, onlyNamespace bool) ([]candidate, error) {
	kind, plain := workload.Parse(wanted)
	var found, elsewhere []candidate
	for _, c := range all {
		ofKind, itsName, _ := strings.Cut(c.name, "/")
		if wanted != "" && (itsName != plain || (kind != "" && kind != ofKind)) {
			continue
		}
		if onlyNamespace && c.pod.Namespace != namespace {
			elsewhere = append(elsewhere, c)
			continue
		}
		found = append(found, c)
	}
	switch {
	case len(found) == 0 && len(elsewhere) > 0 && wanted != "":
		return nil, fmt.Errorf("no %s in namespace %s, but one in namespace %s: name it with -n", shownName(wanted), namespace, elsewhere[0].pod.Namespace)
	case len(found) == 0 && wanted != "":
		return nil, fmt.Errorf("no %s in namespace %s: `kubectl get pods -A` lists all pods", shownName(wanted), namespace)
	case len(found) == 0 && len(elsewhere) > 0:
		return nil, fmt.Errorf("the files contain no pod and no workload of namespace %s, but some of namespace %s: name it with -n", namespace, elsewhere[0].pod.Namespace)
	case len(found) == 0:
		return nil, errors.New("the files contain no pod and no workload")
	case len(found) > 1 && wanted != "":
		var names []string
		for _, c := range found {
			names = append(names, c.name+" in "+c.pod.Namespace)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("%s is ambiguous: %s. Name one as KIND/NAME, with -n", shownName(wanted), fewOf(names))
	case len(found) > maxExplained:
		return nil, fmt.Errorf("the files contain %d pods and workloads: name one of them", len(found))
	}
	return found, nil
}

func shownName(wanted string) string {
	if strings.Contains(wanted, "/") {
		return fmt.Sprintf("%.100q", wanted)
	}
	return fmt.Sprintf("pod or workload %.100q", wanted)
}

// liveCandidates are the pods of a live cluster that an argument may name. A workload stands for one of its pods that
// waits, or else for the pod that it would make next.
func liveCandidates(ctx context.Context, c *judgedCluster, namespace, wanted string) ([]candidate, error) {
	all := candidates(c, nil)
	kind, name := workload.Parse(wanted)
	if !workload.Known(kind) {
		return nil, fmt.Errorf("%.40q is no kind of pods: use %s", kind, joinOr(workload.Kinds()))
	}
	if kind == workload.Pod || (kind == "" && slices.ContainsFunc(all, func(c candidate) bool { return c.name == "pod/"+name && c.pod.Namespace == namespace })) {
		return all, nil
	}
	found, err := workload.Find(ctx, c.client, namespace, kind, name)
	if err != nil {
		return nil, err
	}
	for i := range found {
		w := &found[i]
		pods := w.Pods(c.Pods)
		of := candidate{name: w.Name(), pod: w.Pod}
		placed := 0
		for _, pod := range pods {
			switch {
			case pod.Spec.NodeName != "":
				placed++
			case !inventory.Ended(pod) && !made(of.pod):
				of.pod = pod
			}
		}
		of.of = fmt.Sprintf("%d of its %d pods are on nodes", placed, max(w.Replicas, len(pods)))
		all = append(all, of)
	}
	return all, nil
}
