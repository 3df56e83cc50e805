package cli_test

import (
	"strings"
	"testing"
)

// Broken input gets one clear error or a warning, never a panic, and never a silent "clean".
func TestBrokenInput(t *testing.T) {
	asJSON := `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}}]}`
	tests := map[string]struct {
		input string
		want  int
		says  string
	}{
		"an empty file":                            {input: "", want: 2, says: "no objects found"},
		"a file of nothing but comments":           {input: "# nothing\n---\n", want: 2, says: "no objects found"},
		"a YAML list that breaks off":              {input: separate()[:strings.Index(separate(), "kind: List")], want: 2, says: "truncated"},
		"a YAML list that breaks off in an item":   {input: separate()[:len(separate())/2], want: 2, says: "truncated"},
		"a JSON list that breaks off":              {input: asJSON[:len(asJSON)-3], want: 2, says: "truncated"},
		"a JSON list that breaks off in a string":  {input: asJSON[:len(asJSON)-10], want: 2, says: "truncated"},
		"a page of a list":                         {input: `{"kind":"PodList","apiVersion":"v1","metadata":{"continue":"abc"},"items":[]}`, want: 2, says: "one page of several"},
		"text that is not YAML":                    {input: "a: b: c\n", want: 2, says: "standard input, document 1: not valid YAML"},
		"YAML that is not an object":               {input: "- a\n- b\n", want: 2, says: "not an object of Kubernetes"},
		"an object without a kind":                 {input: "metadata:\n  name: x\n", want: 2, says: "apiVersion or kind is missing"},
		"a field that is there twice":              {input: separate() + "---\n" + pod("shop", "x", "n1") + "\n  phase: Failed\n", want: 2, says: "already set in map"},
		"a pod that is there twice":                {input: separate() + "---\n" + pod("shop", "web-0", "n2") + "\n", want: 1, says: "Pod shop/web-0: in the input more than once and different"},
		"two pods with one UID":                    {input: list(node("n1"), namespace("shop"), withUID(pod("shop", "a", "n1")), withUID(pod("shop", "b", "n1"))), want: 2, says: "same metadata.uid"},
		"an unknown kind":                          {input: separate() + "---\napiVersion: example.com/v1\nkind: Fleet\nmetadata:\n  name: x\n", want: 0, says: "example.com/v1 Fleet (1)"},
		"a known kind in a version of long ago":    {input: separate() + "---\napiVersion: apps/v1beta1\nkind: Deployment\nmetadata:\n  name: x\n", want: 2, says: "there is no kind Deployment of apps/v1beta1"},
		"a pod on a node that does not exist":      {input: list(node("n1"), namespace("shop", tenant("acme")), pod("shop", "a", "gone")), want: 1, says: "MissingNode"},
		"no nodes at all":                          {input: list(namespace("shop", tenant("acme")), pod("shop", "a", "n1")), want: 0, says: "no nodes in the input"},
		"no namespaces at all":                     {input: list(node("n1"), pod("shop", "a", "n1")), want: 2, says: "no namespaces in the input"},
		"a namespace is missing":                   {input: list(node("n1"), namespace("api", tenant("globex")), pod("shop", "a", "n1"), pod("api", "b", "n1")), want: 1, says: "UnknownNamespace"},
		"nothing that runs":                        {input: list(namespace("shop", tenant("acme"))), want: 2, says: "nothing to audit"},
		"a label value of one megabyte":            {input: list(node("n1"), namespace("shop", tenant(strings.Repeat("x", 1<<20))), pod("shop", "a", "n1")), want: 2, says: "1048576 bytes long"},
		"a label value that no API server takes":   {input: list(node("n1"), namespace("shop", tenant("'a b'")), pod("shop", "a", "n1")), want: 2, says: "not a valid label value"},
		"a name that would confuse a terminal":     {input: list(node(`"\e[31mred"`)), want: 2, says: "metadata.name"},
		"a name that would end an element of HTML": {input: list(node(`<script>`)), want: 2, says: "metadata.name"},
		"a string where a list belongs":            {input: list(node("n1"), namespace("shop"), "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  namespace: shop\nspec:\n  containers: none"), want: 2, says: "standard input, document 1, item 3: "},
		"a quantity that is none":                  {input: list(node("n1"), namespace("shop"), strings.Replace(pod("shop", "x", "n1"), "500m", "bogus", 1)), want: 2, says: "item 3: Pod shop/x: spec.containers[0].resources.requests.cpu is bogus, and must be a quantity"},
		"a field of another type":                  {input: list(node("n1"), namespace("shop"), pod("shop", "x", "n1", "hostPID: 3")), want: 2, says: "(Pod shop/x)"},
		"Latin-1 in a JSON string": {
			input: strings.Replace(asJSON, "n1", "n\xe9", 1),
			want:  2, says: "item 1: not valid UTF-8",
		},
		"a field that is there twice in JSON": {
			input: `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"},"metadata":{"name":"n2"}}]}`,
			want:  2, says: `item 1: duplicate field "metadata"`,
		},
		"a kind that is there twice in JSON": {
			input: `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"kind":"Pod"}]}`,
			want:  2, says: `item 1: duplicate field "kind"`,
		},
		"UTF-16":               {input: "\xff\xfea\x00", want: 2, says: "UTF-8"},
		"a list within a list": {input: `{"apiVersion":"v1","kind":"List","items":[` + asJSON + `]}`, want: 2, says: "1 node, 0 pods"},
		"a PVC that was not given": {
			input: list(node("n1"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")), kata,
				pod("shop", "a", "n1", inVM, "volumes:", "- name: data", "  persistentVolumeClaim:", "    claimName: data"), pod("api", "b", "n1", inVM)),
			want: 1, says: "mount PVCs that are missing in the input",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.input, "audit", "-f", "-")
			if got.status != tc.want || !strings.Contains(unfolded(got.out+got.errOut), unfolded(tc.says)) {
				t.Errorf("status %d, want %d and %q:\n%.2000s%.2000s", got.status, tc.want, tc.says, got.out, got.errOut)
			}
			if lines := strings.Count(got.errOut, "error:"); lines > 1 {
				t.Errorf("%d errors, want one:\n%s", lines, got.errOut)
			}
			if len(got.errOut) > 1500 {
				t.Errorf("an error of %d bytes", len(got.errOut))
			}
		})
	}
}

func withUID(pod string) string {
	return strings.Replace(pod, "metadata:\n", "metadata:\n  uid: same\n", 1)
}

func TestErrorsNameTheFile(t *testing.T) {
	path := writeFile(t, "broken.yaml", separate()+"---\napiVersion: v1\nkind: Pod\nmetadata: 5\n")
	got := run(t, "", "audit", "-f", path)
	if got.status != 2 || !strings.Contains(got.errOut, "broken.yaml, document 2: ") {
		t.Errorf("status %d, want 2 and the file's name:\n%s", got.status, got.errOut)
	}
	for _, args := range [][]string{{"audit", "-f", path + ".none"}, {"audit", "-f", path, "-f", path}, {"audit", "-f", "https://example.com/x.yaml"}} {
		if got := run(t, "", args...); got.status != 2 || got.errOut == "" {
			t.Errorf("%v: status %d, want 2 and an error: %s", args, got.status, got.errOut)
		}
	}
}

func TestNoClusterConfigured(t *testing.T) {
	for _, command := range []string{"audit", "plan", "preflight"} {
		if got := run(t, "", command); got.status != 2 || !strings.Contains(got.errOut, "--kubeconfig") {
			t.Errorf("%s: status %d, want 2 and a hint:\n%s", command, got.status, got.errOut)
		}
	}
}
