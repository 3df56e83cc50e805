package failover

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"

	"tenantisolation.dev/scheduler/internal/checker"
)

const (
	tokenAnnotation = "tenantisolation.dev/dedication"
	tableName       = "tenant-isolation-dedicated-nodes"
	parameterName   = "tenant-isolation-policy"
	systemNamespace = "tenant-isolation-system"
)

// witness sees all binds in the order in which they were committed, and checks for each whether
// the pod may share the node with the pods on it.
type witness struct {
	namespaces []corev1.Namespace

	mu    sync.Mutex
	pods  map[string]*corev1.Pod // by namespace/name
	nodes map[string]map[string]*corev1.Pod
	// table is the current table.
	table *corev1.ConfigMap

	binds          []bind
	broken         []string
	pairs          int
	contradictions []string
	// Writes for dedication that took effect.
	tableWrites, nodeWrites int
	// parameterWrites are those by which the leader asks every minute what the API server sees.
	parameterWrites int
	revision        int64
}

// bind is one that was committed.
type bind struct {
	revision int64
	pod      string
	node     string
	managed  bool
	token    string
}

// startWitness begins before there is a pod. The namespaces stay as they are.
func startWitness(t *testing.T, etcd string, namespaces []corev1.Namespace) *witness {
	t.Helper()
	w := &witness{namespaces: namespaces, pods: map[string]*corev1.Pod{}, nodes: map[string]map[string]*corev1.Pod{}}
	follow(t, etcd, "/registry/", func(e event) {
		if err := w.take(e); err != nil {
			t.Errorf("revision %d of etcd: %v", e.revision, err)
		}
	})
	return w
}

func (w *witness) take(e event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revision = e.revision
	kind, name, _ := strings.Cut(strings.TrimPrefix(e.key, "/registry/"), "/")
	switch {
	case kind == "minions":
		w.nodeWrites++
	case kind == "configmaps" && name == systemNamespace+"/"+tableName:
		w.tableWrites++
		w.table = nil
		if len(e.value) > 0 {
			w.table = &corev1.ConfigMap{}
			return decode(e.value, w.table)
		}
	case kind == "configmaps" && name == systemNamespace+"/"+parameterName:
		w.parameterWrites++
	case kind == "pods":
		if len(e.value) == 0 {
			w.leave(name)
			return nil
		}
		pod := &corev1.Pod{}
		if err := decode(e.value, pod); err != nil {
			return err
		}
		w.see(name, pod, e.revision)
	}
	return nil
}

func decode(value []byte, into runtime.Object) error {
	_, _, err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Decode(value, nil, into)
	return err
}

func (w *witness) leave(key string) {
	if pod := w.pods[key]; pod != nil {
		delete(w.nodes[pod.Spec.NodeName], key)
		delete(w.pods, key)
	}
}

func (w *witness) see(key string, pod *corev1.Pod, revision int64) {
	before := w.pods[key]
	w.pods[key] = pod
	node := pod.Spec.NodeName
	if node == "" {
		return
	}
	if w.nodes[node] == nil {
		w.nodes[node] = map[string]*corev1.Pod{}
	}
	w.nodes[node][key] = pod
	if before == nil || before.Spec.NodeName == "" {
		w.judge(key, pod, revision)
	}
}

// judge checks every pair on the node of a pod that has just been bound.
func (w *witness) judge(key string, pod *corev1.Pod, revision int64) {
	cluster := &checker.Cluster{Namespaces: w.namespaces}
	for _, resident := range w.nodes[pod.Spec.NodeName] {
		cluster.Pods = append(cluster.Pods, *resident)
	}
	result := cluster.Check()
	w.pairs += result.Pairs
	for _, pair := range result.Broken {
		if pair.A == key || pair.B == key {
			w.broken = append(w.broken, fmt.Sprintf("revision %d: %s", revision, pair))
		}
	}
	b := bind{
		revision: revision, pod: key, node: pod.Spec.NodeName,
		managed: cluster.Identify(pod).Managed, token: pod.Annotations[tokenAnnotation],
	}
	w.binds = append(w.binds, b)
	if why := w.contradicts(b); why != "" {
		w.contradictions = append(w.contradictions, fmt.Sprintf("revision %d: %s on %s: %s", revision, key, b.node, why))
	}
}

// contradicts returns why the current table would refuse a bind, empty if it would not. The bind
// was admitted some time before: this is the window that the settle time covers, not a breach.
func (w *witness) contradicts(b bind) string {
	if w.table == nil {
		return ""
	}
	entry := entryOf(w.table.Data, b.node)
	term, id := cutToken(b.token)
	switch {
	case !b.managed && entry != "":
		return "an unmanaged pod, and the node has an entry"
	case !b.managed:
		return ""
	case term != w.table.Data["term"]:
		return "of another term than the table's"
	case id != entry:
		return "of another id than the node's entry"
	}
	return ""
}

func cutToken(token string) (term, id string) {
	term, id, _ = strings.Cut(token, "-")
	return term, id
}

// entryOf returns the id of a node's entry, empty if it has none. It reads the table as
// docs/dedication-protocol.md describes it.
func entryOf(data map[string]string, node string) string {
	for field := range strings.FieldsSeq(data[node[max(0, len(node)-2):]]) {
		if rest, ok := strings.CutPrefix(field, node+"="); ok {
			id, _, _ := strings.Cut(rest, ":")
			return id
		}
	}
	return ""
}
