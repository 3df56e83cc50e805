package residents

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
	tenantLabel     = "tenantisolation.dev/tenant"

	// A class of volumes in the network, and one of directories of the node.
	networkClass, directoryClass = "network", "directory"
	vmClass                      = "kata"
	nodes                        = 4
)

// tenants have a namespace each, of the same name.
var tenants = []string{"acme", "globex"}

// world is a control plane with the shipped policies and a running scheduler.
type world struct {
	t     *testing.T
	plane *controlplane.ControlPlane
	admin *kubernetes.Clientset
	// editors have the role edit in one tenant's namespace.
	editors map[string]*kubernetes.Clientset
	// Controllers of the cluster, which the test plays.
	binder, protector, collector *kubernetes.Clientset
}

func startWorld(t *testing.T) *world {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	must(t, err)
	w := &world{t: t, plane: controlplanetest.Start(t, controlplane.Options{}), editors: map[string]*kubernetes.Clientset{}}
	w.admin = w.client(w.plane.Admin(), nil)
	w.install(root)
	w.startScheduler(root)
	w.addClasses()
	for i := range nodes {
		_, err := w.admin.CoreV1().Nodes().Create(t.Context(), newNode(fmt.Sprintf("node-%d", i)), metav1.CreateOptions{})
		must(t, err)
	}
	for _, tenant := range tenants {
		w.addTenant(tenant)
	}
	controller := func(name string) *kubernetes.Clientset {
		return w.client(w.plane.AddUser("system:serviceaccount:kube-system:"+name, "system:serviceaccounts", "system:serviceaccounts:kube-system"))
	}
	w.binder, w.protector = controller("persistent-volume-binder"), controller("pvc-protection-controller")
	w.collector = controller("pod-garbage-collector")
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) client(config *rest.Config, err error) *kubernetes.Clientset {
	w.t.Helper()
	must(w.t, err)
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	must(w.t, err)
	return client
}

func newNode(name string) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("256Gi"), corev1.ResourcePods: resource.MustParse("500"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			RuntimeHandlers: []corev1.NodeRuntimeHandler{{Name: "runc"}, {Name: "kata"}},
		},
	}
}

func (w *world) addClasses() {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.admin.NodeV1().RuntimeClasses().Create(ctx,
		&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: vmClass}, Handler: "kata"}, metav1.CreateOptions{})
	must(w.t, err)
	for class, provisioner := range map[string]string{networkClass: "csi.example.com", directoryClass: "rancher.io/local-path"} {
		_, err := w.admin.StorageV1().StorageClasses().Create(ctx,
			&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: provisioner}, metav1.CreateOptions{})
		must(w.t, err)
	}
}

// addTenant makes a tenant's namespace, and a user with what the role edit is put together of.
func (w *world) addTenant(name string) {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.admin.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{tenantLabel: name}}}, metav1.CreateOptions{})
	must(w.t, err)
	for _, role := range []string{"system:aggregate-to-edit", "system:aggregate-to-view"} {
		_, err := w.admin.RbacV1().RoleBindings(name).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: strings.ReplaceAll(role, ":", "-")},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "editor-of-" + name}},
		}, metav1.CreateOptions{})
		must(w.t, err)
	}
	w.editors[name] = w.client(w.plane.AddUser("editor-of-" + name))
}

// install installs what is shipped, but for times: nodes are opened and released quickly.
func (w *world) install(root string) {
	w.t.Helper()
	for _, command := range [][]string{
		{"apply", "-k", filepath.Join(root, "manifests", "crds")},
		{"wait", "--for=condition=Established", "customresourcedefinition/isolationpolicies.tenantisolation.dev"},
		{"apply", "-k", filepath.Join(root, "manifests", "overlays", "default")},
		{"patch", "isolationpolicy", "default", "--type=merge", "--patch", `{"spec":{"dedication":{"settleTime":"200ms","releaseAfter":"1s"}}}`},
	} {
		_, err := w.plane.Kubectl(w.t.Context(), command...)
		must(w.t, err)
	}
}

// startScheduler runs the shipped scheduler with the shipped configuration, but that it tries a pod
// again soon. It returns when the policies are enforced.
func (w *world) startScheduler(root string) {
	w.t.Helper()
	shipped, err := os.ReadFile(filepath.Join(root, "manifests", "components", "policy", "scheduler-config.yaml"))
	must(w.t, err)
	config := strings.Replace(string(shipped), "profiles:", "podInitialBackoffSeconds: 1\npodMaxBackoffSeconds: 1\nprofiles:", 1)
	path := filepath.Join(w.t.TempDir(), "config.yaml")
	must(w.t, os.WriteFile(path, []byte(config), 0o600))
	user, err := w.plane.ServiceAccount(w.t.Context(), systemNamespace, schedulerName)
	must(w.t, err)
	scheduler, err := w.plane.StartScheduler(w.t.Context(), controlplane.SchedulerOptions{Name: "ours", Config: path, User: user})
	must(w.t, err)
	w.t.Cleanup(scheduler.Stop)
	_, err = w.plane.Kubectl(w.t.Context(), "wait", "--for=condition=Enforced", "--timeout="+patience.String(), "isolationpolicy/default")
	must(w.t, err)
}
