package inventory_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tenantisolation.dev/scheduler/pkg/cli/inventory"
)

// tree is a folder: texts by path.
type tree map[string]string

func (files tree) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (files tree) tar(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const (
	rawPod  = `{"metadata":{"name":"web","namespace":"shop","uid":"1","resourceVersion":"7"},"spec":{"nodeName":"n1","containers":[{"name":"c"}]},"status":{"phase":"Running"}}`
	yamlPod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, uid: \"1\", resourceVersion: \"9\", labels: {new: \"yes\"}}\nspec: {nodeName: n1, containers: [{name: c}]}\nstatus: {phase: Running}\n"
)

// bundle is laid out as by Troubleshoot's support-bundle.
func bundle() tree {
	return tree{
		"version.yaml":                                        "apiVersion: troubleshoot.sh/v1beta2\nkind: SupportBundle\nspec:\n  versionNumber: 0.1.0\n",
		"bundle/cluster-resources/nodes.json":                 `{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"n1"}}]}`,
		"bundle/cluster-resources/namespaces.json":            `{"kind":"NamespaceList","apiVersion":"v1","items":[{"metadata":{"name":"shop"}}]}`,
		"bundle/cluster-resources/pods/shop.json":             `{"kind":"PodList","apiVersion":"v1","items":[` + rawPod + `]}`,
		"bundle/cluster-resources/pods/logs/shop/web/c.log":   "started\n",
		"bundle/cluster-resources/deployments/shop.json":      `{"kind":"DeploymentList","apiVersion":"apps/v1","items":[{"metadata":{"name":"api","namespace":"shop"},"spec":{"replicas":2,"selector":{},"template":{"spec":{"containers":[{"name":"c","image":"i"}]}}}}]}`,
		"bundle/cluster-resources/services/shop.json":         `{"kind":"ServiceList","apiVersion":"v1","items":[{"metadata":{"name":"web","namespace":"shop"}}]}`,
		"bundle/cluster-resources/pods-errors.json":           `null`,
		"bundle/cluster-resources/auth-cani-list-errors.json": `["forbidden"]`,
		"bundle/cluster-resources/resources.json":             `[{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod"}]}]`,
		"bundle/cluster-info/cluster_version.json":            `{"info":{"gitVersion":"v1.37.2"},"string":"v1.37.2"}`,
	}
}

// mustGather is laid out as by OpenShift's must-gather, where a pod is there twice.
func mustGather() tree {
	return tree{
		"must-gather/version": "4.20",
		"must-gather/quay-io/cluster-scoped-resources/core/nodes/n1.yaml": "---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n",
		"must-gather/quay-io/namespaces/shop/shop.yaml":                   "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
		"must-gather/quay-io/namespaces/shop/core/pods.yaml":              "---\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: web, namespace: shop, uid: \"1\", resourceVersion: \"7\"}\n  spec: {nodeName: n1, containers: [{name: c}]}\n  status: {phase: Running}\nkind: PodList\nmetadata: {}\n",
		"must-gather/quay-io/namespaces/shop/pods/web/web.yaml":           "---\n" + yamlPod,
		"must-gather/quay-io/namespaces/shop/pods/web/c/c/logs/now.log":   "started\n",
		"must-gather/quay-io/namespaces/shop/core/configmaps.yaml":        "---\napiVersion: v1\nitems: []\nkind: ConfigMapList\n",
	}
}

// kustomization is a folder whose patches are parts of objects: of the whole one, and of one that is not there.
func kustomization(patch string) tree {
	const meta = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: shop}\n"
	return tree{
		"manager.yaml":       meta + "spec: {replicas: 2, selector: {matchLabels: {a: b}}, template: {spec: {containers: [{name: c, image: i}]}}}\n",
		"manager_patch.yaml": meta + patch,
		"other_patch.yaml":   "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly, namespace: shop}\nspec: {schedule: \"@daily\"}\n",
		"all.yaml":           "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n" + yamlPod,
	}
}

// unselecting is a base to which a kustomization adds the selector, and a patch that adds a container.
func unselecting(base, patch string) tree {
	files := kustomization("")
	delete(files, "manager_patch.yaml")
	whole := files["manager.yaml"]
	delete(files, "manager.yaml")
	files[base] = strings.Replace(whole, "selector: {matchLabels: {a: b}}, ", "", 1)
	files[patch] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: shop}\nspec: {template: {spec: {containers: [{name: p, image: p}]}}}\n"
	return files
}

