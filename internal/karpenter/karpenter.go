// Package karpenter runs the real Karpenter, with its kwok provider, beside a control plane: nodes come and
// go by what it decides, and kwok plays their kubelets. hack/karpenter.sh builds it.
package karpenter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

// NodePoolLabel is the label that Karpenter gives to the nodes of a pool.
const NodePoolLabel = "karpenter.sh/nodepool"

const (
	// name is that of its service account and of its rights.
	name = "karpenter"
	// nodeClass is the one that every pool of a Cluster has.
	nodeClass = "default"
	// All machines are of one kind.
	capacityType = "karpenter.sh/capacity-type"
	onDemand     = "on-demand"
	patience     = 3 * time.Minute
)

var (
	nodePools   = schema.GroupVersionResource{Group: "karpenter.sh", Version: "v1", Resource: "nodepools"}
	nodeClasses = schema.GroupVersionResource{Group: "karpenter.kwok.sh", Version: "v1alpha1", Resource: "kwoknodeclasses"}
)

// Options says what Karpenter may buy.
type Options struct {
	// CPUs are the sizes of the machines on offer; each has four times as many GiB of memory, and all
	// cost the same per CPU. DefaultCPUs if empty.
	CPUs []int
	// Boot is the time from the order of a machine to its Node; DefaultBoot if zero.
	Boot time.Duration
}

// DefaultBoot is short, so that nobody has to wait for machines that are not there.
const DefaultBoot = 3 * time.Second

// DefaultCPUs are the sizes of machines that Karpenter chooses from.
func DefaultCPUs() []int { return []int{2, 4, 8, 16} }

// Cluster is a control plane with a running Karpenter.
type Cluster struct {
	*controlplane.Process
	objects dynamic.Interface
}

// Build builds Karpenter where it is stale. It takes minutes the first time.
func Build(ctx context.Context) (string, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", name)
	output, err := exec.CommandContext(ctx, filepath.Join(root, "hack", "karpenter.sh"), dir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("hack/karpenter.sh: %w\n%s", err, output)
	}
	return dir, nil
}

// Start installs what Build made and starts Karpenter with the rights of its chart. It has no pool yet.
func Start(ctx context.Context, plane *controlplane.ControlPlane, o Options) (*Cluster, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "bin", name)
	program := filepath.Join(dir, name)
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("run make karpenter: %w", err)
	}
	for _, args := range [][]string{
		{"apply", "--server-side", "-f", filepath.Join(dir, "crds"), "-f", filepath.Join(dir, "rbac.yaml")},
		{"wait", "--for=condition=Established", "-f", filepath.Join(dir, "crds")},
	} {
		if _, err := plane.Kubectl(ctx, args...); err != nil {
			return nil, err
		}
	}
	kubeconfig, err := account(ctx, plane)
	if err != nil {
		return nil, err
	}
	machines := filepath.Join(plane.Dir(), "machines.json")
	text, err := json.Marshal(machinesOf(o.CPUs))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(machines, text, 0o600); err != nil {
		return nil, err
	}
	c := &Cluster{}
	if c.objects, err = dynamic.NewForConfig(plane.Admin()); err != nil {
		return nil, err
	}
	if o.Boot == 0 {
		o.Boot = DefaultBoot
	}
	class := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": nodeClasses.GroupVersion().String(), "kind": "KWOKNodeClass",
		"metadata": map[string]any{"name": nodeClass},
		"spec":     map[string]any{"nodeRegistrationDelay": o.Boot.String()},
	}}
	if _, err := c.objects.Resource(nodeClasses).Create(ctx, class, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	c.Process, err = plane.Launch(name, program, []string{
		"KUBECONFIG=" + kubeconfig,
		"INSTANCE_TYPES_FILE_PATH=" + machines,
		"DISABLE_LEADER_ELECTION=true",
		// Any free port: nobody asks.
		"METRICS_PORT=0", "HEALTH_PROBE_PORT=0",
	})
	return c, err
}

// account makes Karpenter's service account, where its documentation puts it, and returns a kubeconfig.
func account(ctx context.Context, plane *controlplane.ControlPlane) (string, error) {
	client, err := plane.Client()
	if err != nil {
		return "", err
	}
	who := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().ServiceAccounts(metav1.NamespaceSystem).Create(ctx, who, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceSystem, Name: name}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return "", err
	}
	config, err := plane.ServiceAccount(ctx, metav1.NamespaceSystem, name)
	if err != nil {
		return "", err
	}
	return plane.WriteKubeconfig(name, config)
}

// ExampleNodePools are those that the repository ships: for tenants' pods, and for their virtual machines.
func ExampleNodePools() (tenants, kata *unstructured.Unstructured, err error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "manifests", "examples", "karpenter", "nodepool.yaml"))
	if err != nil {
		return nil, nil, err
	}
	var pools []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)); ; {
		pool := &unstructured.Unstructured{}
		if err := decoder.Decode(&pool.Object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
		if len(pool.Object) > 0 {
			pools = append(pools, pool)
		}
	}
	if len(pools) != 2 {
		return nil, nil, fmt.Errorf("the example has %d NodePools, not one for tenants and one for virtual machines", len(pools))
	}
	return pools[0], pools[1], nil
}

// AddNodePool creates a pool, with the machines of this cluster in place of those that it names, and returns
// when Karpenter takes it.
func (c *Cluster) AddNodePool(ctx context.Context, pool *unstructured.Unstructured) error {
	reference := map[string]any{"group": nodeClasses.Group, "kind": "KWOKNodeClass", "name": nodeClass}
	if err := unstructured.SetNestedMap(pool.Object, reference, "spec", "template", "spec", "nodeClassRef"); err != nil {
		return err
	}
	// A replacement would be a spot machine otherwise, of which there are none.
	requirements, _, err := unstructured.NestedSlice(pool.Object, "spec", "template", "spec", "requirements")
	if err != nil {
		return err
	}
	requirements = append(requirements, map[string]any{"key": capacityType, "operator": "In", "values": []any{onDemand}})
	if err := unstructured.SetNestedSlice(pool.Object, requirements, "spec", "template", "spec", "requirements"); err != nil {
		return err
	}
	if _, err := c.objects.Resource(nodePools).Create(ctx, pool, metav1.CreateOptions{}); err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		var got *unstructured.Unstructured
		if got, last = c.objects.Resource(nodePools).Get(ctx, pool.GetName(), metav1.GetOptions{}); last != nil {
			return false, nil //nolint:nilerr // it is asked again, and reported if it stays
		}
		conditions, _, err := unstructured.NestedSlice(got.Object, "status", "conditions")
		for _, each := range conditions {
			if condition, ok := each.(map[string]any); ok && condition["type"] == "Ready" && condition["status"] == "True" {
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("waiting for Karpenter to take the NodePool %s: %w", pool.GetName(), errors.Join(err, last))
	}
	return nil
}

// NodePools gives access to the pools.
func (c *Cluster) NodePools() dynamic.ResourceInterface { return c.objects.Resource(nodePools) }
