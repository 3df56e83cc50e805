package admission

import (
	"context"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/pkg/admission"
)

// installation is a control plane of its own, as one whose parameters are frozen stays so until it is
// restarted.
type installation struct {
	t         *testing.T
	plane     *controlplane.ControlPlane
	root      string
	scheduler *kubernetes.Clientset
	admin     *kubernetes.Clientset
	policy    *v1alpha1.InForce
	// alone says that nobody else changes new pods.
	alone bool
}

// newInstallation has the policies, with or without the keepers.
func newInstallation(t *testing.T, keepers bool) *installation {
	t.Helper()
	i := newPlane(t)
	crds := filepath.Join(i.root, "manifests", "crds")
	if keepers {
		i.kubectl("apply", "-k", crds)
	} else {
		i.kubectl("apply", "-f", filepath.Join(crds, "tenantisolation.dev_isolationpolicies.yaml"))
	}
	i.kubectl("wait", "--for=condition=Established", crdName)
	i.kubectl("apply", "-k", filepath.Join(i.root, "manifests", "base"))
	i.write()
	i.install()
	return i
}

// newPlane has a namespace of a tenant, one of nobody, and no policies.
func newPlane(t *testing.T) *installation {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := readManifests(root); err != nil {
		t.Fatal(err)
	}
	plane, err := controlplane.Start(t.Context(), controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	i := &installation{t: t, plane: plane, root: root, policy: shippedPolicy()}
	config := plane.Admin()
	config.WarningHandler = rest.NoWarnings{}
	i.admin = kubernetes.NewForConfigOrDie(config)
	// Impersonated, as it needs no rights of its own here.
	config.Impersonate = rest.ImpersonationConfig{UserName: string(ourScheduler), Groups: []string{"system:masters"}}
	i.scheduler = kubernetes.NewForConfigOrDie(config)
	for _, ns := range []*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: "tenants", Labels: acmeLabels()}},
		{ObjectMeta: metav1.ObjectMeta{Name: "others"}},
	} {
		if _, err := i.admin.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		_, _ = i.admin.CoreV1().ServiceAccounts(ns.Name).Create(t.Context(), account, metav1.CreateOptions{})
	}
	return i
}

func (i *installation) kubectl(args ...string) {
	i.t.Helper()
	if _, err := i.plane.Kubectl(i.t.Context(), args...); err != nil {
		i.t.Fatal(err)
	}
}

func (i *installation) install() {
	i.kubectl("apply", "-k", filepath.Join(i.root, "manifests", "overlays", "default"))
}

// write writes the parameter of a new generation, with a data class and a scheduler that no other has, and the
// table with a node that no other has.
func (i *installation) write() {
	i.t.Helper()
	marker := unique("marker")
	i.policy.Generation++
	i.policy.Spec.DataClasses = []string{marker}
	table := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: dedicationTable, Namespace: systemNamespace},
		Data:       map[string]string{"term": term, marker[max(0, len(marker)-2):]: " " + marker + "=id: "},
	}
	maps.Copy(table.Data, admission.PlatformEntries(i.policy))
	parameters := admission.Parameters(i.policy, []string{marker})
	if i.alone {
		parameters.Data[admission.PodMutatorsKey] = admission.PodMutatorsNone
	}
	for _, parameter := range []*corev1.ConfigMap{parameters, table} {
		configMaps := i.scheduler.CoreV1().ConfigMaps(systemNamespace)
		_, err := configMaps.Update(i.t.Context(), parameter, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			_, err = configMaps.Create(i.t.Context(), parameter, metav1.CreateOptions{})
		}
		if err != nil {
			i.t.Fatal(err)
		}
	}
}

// answersByTheNewest waits until the mutating policy, the validating one and the fence go by the newest
// parameters.
func (i *installation) answersByTheNewest(within time.Duration) bool {
	marker := i.policy.Spec.DataClasses[0]
	ctx, cancel := context.WithTimeout(i.t.Context(), within)
	defer cancel()
	try := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	return poll(ctx, func(ctx context.Context) (bool, error) {
		pod, err := i.admin.CoreV1().Pods("tenants").Create(ctx, newPod(scheduledBy(""), labelled(dataClass(marker))), try)
		if err != nil || pod.Spec.SchedulerName != marker {
			return false, nil //nolint:nilerr // refused: by the old parameter
		}
		_, err = i.admin.CoreV1().Pods("others").Create(ctx, newPod(onNode(marker)), try)
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "dedicated"), nil
	}) == nil
}

// remove deletes all policies and bindings but the keepers.
func (i *installation) remove(kinds ...string) {
	for _, kind := range kinds {
		i.kubectl("delete", kind, "-l", "app.kubernetes.io/name=tenant-isolation-admission", "--wait=false")
	}
}

func TestKeepersKeepParametersFollowed(t *testing.T) {
	if testing.Short() {
		t.Skip("removes the policies for seconds")
	}
	i := newInstallation(t, true)
	if !i.answersByTheNewest(patience) {
		t.Fatal("the policies do not come into force")
	}
	const (
		validating, validatingBindings = "validatingadmissionpolicies", "validatingadmissionpolicybindings"
		mutating, mutatingBindings     = "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"
	)
	for order, kinds := range map[string][]string{
		"bindings first": {validatingBindings, mutatingBindings, validating, mutating},
		"policies first": {mutating, validating, mutatingBindings, validatingBindings},
		"bindings alone": {mutatingBindings, validatingBindings},
	} {
		for _, pause := range []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second} {
			t.Run(order+", for "+pause.String(), func(t *testing.T) {
				i.remove(kinds...)
				i.write()
				time.Sleep(pause) // the time without policies is what is tested
				i.install()
				if !i.answersByTheNewest(patience) {
					t.Errorf("the API server answers by old parameters")
				}
			})
		}
	}
}

// Without the keepers it is as the comment in keepers.yaml says. If this fails, they are not needed any more.
func TestParametersFreezeWithoutKeepers(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what never happens")
	}
	i := newInstallation(t, false)
	if !i.answersByTheNewest(patience) {
		t.Fatal("the policies do not come into force")
	}
	for range 5 {
		i.remove("validatingadmissionpolicybindings", "mutatingadmissionpolicybindings", "validatingadmissionpolicies", "mutatingadmissionpolicies")
		i.write()
		i.install()
		if !i.answersByTheNewest(5 * time.Second) {
			return
		}
	}
	t.Error("the API server follows parameters without the keepers")
}