// Input as it comes is read, and what is left out is said.
func TestReadInputAsItComes(t *testing.T) {
	node, namespace := "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
	web := []string{`pod shop/web on "n1" map[] false`, "namespace shop map[]", "node n1"}
	newest := []string{`pod shop/web on "n1" map[new:yes] false`, "namespace shop map[]", "node n1"}
	helm := "NAME: shop\nSTATUS: pending-install\nHOOKS:\nMANIFEST:\n---\n# Source: shop/templates/empty.yaml\n---\n\n---\n# Source: shop/templates/pod.yaml\n" + yamlPod + "---\n" + node + "---\n" + namespace
	typed := `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"}},{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`
	for name, tc := range map[string]struct {
		files  tree
		want   []string
		warns  string
		unread string
	}{
		"a support bundle": {files: bundle(), want: append(append([]string{}, web...), "Deployment shop/api 2"), warns: "left out: "},
		"a must-gather":    {files: mustGather(), want: newest},
		"an archive":       {files: tree{"bundle.tar.gz": zipped(t, mustGather().tar(t))}, want: newest},
		"gzip":             {files: tree{"all.yaml.gz": zipped(t, yamlPod+"---\n"+node+"---\n"+namespace)}, want: newest},
		"an array in JSON": {files: tree{"all.json": "[" + typed + "," + rawPod + "]"}, want: web, warns: "have no kind"},
		"an array in YAML": {files: tree{"all.yaml": "- {apiVersion: v1, kind: Node, metadata: {name: n1}}\n- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n- " + rawPod + "\n"}, want: web},
		"lists in a list": {
			files: tree{"all.json": `{"kind":"List","apiVersion":"v1","items":[{"kind":"List","apiVersion":"v1","items":[` + typed + `]},{"kind":"PodList","apiVersion":"v1","items":[` + rawPod + `]}]}`}, want: web,
		},
		"an object a file":                    {files: tree{"n1.yaml": node, "ns.yaml": namespace, "web.json": rawPod}, want: web},
		"an object twice":                     {files: tree{"a.yaml": yamlPod, "b.yaml": node + "---\n" + namespace + "---\n" + node, "c.json": rawPod}, want: newest},
		"what Helm prints":                    {files: tree{"all.yaml": helm}, want: newest, warns: "apiVersion or kind is missing"},
		"a patch without containers":          {files: kustomization("spec: {replicas: 9}\n"), want: append(append([]string{}, newest...), "Deployment shop/api 2"), warns: "manager_patch.yaml, document 1: Deployment shop/api"},
		"a patch of a container":              {files: kustomization("spec: {selector: {}, template: {spec: {containers: [{name: c, args: [--x]}]}}}\n"), want: append(append([]string{}, newest...), "Deployment shop/api 2"), warns: "manager_patch.yaml, document 1: Deployment shop/api"},
		"a patch with a container of its own": {files: kustomization("spec: {template: {spec: {containers: [{name: proxy, image: p}]}}}\n"), want: append(append([]string{}, newest...), "Deployment shop/api 2"), warns: "other_patch.yaml, document 1: CronJob shop/nightly"},
		"a base without a selector": {
			files: unselecting("manager.yaml", "manager_patch.yaml"), want: append(append([]string{}, newest...), "Deployment shop/api 2"), warns: "manager_patch.yaml, document 1: Deployment shop/api",
		},
		"a base that comes after its patch": {
			files: unselecting("z.yaml", "a.yaml"), want: append(append([]string{}, newest...), "Deployment shop/api 2"), warns: "a.yaml, document 1: Deployment shop/api",
		},
		"a patch that deletes": {files: kustomization("$patch: delete\n"), want: append(append([]string{}, newest...), "Deployment shop/api 2"), warns: "manager_patch.yaml, document 1: Deployment"},
		"one odd file":         {files: tree{"a.yaml": yamlPod + "---\n" + node + "---\n" + namespace, "b.yaml": "a: {{ .Values.x }}: b\n"}, want: newest, warns: "b.yaml, document 1: not valid YAML", unread: "b.yaml"},
		"one broken archive":   {files: tree{"a.yaml": yamlPod + "---\n" + node + "---\n" + namespace, "b.json.gz": "\x1f\x8bbroken"}, want: newest, warns: "b.json.gz", unread: "b.json.gz"},
		"a pod without a kind": {files: tree{"a.yaml": yamlPod + "---\n" + node + "---\n" + namespace, "b.yaml": "kind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: c}]}\n"}, want: newest, unread: "apiVersion or kind is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			inv, err := inventory.Read(t.Context(), inventory.Files{Names: []string{tc.files.write(t)}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(inv)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got := strings.Join(inv.Warnings, "\n"); !strings.Contains(got, tc.warns) {
				t.Errorf("warnings %q, want %q", got, tc.warns)
			}
			if got := strings.Join(inv.Unread, "\n"); !strings.Contains(got, tc.unread) || (tc.unread == "" && got != "") {
				t.Errorf("not read %q, want %q", got, tc.unread)
			}
		})
	}
}

// A patch alone has nothing to judge, whether it is named or found.
func TestReadOnlyAPart(t *testing.T) {
	patch := tree{"patch.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {replicas: 2}\n"}.write(t)
	for _, name := range []string{patch, filepath.Join(patch, "patch.yaml")} {
		if _, err := inventory.Read(t.Context(), inventory.Files{Names: []string{name}}); err == nil || !strings.Contains(err.Error(), "no objects found but parts") || !strings.Contains(err.Error(), "patch.yaml, document 1: Deployment default/api") {
			t.Errorf("%s: %v, want what it is", name, err)
		}
	}
}
