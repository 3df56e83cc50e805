package preflight

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

func TestNodePools(t *testing.T) {
	required := func(keys ...string) string {
		var all []string
		for _, key := range keys {
			all = append(all, fmt.Sprintf(`{"key":%q,"operator":"Exists"}`, key))
		}
		return strings.Join(all, ",")
	}
	pool := func(spec string) string {
		return `{"items":[{"metadata":{"name":"general"},"spec":{"template":{"spec":{` + spec + `}}}}]}`
	}
	keys := isolation.NodeLabelKeys()
	for name, tc := range map[string]struct {
		answer string
		want   []Status
		fix    string
	}{
		"no Karpenter":                   {},
		"no NodePool":                    {answer: `{"items":[]}`},
		"a NodePool with all four":       {answer: pool(`"requirements":[` + required(keys...) + `]`), want: []Status{Pass}},
		"a NodePool with none":           {answer: pool(`"requirements":[]`), want: []Status{Warn}, fix: keys[0]},
		"a NodePool that lacks one":      {answer: pool(`"requirements":[` + required(keys[:3]...) + `]`), want: []Status{Warn}, fix: keys[3]},
		"one that is not for all pods":   {answer: pool(`"taints":[{"key":"ci","effect":"NoSchedule"}]`), want: []Status{Pass}},
		"a key that must not be there":   {answer: pool(`"requirements":[` + required(keys[:3]...) + `,{"key":"` + keys[3] + `","operator":"DoesNotExist"}]`), want: []Status{Warn}, fix: keys[3]},
		"a key with values of their own": {answer: pool(`"requirements":[` + required(keys[1:]...) + `,{"key":"` + keys[0] + `","operator":"In","values":["acme"]}]`), want: []Status{Pass}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/apis/karpenter.sh/v1/nodepools" || tc.answer == "" {
					http.NotFound(w, r)
					return
				}
				fmt.Fprint(w, tc.answer)
			}))
			defer server.Close()
			client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			results, err := (&Checker{Client: client}).nodePools(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []Status
			for _, r := range results {
				got = append(got, r.Status)
				if !strings.Contains(strings.Join(r.Run, "\n"), tc.fix) {
					t.Errorf("the fix does not add %s: %s", tc.fix, r.Run)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("got %v, want %v", results, tc.want)
			}
		})
	}
}
