package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// counts returns how many pods each node has, and nothing if the index is not in step with
// the list.
func counts(h *homes) map[string]int {
	counts := map[string]int{}
	for i, home := range h.list {
		if h.at[home.node] != i {
			return nil
		}
		counts[home.node] = home.pods
	}
	if len(h.at) != len(counts) || h.front > len(h.list) {
		return nil
	}
	return counts
}

func TestHomesAdvance(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*homes)
		want   []string
	}{
		"at first in the order in which they were opened": {want: []string{"a", "b", "c", "d"}},
		"behind those that had no room": {
			change: func(h *homes) { h.advance("c") },
			want:   []string{"c", "d", "a", "b"},
		},
		"a node that a pod has left comes first": {
			change: func(h *homes) { h.advance("c"); h.add("a"); h.remove("a") },
			want:   []string{"a", "d", "c", "b"},
		},
		"a node without pods is none": {
			change: func(h *homes) { h.advance("c"); h.remove("b") },
			want:   []string{"c", "a", "d"},
		},
		"without the last one it begins anew": {
			change: func(h *homes) { h.advance("d"); h.remove("d"); h.add("a"); h.remove("a") },
			want:   []string{"a", "b", "c"},
		},
		"nothing is found where nothing is": {
			change: func(h *homes) {
				for _, node := range []string{"a", "b", "c", "d", "e"} {
					h.remove(node)
				}
				h.advance("a")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHomes()
			for _, node := range []string{"a", "b", "c", "d"} {
				h.add(node)
			}
			if tc.change != nil {
				tc.change(h)
			}
			// In portions, as focus asks for them.
			var got []string
			for {
				var names [3]string
				n := h.copyFrom(len(got), names[:])
				if n == 0 {
					break
				}
				got = append(got, names[:n]...)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if counts(h) == nil {
				t.Error("the index is not in step with the list")
			}
		})
	}
}
