package demo

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/internal/checker"
)

// poolKey names a static pool: the nodes set aside for one trust domain. Pods that ask
// for virtual machines need other nodes than those that do not.
type poolKey struct {
	domain checker.Domain
	kind   string
}

// staticPools is how many nodes the placed pods would take if each trust domain had a
// pool of its own, packed first-fit-decreasing: no node is added to a pool while the pod fits on
// one that it has. A real pool also has spare nodes, so this is a lower bound.
func staticPools(cluster *checker.Cluster) int {
	perNode := platformRequests(cluster)
	sizes := map[string]corev1.ResourceList{}
	kinds := map[string]string{}
	for i := range cluster.Nodes {
		node := &cluster.Nodes[i]
		kinds[node.Name] = kindOf(node)
		sizes[kindOf(node)] = less(node.Status.Allocatable, perNode)
	}
	pools := map[poolKey][]corev1.ResourceList{}
	for i := range cluster.Pods {
		pod := &cluster.Pods[i]
		if id := cluster.Identify(pod); id.Managed && placed(pod) {
			key := poolKey{domain: id.Domain, kind: "plain"}
			if id.Boundary == "vm" {
				key.kind = "kata"
			}
			pools[key] = append(pools[key], checker.Requests(pod))
		}
	}
	total := 0
	for key, requests := range pools {
		total += firstFitDecreasing(requests, sizes[key.kind])
	}
	return total
}

// platformRequests is what the platform takes of each node, in a pool as elsewhere.
func platformRequests(cluster *checker.Cluster) corev1.ResourceList {
	most := corev1.ResourceList{}
	for i := range cluster.Nodes {
		sum := corev1.ResourceList{}
		for _, pod := range cluster.PodsOn(cluster.Nodes[i].Name) {
			if cluster.Identify(pod).Platform {
				sum = plus(sum, checker.Requests(pod))
			}
		}
		for name, amount := range sum {
			if amount.Cmp(most[name]) > 0 {
				most[name] = amount
			}
		}
	}
	return most
}

func firstFitDecreasing(requests []corev1.ResourceList, size corev1.ResourceList) int {
	share := func(r corev1.ResourceList) float64 {
		largest := 0.0
		for name, amount := range r {
			if total := size[name]; total.Sign() > 0 {
				largest = max(largest, amount.AsApproximateFloat64()/total.AsApproximateFloat64())
			}
		}
		return largest
	}
	requests = slices.Clone(requests)
	slices.SortFunc(requests, func(a, b corev1.ResourceList) int { return cmp.Compare(share(b), share(a)) })
	var open []corev1.ResourceList
	for _, r := range requests {
		fit := slices.IndexFunc(open, func(free corev1.ResourceList) bool { return !negative(less(free, r)) })
		if fit < 0 {
			open, fit = append(open, size), len(open)
		}
		open[fit] = less(open[fit], r)
	}
	return len(open)
}

func plus(a, b corev1.ResourceList) corev1.ResourceList {
	sum := a.DeepCopy()
	for name, amount := range b {
		total := sum[name]
		total.Add(amount)
		sum[name] = total
	}
	return sum
}

func less(a, b corev1.ResourceList) corev1.ResourceList {
	rest := a.DeepCopy()
	for name, amount := range b {
		left := rest[name]
		left.Sub(amount)
		rest[name] = left
	}
	return rest
}

func negative(r corev1.ResourceList) bool {
	for _, amount := range r {
		if amount.Sign() < 0 {
			return true
		}
	}
	return false
}
