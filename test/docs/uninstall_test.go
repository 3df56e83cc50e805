package docs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/itchyny/gojq"
)

// TestDaemonSetsAfterUninstalling runs the program for jq with which the operations page takes out of DaemonSets
// what admission has written.
func TestDaemonSetsAfterUninstalling(t *testing.T) {
	page := readPage(t, "docs/operations.md").text
	_, rest, found := strings.Cut(page, "kubectl get daemonsets -A -o json | jq '")
	program, _, ended := strings.Cut(rest, "' | kubectl replace -f -")
	if !found || !ended {
		t.Fatal("the command is not on the page")
	}
	query, err := gojq.Parse(program)
	if err != nil {
		t.Fatal(err)
	}
	const (
		p     = "tenantisolation.node-restriction.kubernetes.io/"
		noOne = `{"key":"` + p + `tenant","operator":"DoesNotExist"},{"key":"` + p + `privilege","operator":"DoesNotExist"}`
		own   = `{"key":"` + p + `tenant","operator":"In","values":["acme"]},{"key":"` + p + `privilege","operator":"In","values":["baseline"]}`
		zone  = `{"key":"zone","operator":"In","values":["a"]}`
		disk  = `{"key":"disk","operator":"Exists"}`
	)
	terms := func(all ...string) string {
		return `"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[` + strings.Join(all, ",") + `]}}}`
	}
	term := func(expressions ...string) string {
		return `{"matchExpressions":[` + strings.Join(expressions, ",") + `]}`
	}
	for name, tc := range map[string]struct{ spec, want string }{
		"nothing of the project":       {`"hostNetwork":true`, `"hostNetwork":true`},
		"tolerations":                  {`"tolerations":[{"key":"tenantisolation.dev/tenant","value":"acme"},{"key":"gpu"},{"operator":"Exists"}]`, `"tolerations":[{"key":"gpu"},{"operator":"Exists"}]`},
		"terms that admission made":    {terms(term(noOne), term(own)), `"affinity":{"nodeAffinity":{}}`},
		"terms of the author":          {terms(term(zone, noOne), term(disk, noOne), term(zone, own), term(disk, own)), terms(term(zone), term(disk))},
		"an author's term for nothing": {terms(`{}`), terms(`{}`)},
		"a preference":                 {`"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[]}}`, `"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			list := func(spec string) (parsed any) {
				text := `{"items":[{"spec":{"template":{"spec":{` + spec + `}}}}]}`
				if err := json.Unmarshal([]byte(text), &parsed); err != nil {
					t.Fatal(err)
				}
				return parsed
			}
			got, _ := query.Run(list(tc.spec)).Next()
			if err, failed := got.(error); failed {
				t.Fatal(err)
			}
			if diff := cmp.Diff(list(tc.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
