package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

const (
	schedulerName = "tenant-isolation-scheduler"
	tenantLabel   = "tenantisolation.dev/tenant"
	patience      = 3 * time.Minute
	// perNode is how many of the test's pods fit onto a node.
	perNode = 10
)

// arena is a cluster with two schedulers for the same nodes, and a witness of their binds.
type arena struct {
	*testing.T

	plane      *controlplane.ControlPlane
	api        *kubernetes.Clientset
	dedicating bool
	nodes      []string
	// managed are two namespaces of each tenant, and of another data class each.
	managed, unmanaged []string
	witness            *witness
	fleet              *fleet
}

type burstSize struct {
	nodes, tenants, managed, unmanaged int
}

// newArena starts a control plane with the shipped manifests, and no scheduler yet.
func newArena(t *testing.T, s burstSize, dedicating bool) *arena {
	t.Helper()
	a := &arena{T: t, dedicating: dedicating}
	a.plane = controlplanetest.Start(t, controlplane.Options{APIServerFlags: map[string]string{
		// The witness reads etcd's history, so it is not compacted.
		"etcd-compaction-interval": "0",
	}})
	var err error
	a.api, err = a.plane.Client()
	a.must(err)
	var namespaces []corev1.Namespace
	for i := range s.tenants {
		for _, class := range []string{"internal", "restricted"} {
			name := fmt.Sprintf("tenant-%02d-%s", i, class)
			namespaces = append(namespaces, a.namespace(name, map[string]string{
				tenantLabel: fmt.Sprintf("tenant-%02d", i), "tenantisolation.dev/data-class": class,
			}))
			a.managed = append(a.managed, name)
		}
	}
	for i := range 3 {
		name := fmt.Sprintf("unmanaged-%d", i)
		namespaces = append(namespaces, a.namespace(name, nil))
		a.unmanaged = append(a.unmanaged, name)
	}
	for i := range s.nodes {
		a.nodes = append(a.nodes, a.node(fmt.Sprintf("node-%03d", i)))
	}
	a.install()
	a.witness = startWitness(t, a.plane.EtcdURL(), namespaces)
	return a
}

func (a *arena) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// install applies what is shipped. Nothing of it is in force until there is a leader.
func (a *arena) install() {
	a.Helper()
	root, err := controlplane.ModuleRoot()
	a.must(err)
	mode := "Disabled"
	if a.dedicating {
		mode = "Enabled"
	}
	dedication := fmt.Sprintf(`{"spec":{"dedication":{"mode":%q,"settleTime":%q,"releaseAfter":%q}}}`, mode, settleTime, releaseAfter)
	for _, command := range [][]string{
		{"apply", "-k", filepath.Join(root, "manifests", "crds")},
		{"wait", "--for=condition=Established", "customresourcedefinition/isolationpolicies.tenantisolation.dev"},
		{"apply", "-k", filepath.Join(root, "manifests", "overlays", "default")},
		{"patch", "isolationpolicy", "default", "--type=merge", "--patch", dedication},
	} {
		_, err := a.plane.Kubectl(a.Context(), command...)
		a.must(err)
	}
}

func (a *arena) namespace(name string, labels map[string]string) corev1.Namespace {
	a.Helper()
	ns, err := a.api.CoreV1().Namespaces().Create(a.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
	}, metav1.CreateOptions{})
	a.must(err)
	return *ns
}

func (a *arena) node(name string) string {
	a.Helper()
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewQuantity(perNode, resource.DecimalSI), corev1.ResourceMemory: resource.MustParse("64Gi"),
		corev1.ResourcePods: resource.MustParse("110"),
	}
	_, err := a.api.CoreV1().Nodes().Create(a.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status:     corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}, metav1.CreateOptions{})
	a.must(err)
	return name
}

// activate returns when the leader has brought the policies into force.
func (a *arena) activate() {
	a.Helper()
	_, err := a.plane.Kubectl(a.Context(), "wait", "--for=condition=Enforced", "--timeout="+patience.String(), "isolationpolicy/default")
	a.must(err)
}

func (a *arena) eventually(what string, condition wait.ConditionWithContextFunc) {
	a.Helper()
	if err := wait.PollUntilContextTimeout(a.Context(), 50*time.Millisecond, patience, true, condition); err != nil {
		a.Fatalf("%s: %v", what, err)
	}
}

// newPod makes a pod of a tenth of a node without creating it. Who schedules it is left
// to the policies.
func (a *arena) newPod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](1),
			Containers: []corev1.Container{{
				Name: "c", Image: "none",
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}},
			}},
		},
	}
}

// restrict makes a pod meet the strictest standard, where it otherwise is a baseline pod.
func restrict(pod *corev1.Pod) {
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot:   ptr.To(true),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// load is the pods that are to be created, in the order of a seed.
func (a *arena) load(random *rand.Rand, s burstSize) []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range s.managed {
		pod := a.newPod(a.managed[random.IntN(len(a.managed))], fmt.Sprintf("m-%04d", i))
		// One dedication, two trust domains.
		if strings.HasSuffix(pod.Namespace, "0-restricted") && random.IntN(2) == 0 {
			restrict(pod)
		}
		pods = append(pods, pod)
	}
	for i := range s.unmanaged {
		pods = append(pods, a.newPod(a.unmanaged[random.IntN(len(a.unmanaged))], fmt.Sprintf("u-%04d", i)))
	}
	random.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
	return pods
}

// create creates pods, several at a time and as long as no more than so many wait for a
// node, and repeats what the API server could not do.
func (a *arena) create(pods []*corev1.Pod, backlog int) {
	a.Helper()
	var creators sync.WaitGroup
	todo := make(chan *corev1.Pod)
	for range 8 {
		creators.Go(func() {
			for pod := range todo {
				err := wait.PollUntilContextTimeout(a.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
					_, err := a.api.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
					if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
						return false, err
					}
					return err == nil || apierrors.IsAlreadyExists(err), nil
				})
				if err != nil {
					a.Errorf("creating %s/%s: %v", pod.Namespace, pod.Name, err)
				}
			}
		})
	}
	for i, pod := range pods {
		for a.Context().Err() == nil && i-a.witness.report().binds >= backlog {
			time.Sleep(10 * time.Millisecond)
		}
		todo <- pod
	}
	close(todo)
	creators.Wait()
}

// removeAll deletes all pods of the arena's namespaces at once, as their kubelets would.
func (a *arena) removeAll() {
	a.Helper()
	for _, ns := range append(append([]string{}, a.managed...), a.unmanaged...) {
		a.must(a.api.CoreV1().Pods(ns).DeleteCollection(a.Context(), *metav1.NewDeleteOptions(0), metav1.ListOptions{}))
	}
}

// isManaged goes by the name that a namespace was given here.
func isManaged(namespace string) bool { return strings.HasPrefix(namespace, "tenant-") }
