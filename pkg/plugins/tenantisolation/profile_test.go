package tenantisolation

import (
	"slices"
	"strings"
	"testing"

	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

func TestMisplacedPlugin(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*world)
		want   string
	}{
		"another filter comes first": {
			change: func(w *world) { slices.Reverse(w.filters) },
			want:   "plugins.filter.enabled",
		},
		"the plugin is no filter": {
			change: func(w *world) { w.filters = w.filters[1:] },
			want:   "plugins.filter.enabled",
		},
		"another plugin binds first": {
			change: func(w *world) { slices.Reverse(w.binders) },
			want:   "plugins.bind.enabled",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := tenants(t)
			tc.change(w)
			_, status := w.pl.PreFilter(t.Context(), framework.NewCycleState(), w.pod("red", "p"), nil)
			if status.Code() != fwk.Error || !strings.Contains(status.Message(), tc.want) {
				t.Errorf("got %v, want an error that names %s", status, tc.want)
			}
		})
	}
}
