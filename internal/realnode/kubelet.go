//go:build linux

package realnode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Handlers are those that every node's containerd has beside runc, by name, with the program of each.
const (
	HandlerSandbox = "runsc"
	HandlerVM      = "test-vm"
)

const (
	containerdSocket = "/run/containerd/containerd.sock"
	pauseImage       = "tenantisolation.dev/pause:test"
	// StaticPods is the folder on a node from which the kubelet runs pods without an API server.
	StaticPods = "/var/lib/static-pods"
)

// The OOM scores are restricted because root lacks CAP_SYS_RESOURCE on some machines.
var containerdConfig = template.Must(template.New("").Parse(`version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "` + containerdSocket + `"
[debug]
address = "/run/containerd/debug.sock"
[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "` + pauseImage + `"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "/var/lib/cni/net.d"
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
{{- if .Sandbox }}
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.` + HandlerSandbox + `]
runtime_type = "io.containerd.runsc.v1"
{{- end }}
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.` + HandlerVM + `]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.` + HandlerVM + `.options]
BinaryName = "{{ .Bin }}/vmruntime"
`))

const cniConfig = `{
  "cniVersion": "1.0.0", "name": "pods",
  "plugins": [{
    "type": "bridge", "bridge": "ti-pods", "isGateway": true, "forceAddress": true,
    "ipam": {
      "type": "host-local", "dataDir": "/var/lib/cni/networks",
      "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`

// A kubelet of a real cluster would ask who its clients are; here no one else can reach it.
var kubeletConfig = template.Must(template.New("").Parse(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: {{ .Cgroup }}
failCgroupV1: false
containerRuntimeEndpoint: unix://` + containerdSocket + `
failSwapOn: false
staticPodPath: ` + StaticPods + `
podLogsDir: /var/log/pods
resolvConf: /var/lib/resolv.conf
clusterDNS: [10.0.0.10]
nodeStatusUpdateFrequency: 2s
nodeStatusReportFrequency: 10s
nodeLeaseDurationSeconds: 24
fileCheckFrequency: 1s
syncFrequency: 10s
imageMinimumGCAge: 24h
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi}
localStorageCapacityIsolation: false
shutdownGracePeriod: 0s
registerNode: true
{{- if .Taints }}
registerWithTaints:
{{- range .Taints }}
- {key: {{ .Key }}, effect: {{ .Effect }}}
{{- end }}
{{- end }}
`))

// configure writes the node's configuration: containerd's, the kubelet's and that of the pods' network.
func (n *Node) configure() error {
	for _, folder := range []string{"cni/net.d", "kubelet", "containerd", "static-pods"} {
		if err := os.MkdirAll(n.dir("var/lib", folder), 0o755); err != nil { //nolint:gosec // pods of any user pass through
			return err
		}
	}
	var kubelet bytes.Buffer
	if err := kubeletConfig.Execute(&kubelet, map[string]any{"Cgroup": n.cgroup(), "Taints": n.taints}); err != nil {
		return err
	}
	user, err := n.cluster.AddUser("system:node:"+n.Name, "system:nodes")
	if err != nil {
		return err
	}
	kubeconfig, err := n.cluster.WriteKubeconfig(n.Name, user)
	if err != nil {
		return err
	}
	credentials, err := os.ReadFile(kubeconfig)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(n.dir("var/lib/kubelet/config.yaml"), kubelet.Bytes(), 0o600),
		os.WriteFile(n.dir("var/lib/kubelet/kubeconfig"), credentials, 0o600),
		os.WriteFile(n.dir("var/lib/resolv.conf"), nil, 0o644), //nolint:gosec // containers read it
		os.WriteFile(n.dir("var/lib/cni/net.d/10-pods.conflist"), fmt.Appendf(nil, cniConfig, n.podRange()), 0o600),
		n.configureContainerd(true),
	)
}

func (n *Node) configureContainerd(sandbox bool) error {
	var config bytes.Buffer
	if err := containerdConfig.Execute(&config, map[string]any{"Sandbox": sandbox, "Bin": filepath.Join(directory(), "bin")}); err != nil {
		return err
	}
	return os.WriteFile(n.dir("var/lib/containerd.toml"), config.Bytes(), 0o600)
}

func (n *Node) startContainerd(ctx context.Context) error {
	if err := n.start("containerd", "containerd", "--config=/var/lib/containerd.toml"); err != nil {
		return err
	}
	err := wait.PollUntilContextTimeout(ctx, poll, patience, true, func(ctx context.Context) (bool, error) {
		_, err := n.ctr(ctx, "version")
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("containerd of %s does not answer: %w\n%s", n.Name, err, n.logTails())
	}
	return nil
}

// SetSandboxHandler gives or takes from the node the handler of gVisor, and restarts its containerd. Containers
// keep running.
func (n *Node) SetSandboxHandler(ctx context.Context, is bool) error {
	if err := errors.Join(n.configureContainerd(is), n.end(ctx, "containerd")); err != nil {
		return err
	}
	return n.startContainerd(ctx)
}

func (n *Node) ctr(ctx context.Context, args ...string) (string, error) {
	return n.Run(ctx, append([]string{"ctr", "--address", containerdSocket, "--namespace", "k8s.io"}, args...)...)
}

// importImage reads an archive of images. Several names of an image are one image.
func (n *Node) importImage(ctx context.Context, archive string) error {
	_, err := n.ctr(ctx, "images", "import", archive)
	return err
}

// TagImage gives an image a second name.
func (n *Node) TagImage(ctx context.Context, image, name string) error {
	_, err := n.ctr(ctx, "images", "tag", "--force", image, name)
	return err
}

// StartKubelet starts the kubelet.
func (n *Node) StartKubelet() error {
	return n.start("kubelet",
		"kubelet", "--config=/var/lib/kubelet/config.yaml", "--kubeconfig=/var/lib/kubelet/kubeconfig", "--root-dir=/var/lib/kubelet",
		"--cert-dir=/var/lib/kubelet/pki", "--hostname-override="+n.Name, "--node-ip="+n.Address(), "--v=2")
}

// StopKubelet ends the kubelet. Containers keep running.
func (n *Node) StopKubelet(ctx context.Context) error { return n.end(ctx, "kubelet") }

// StaticPod has the kubelet run a pod that no API server has; an empty manifest ends it.
func (n *Node) StaticPod(name, manifest string) error {
	path := n.dir(StaticPods, name+".yaml")
	if manifest == "" {
		return os.Remove(path)
	}
	return os.WriteFile(path, []byte(manifest), 0o600)
}

// KillContainer kills the process of a container, as its own fault or the kernel would.
func (n *Node) KillContainer(ctx context.Context, podUID, container string) error {
	ids, err := n.ctr(ctx, "containers", "list", "--quiet",
		fmt.Sprintf("labels.\"io.kubernetes.pod.uid\"==%q,labels.\"io.kubernetes.container.name\"==%q", podUID, container))
	if err != nil {
		return err
	}
	for id := range strings.FieldsSeq(ids) {
		if _, err = n.ctr(ctx, "tasks", "kill", "--signal=SIGKILL", id); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no container %s of pod %s runs on %s: %q, %w", container, podUID, n.Name, ids, err)
}
