package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
)

const (
	// dedicationTable is the ConfigMap that the fence reads.
	dedicationTable = "tenant-isolation-dedicated-nodes"
	// term is that of the scheduler whose part the tests play.
	term = "thisterm"
)

// nodeTable is what our scheduler would know of the dedicated nodes: their ids, by name. No
// node of that name has to exist.
type nodeTable struct {
	mu  sync.Mutex
	ids map[string]string
}

// token is what a Binding to the node must have; without a dedication, what none may have.
func (t *nodeTable) token(node string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return term + "-" + t.ids[node]
}

func (t *nodeTable) data(policy *v1alpha1.InForce) map[string]string {
	data := map[string]string{"term": term}
	maps.Copy(data, admission.PlatformEntries(policy))
	for _, node := range slices.Sorted(maps.Keys(t.ids)) {
		key, _, _ := strings.Cut(node, ".")
		key = key[max(0, len(key)-2):]
		if data[key] == "" {
			data[key] = " "
		}
		data[key] += fmt.Sprintf("%s=%s: ", node, t.ids[node])
	}
	return data
}

// dedicate writes entries with new ids, in one write.
func (w *environment) dedicate(ctx context.Context, nodes ...string) error {
	return w.writeTable(ctx, func(ids map[string]string) {
		for _, node := range nodes {
			ids[node] = strings.ReplaceAll(unique("id"), "-", "")
		}
	})
}

func (w *environment) writeTable(ctx context.Context, change func(ids map[string]string)) error {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	if w.table.ids == nil {
		w.table.ids = map[string]string{}
	}
	change(w.table.ids)
	return w.writeMap(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: dedicationTable}, Data: w.table.data(w.policy())})
}

// dedicated is a node of a new name that is dedicated, as the API server knows.
func (s *scene) dedicated() string {
	node := unique("node")
	s.must(s.dedicate(s.ctx, node))
	s.awaitFence(node)
	return node
}

// released is the token of a dedication that is over, and whose node is dedicated again if it is
// asked for.
func (s *scene) released(node string, again bool) (token string) {
	token = s.table.token(node)
	witness := unique("witness")
	s.must(s.writeTable(s.ctx, func(ids map[string]string) {
		delete(ids, node)
		if again {
			ids[node] = "another"
		}
		ids[witness] = "witness"
	}))
	s.awaitFence(witness)
	return token
}

// awaitFence returns when the API server knows that a node is dedicated: it reads the table
// from a cache.
func (s *scene) awaitFence(node string) {
	if s.phase != enforced {
		return
	}
	s.must(poll(s.ctx, func(ctx context.Context) (bool, error) {
		_, err := s.admin.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, newPod(onNode(node), accountless),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "dedicated") {
			return true, nil
		}
		return false, err
	}))
}

// accountless pods need no service account to be there first.
func accountless(p *corev1.Pod) { p.Annotations[corev1.MirrorPodAnnotationKey] = "hash" }
