package demo

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func namespaced(o *unstructured.Unstructured) bool {
	return !slices.Contains([]string{"Namespace", "ClusterRole"}, o.GetKind())
}

func schedulerOf(o *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(o.Object, append(slices.Clone(podSpecs[o.GetKind()]), "schedulerName")...)
	return name
}

func TestTenancyOfManifestsWithoutANamespace(t *testing.T) {
	got, notes := giveTenants(objects{object("Deployment", "", "web"), object("Pod", "shop", "one")}, nil, namespaced)
	want := []string{"Deployment default/web", "Pod shop/one", "Namespace /default", "Namespace /shop"}
	if diff := cmp.Diff(want, describeAll(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, o := range got {
		if o.GetKind() == "Namespace" && o.GetLabels()[tenantLabel] != o.GetName() {
			t.Errorf("%s has the labels %v", describe(o), o.GetLabels())
		}
		if podSpecs[o.GetKind()] != nil && schedulerOf(o) != schedulerName {
			t.Errorf("%s names the scheduler %q", describe(o), schedulerOf(o))
		}
	}
	if text := strings.Join(notes, "\n"); !strings.Contains(text, "namespace shop") || !strings.Contains(text, "set in 2 workloads") {
		t.Errorf("the notes do not say what was filled in:\n%s", text)
	}
}

func TestTenancyKeepsWhatManifestsSay(t *testing.T) {
	mine, theirs := object("Namespace", "", "mine"), object("Namespace", "", "theirs")
	mine.SetLabels(map[string]string{tenantLabel: "me"})
	named, bound := object("Pod", "mine", "named"), object("Pod", "mine", "bound")
	_ = unstructured.SetNestedField(named.Object, "another-scheduler", "spec", "schedulerName")
	_ = unstructured.SetNestedField(bound.Object, "plain-01", "spec", "nodeName")
	given := objects{mine, theirs, named, bound, object("Pod", "theirs", "p"), object("DaemonSet", "kube-system", "proxy")}

	got, notes := giveTenants(given, nil, namespaced)
	if len(got) != len(given) {
		t.Errorf("objects were added: %v", describeAll(got))
	}
	schedulers := map[string]string{}
	for _, o := range got {
		if podSpecs[o.GetKind()] != nil {
			schedulers[o.GetName()] = schedulerOf(o)
		}
	}
	want := map[string]string{"named": "another-scheduler", "bound": "", "p": "", "proxy": ""}
	if diff := cmp.Diff(want, schedulers); diff != "" {
		t.Errorf("schedulers (-want +got)\n%s", diff)
	}
	wantNotes := []string{"namespace theirs has no label tenantisolation.dev/tenant: this scheduler places none of its pods"}
	if diff := cmp.Diff(wantNotes, notes); diff != "" {
		t.Errorf("notes (-want +got)\n%s", diff)
	}
}

func TestTenancyRunsManifestsForEachTenant(t *testing.T) {
	got, _ := giveTenants(objects{object("ClusterRole", "", "reader"), object("Deployment", "shop", "web")}, []string{"acme", "globex"}, namespaced)
	want := []string{"ClusterRole /reader", "Deployment acme/web", "Deployment globex/web", "Namespace /acme", "Namespace /globex"}
	if diff := cmp.Diff(want, describeAll(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
