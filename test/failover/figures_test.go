package failover

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/internal/checker"
)

// report is what the witness has seen so far.
type report struct {
	binds, managed, unmanaged, pairs int
	broken, contradictions           []string
	// terms are how many leaders' binds were committed.
	terms                   int
	tableWrites, nodeWrites int
	parameterWrites         int
}

func (w *witness) report() report {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := report{
		binds: len(w.binds), pairs: w.pairs, broken: slices.Clone(w.broken), contradictions: slices.Clone(w.contradictions),
		tableWrites: w.tableWrites, nodeWrites: w.nodeWrites,
		parameterWrites: w.parameterWrites,
	}
	terms := map[string]bool{}
	for _, b := range w.binds {
		if !b.managed {
			r.unmanaged++
			continue
		}
		r.managed++
		if term, id := cutToken(b.token); id != "" {
			terms[term] = true
		}
	}
	r.terms = len(terms)
	return r
}

// waitingPods are those that are there and on no node.
func (w *witness) waitingPods() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var keys []string
	for key, pod := range w.pods {
		if pod.Spec.NodeName == "" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// dedicated are the dedicated nodes by each source: the table, the taints and the pods.
type dedicated struct {
	table, taints, tenants []string
}

func (c dedicated) consistent() bool {
	return slices.Equal(c.table, c.taints) && slices.Equal(c.table, c.tenants)
}

func (c dedicated) String() string {
	return fmt.Sprintf("%d entries in the table, %d tainted nodes, %d nodes with tenants' pods", len(c.table), len(c.taints), len(c.tenants))
}

func (a *arena) dedicated() (dedicated, error) {
	var c dedicated
	table, err := a.api.CoreV1().ConfigMaps(systemNamespace).Get(a.Context(), tableName, metav1.GetOptions{})
	if err != nil {
		return c, err
	}
	nodes, err := a.api.CoreV1().Nodes().List(a.Context(), metav1.ListOptions{})
	if err != nil {
		return c, err
	}
	pods, err := a.api.CoreV1().Pods("").List(a.Context(), metav1.ListOptions{})
	if err != nil {
		return c, err
	}
	inUse := map[string]bool{}
	for i := range pods.Items {
		if pod := &pods.Items[i]; pod.Spec.NodeName != "" && isManaged(pod.Namespace) {
			inUse[pod.Spec.NodeName] = true
		}
	}
	c.tenants = slices.Sorted(maps.Keys(inUse))
	for i := range nodes.Items {
		name := nodes.Items[i].Name
		if entryOf(table.Data, name) != "" {
			c.table = append(c.table, name)
		}
		if slices.ContainsFunc(nodes.Items[i].Spec.Taints, func(t corev1.Taint) bool { return t.Key == tenantLabel }) {
			c.taints = append(c.taints, name)
		}
	}
	slices.Sort(c.table)
	slices.Sort(c.taints)
	return c, nil
}

// check asks the API server, and every pair that shares a node.
func (a *arena) check() checker.Result {
	a.Helper()
	cluster, err := checker.Read(a.Context(), a.api)
	a.must(err)
	return cluster.Check()
}

func head(lines []string) string {
	const most = 5
	if len(lines) > most {
		lines = append(slices.Clone(lines[:most]), fmt.Sprintf("and %d more", len(lines)-most))
	}
	return strings.Join(lines, "\n\t")
}
