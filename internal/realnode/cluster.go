//go:build linux

package realnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

// The addresses of the cluster. No one else sees them: the network is one of this program's own.
const (
	nodeNetwork = "10.200.0"
	podNetwork  = "10.244"
	// The address of the Service "kubernetes" is that of kube-apiserver itself, so that pods reach it with no
	// one to rewrite addresses.
	apiServerAddress = "10.0.0.1"
	apiServerPort    = "443"

	bridge = interfacePrefix + "cluster"
)

// NodeOptions says what a node is like.
type NodeOptions struct {
	Name   string
	Labels map[string]string
	Taints []corev1.Taint
}

// Cluster is a control plane with nodes.
type Cluster struct {
	*controlplane.ControlPlane

	API   *kubernetes.Clientset
	Nodes []*Node

	images []string
}

// Start starts a control plane with kube-controller-manager and the stock kube-scheduler, and nodes that are Ready
// and have the images. The program that calls it has been started through Run, which ends all of it.
func Start(ctx context.Context, images []string, progress func(string), nodes ...NodeOptions) (*Cluster, error) {
	if err := connectCluster(); err != nil {
		return nil, err
	}
	plane, err := controlplane.Start(ctx, controlplane.Options{
		ControllerManager: true,
		// Prometheus finds what it scrapes by them.
		EndpointSlices: true,
		// No one resolves the names of nodes.
		APIServerFlags: map[string]string{"kubelet-preferred-address-types": "InternalIP"},
		// Long enough for a busy machine, short enough to wait for a node that is lost.
		ControllerManagerArgs: []string{"--node-monitor-grace-period=30s"},
		Address:               apiServerAddress, Port: apiServerPort, Progress: progress,
	})
	if err != nil {
		return nil, err
	}
	c := &Cluster{ControlPlane: plane, images: images}
	if c.API, err = plane.Client(); err != nil {
		return nil, err
	}
	if err := c.startStockScheduler(ctx); err != nil {
		return nil, err
	}
	if err := makeCgroups(filepath.Base(directory())); err != nil {
		return nil, err
	}
	for i, o := range nodes {
		n := &Node{Name: o.Name, cluster: c, number: i + 1, labels: o.Labels, taints: o.Taints, running: map[string]*service{}}
		c.Nodes = append(c.Nodes, n)
		if err := n.create(ctx); err != nil {
			return nil, fmt.Errorf("node %s: %w", n.Name, err)
		}
	}
	for _, n := range c.Nodes {
		if err := n.AwaitReady(ctx, corev1.ConditionTrue); err != nil {
			return nil, err
		}
		if err := n.label(ctx); err != nil {
			return nil, err
		}
		progress("node " + n.Name + " is Ready")
	}
	return c, nil
}

// Node returns the node of that name, which must be one of the cluster.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	panic("no node " + name)
}

func (c *Cluster) startStockScheduler(ctx context.Context) error {
	config := filepath.Join(directory(), "kube-scheduler.yaml")
	text := "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nleaderElection: {leaderElect: false}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	user, err := c.AddUser("system:kube-scheduler")
	if err != nil {
		return err
	}
	_, err = c.StartScheduler(ctx, controlplane.SchedulerOptions{Name: "kube-scheduler", Stock: true, Config: config, User: user})
	return err
}

// connectCluster makes the network that the nodes are connected to.
func connectCluster() error {
	return errors.Join(
		ip("link", "set", "lo", "up"),
		ip("address", "add", apiServerAddress+"/32", "dev", "lo"),
		ip("link", "add", bridge, "type", "bridge"),
		ip("address", "add", nodeNetwork+".1/24", "dev", bridge),
		ip("link", "set", bridge, "up"),
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600),
	)
}

// connect gives a node its interface, and a route to its pods.
func (n *Node) connect(ctx context.Context) error {
	name := fmt.Sprintf("%s%d", interfacePrefix, n.number)
	// After a reboot the kernel may still be removing it.
	_ = ip("link", "delete", name)
	if err := errors.Join(
		ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(n.first.Process.Pid)),
		ip("link", "set", name, "master", bridge, "up"),
		ip("route", "replace", n.podRange(), "via", n.Address(), "onlink", "dev", bridge),
	); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "address", "add", n.Address() + "/24", "dev", "eth0"},
		{"ip", "link", "set", "eth0", "up"},
		{"ip", "route", "add", "default", "via", nodeNetwork + ".1"},
		{"/bin/sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"},
	} {
		if _, err := n.Run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// label gives the node its labels. Kubelets may not give themselves a role.
func (n *Node) label(ctx context.Context) error {
	if len(n.labels) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": n.labels}})
	if err != nil {
		return err
	}
	_, err = n.cluster.API.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

func ip(args ...string) error {
	cmd := exec.Command("ip", args...)
	cmd.Env = environment()
	_, err := output(cmd)
	return err
}

// create boots a node for the first time.
func (n *Node) create(ctx context.Context) error {
	if err := makeCgroups(n.cgroup()[1:]); err != nil {
		return err
	}
	if err := n.boot(ctx); err != nil {
		return err
	}
	if err := n.connect(ctx); err != nil {
		return err
	}
	if err := n.configure(); err != nil {
		return err
	}
	if err := n.startContainerd(ctx); err != nil {
		return err
	}
	for _, image := range n.cluster.images {
		if err := n.importImage(ctx, image); err != nil {
			return err
		}
	}
	return n.StartKubelet()
}

// Reboot switches the node off, as a loss of power would, and on again.
func (n *Node) Reboot(ctx context.Context) error {
	n.powerOff()
	if err := n.boot(ctx); err != nil {
		return err
	}
	if err := errors.Join(n.connect(ctx), n.configure()); err != nil {
		return err
	}
	if err := n.startContainerd(ctx); err != nil {
		return err
	}
	return n.StartKubelet()
}

// AwaitReady waits until the condition Ready of the node has a status.
func (n *Node) AwaitReady(ctx context.Context, status corev1.ConditionStatus) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, poll, 2*patience, true, func(ctx context.Context) (bool, error) {
		var node *corev1.Node
		if node, last = n.cluster.API.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{}); last != nil {
			return false, nil //nolint:nilerr // it is asked again, and reported if it stays
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				last = fmt.Errorf("it is %s: %s", condition.Status, condition.Message)
				return condition.Status == status, nil
			}
		}
		return false, n.cluster.Failed()
	})
	if err != nil {
		return fmt.Errorf("node %s does not become Ready=%s: %w: %w\n%s", n.Name, status, err, last, n.logTails())
	}
	return nil
}

// KeepLogs copies the logs of all programs to a folder, which is emptied before.
func (c *Cluster) KeepLogs(folder string) {
	_ = os.RemoveAll(folder)
	_ = os.CopyFS(folder, os.DirFS(filepath.Join(directory(), "log")))
	_ = os.CopyFS(filepath.Join(folder, "control-plane"), os.DirFS(filepath.Join(c.Dir(), "log")))
}

func (n *Node) logTails() string {
	var text strings.Builder
	for name := range n.running {
		content, _ := os.ReadFile(n.log(name))
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		fmt.Fprintf(&text, "the end of the log of %s:\n%s\n", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return text.String()
}
