package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// realManifests returns the folder with manifests of other projects, which are not part of the
// repository.
func realManifests(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TENANTISOLATION_REAL_MANIFESTS")
	if dir == "" {
		dir = repository(t, "..", "shared", "data", "real")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no manifests of others here: TENANTISOLATION_REAL_MANIFESTS names their folder (%v)", err)
	}
	return dir
}

// deployments reads the Deployments of a file.
func deployments(t *testing.T, path string) []appsv1.Deployment {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []appsv1.Deployment
	for document := range strings.SplitSeq(string(text), "\n---") {
		var d appsv1.Deployment
		if err := yaml.Unmarshal([]byte(document), &d); err == nil && d.Kind == "Deployment" {
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s: no Deployment", path)
	}
	return all
}

// Online Boutique, installed once by each of two tenants: 12 Deployments without a seccomp
// profile, so all at the baseline level. The first tenant's pods are on the first node, the
// second's on the second, except its redis-cart, which is on the first. So on the
// first node each of the 12 shares a kernel with it, and that is all.
func TestPlanOfOnlineBoutiqueForTwoTenants(t *testing.T) {
	file := filepath.Join(realManifests(t), "online-boutique.yaml")
	w := newEnvironment(t)
	for _, name := range []string{"real-1", "real-2", "real-3"} {
		w.node(t, name)
	}
	w.namespace(t, "acme-shop", "acme")
	w.namespace(t, "globex-shop", "globex")
	all := deployments(t, file)
	for _, d := range all {
		for _, place := range []struct{ namespace, node string }{{"acme-shop", "real-1"}, {"globex-shop", "real-2"}} {
			pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: *d.Spec.Template.Spec.DeepCopy()}
			pod.Namespace, pod.Name = place.namespace, d.Name
			pod.Spec.NodeName = place.node
			// Nothing creates the manifests' service accounts here.
			pod.Spec.ServiceAccountName = ""
			if place.namespace == "globex-shop" && d.Name == "redis-cart" {
				pod.Spec.NodeName = "real-1"
			}
			w.pod(t, pod)
		}
	}

	t.Run("audit", func(t *testing.T) {
		got := w.run(t, w.plane.AdminKubeconfig(), "audit", "-o", "json")
		var audit struct {
			Summary  struct{ Nodes, Pods, PairsChecked, PairsBreaking int }
			Findings []struct {
				Node, Reason string
				Pods         []string
			}
		}
		if err := json.Unmarshal([]byte(got.out), &audit); err != nil {
			t.Fatalf("%v: %s%s", err, got.out, got.errOut)
		}
		if got.status != 1 || audit.Summary.PairsBreaking != len(all) || audit.Summary.Pods != 2*len(all) || len(audit.Findings) != 1 {
			t.Fatalf("status %d, want 1, %d pairs and one finding:\n%s%s", got.status, len(all), got.out, got.errOut)
		}
		f := audit.Findings[0]
		if f.Node != "real-1" || f.Reason != "ForeignResident" || len(f.Pods) != len(all)+1 {
			t.Errorf("finding %+v, want ForeignResident on real-1 with %d pods", f, len(all)+1)
		}
	})
	t.Run("explain", func(t *testing.T) {
		// The manifest is not applied: its Deployment is judged against what runs.
		got := w.run(t, w.plane.AdminKubeconfig(), "explain", "deployment/frontend", "-f", file, "-n", "acme-shop", "-o", "json")
		var explanation struct {
			TrustDomain      string
			Raised           []struct{ Reason string }
			Admitting, Total int
		}
		if err := json.Unmarshal([]byte(got.out), &explanation); err != nil {
			t.Fatalf("%v: %s%s", err, got.out, got.errOut)
		}
		// Of three nodes only the empty one: redis-cart of the other tenant keeps it off the first.
		// Nothing is installed, so nothing keeps the rule.
		if got.status != 2 || explanation.Admitting != 1 || explanation.Total != 3 {
			t.Errorf("status %d, %d of %d nodes admit, want 2, 1 of 3", got.status, explanation.Admitting, explanation.Total)
		}
		if want := "tenant=acme,data-class=unclassified,privilege=baseline,user-namespace=host,boundary=container"; explanation.TrustDomain != want {
			t.Errorf("trust domain %s, want %s", explanation.TrustDomain, want)
		}
		if len(explanation.Raised) != 1 || explanation.Raised[0].Reason != "seccompProfile" {
			t.Errorf("raised by %+v, want the missing seccomp profile alone", explanation.Raised)
		}
	})
	t.Run("plan", func(t *testing.T) {
		got := w.run(t, w.plane.AdminKubeconfig(), "plan", "-o", "json")
		var plan struct {
			NodesInUse, NodesWithoutRule, NodesWithRule int
			TrustDomains                                []struct{ Pods int }
			Moves                                       []struct{ Workload string }
			Raising                                     []any
		}
		if err := json.Unmarshal([]byte(got.out), &plan); err != nil {
			t.Fatalf("%v: %s%s", err, got.out, got.errOut)
		}
		if plan.NodesInUse != 2 || plan.NodesWithoutRule != 1 || plan.NodesWithRule != 2 || len(plan.TrustDomains) != 2 || len(plan.Raising) != 0 {
			t.Errorf("plan %+v, want 2 nodes in use, 1 without and 2 with the rule, two trust domains, nothing to mend", plan)
		}
		if len(plan.Moves) != 1 || plan.Moves[0].Workload != "globex-shop/pod/redis-cart" {
			t.Errorf("moves %+v, want redis-cart of globex alone", plan.Moves)
		}
	})
	t.Run("the files that kubectl writes say the same as the cluster", func(t *testing.T) {
		live := w.run(t, w.plane.AdminKubeconfig(), "audit", "-o", "json")
		for _, format := range []string{"yaml", "json"} {
			text, err := w.plane.Kubectl(t.Context(), "get", "nodes,ns,pods,runtimeclasses,pvc,pv,sc", "-A", "-o", format)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "cluster."+format)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			got := w.run(t, w.plane.AdminKubeconfig(), "audit", "-f", path, "-o", "json")
			if diff := cmp.Diff(judgedPart(live.out), judgedPart(got.out)); diff != "" {
				t.Errorf("(-live +%s):\n%s", format, diff)
			}
		}
	})
}

// judgedPart leaves out where the input comes from.
func judgedPart(result string) string { return result[max(0, strings.Index(result, `"summary"`)):] }

// The manifests as they are, in one file, each namespace a tenant.
func TestRealManifestsAreRead(t *testing.T) {
	w := newEnvironment(t)
	files, err := filepath.Glob(filepath.Join(realManifests(t), "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			got := w.run(t, filepath.Join(t.TempDir(), "none"), "explain", "-f", file, "--tenant-key=namespace")
			// No node is known.
			if got.status != 2 || !strings.Contains(got.out, "Trust domain: tenant=default") {
				t.Errorf("status %d:\n%s%s", got.status, got.out, got.errOut)
			}
			if plan := w.run(t, filepath.Join(t.TempDir(), "none"), "plan", "-f", file, "--tenant-key=namespace"); plan.status != 0 {
				t.Errorf("plan: status %d:\n%s%s", plan.status, plan.out, plan.errOut)
			}
		})
	}
}
