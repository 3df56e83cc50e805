//go:build linux

package realnode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	poll     = 100 * time.Millisecond
	patience = time.Minute
)

// Node is a node of a Cluster. Its methods are for one goroutine.
type Node struct {
	Name string

	cluster *Cluster
	number  int
	labels  map[string]string
	taints  []corev1.Taint
	first   *exec.Cmd // process 1 of the node; nil while the node is off
	running map[string]*service
}

type service struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// The folders that each node has of its own, as a machine has. They are on every system. All else is this machine's,
// and nothing that is configured here writes there.
var ownFolders = []string{"/run", "/var/lib", "/var/log"}

func (n *Node) dir(parts ...string) string {
	return filepath.Join(append([]string{directory(), "nodes", n.Name}, parts...)...)
}

// Address is where the node is in the network of the cluster.
func (n *Node) Address() string { return fmt.Sprintf("%s.%d", nodeNetwork, 10+n.number) }

func (n *Node) podRange() string { return fmt.Sprintf("%s.%d.0/24", podNetwork, n.number) }

// cgroup is the name of the node's own cgroup, below which all of its pods are.
func (n *Node) cgroup() string { return "/" + filepath.Base(directory()) + "/" + n.Name }

// boot starts process 1 of the node, with a boot id of its own, and connects the node.
func (n *Node) boot(ctx context.Context) error {
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	if err != nil {
		return err
	}
	for _, folder := range ownFolders {
		if err := os.MkdirAll(n.dir(folder), 0o755); err != nil { //nolint:gosec // pods of any user pass through
			return err
		}
	}
	// What a machine keeps in memory is gone with its power.
	if err := errors.Join(os.RemoveAll(n.dir("run")), os.Mkdir(n.dir("run"), 0o755), os.WriteFile(n.dir("boot_id"), id, 0o600)); err != nil { //nolint:gosec // as above
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	n.first = exec.Command(self)
	n.first.Env = append(os.Environ(), roleVariable+"="+roleNode, "NODE_NAME="+n.Name)
	n.first.Stderr = os.Stderr
	n.first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := n.first.Start(); err != nil {
		return fmt.Errorf("starting the namespaces of %s: %w", n.Name, err)
	}
	return wait.PollUntilContextTimeout(ctx, poll, patience, true, func(context.Context) (bool, error) {
		_, err := os.Stat(n.dir("run", "booted"))
		return err == nil, nil
	})
}

// beNode is process 1 of a node.
func beNode() int {
	if err := prepareNode(os.Getenv("NODE_NAME")); err != nil {
		fmt.Fprintln(os.Stderr, "real nodes:", err)
		return 1
	}
	for {
		// A node ends by SIGKILL, as a machine does that loses its power.
		if _, err := syscall.Wait4(-1, nil, 0, nil); errors.Is(err, syscall.ECHILD) {
			time.Sleep(poll)
		}
	}
}

func prepareNode(name string) error {
	dir := filepath.Join(directory(), "nodes", name)
	if err := syscall.Sethostname([]byte(name)); err != nil {
		return err
	}
	// The kubelet shares what it mounts for a container, within this node.
	if err := errors.Join(
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""),
		syscall.Mount("proc", "/proc", "proc", 0, ""),
		syscall.Mount(filepath.Join(dir, "boot_id"), "/proc/sys/kernel/random/boot_id", "", syscall.MS_BIND, ""),
	); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	for _, folder := range ownFolders {
		if err := syscall.Mount(filepath.Join(dir, folder), folder, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", folder, err)
		}
	}
	return os.WriteFile("/run/booted", nil, 0o600)
}

// powerOff ends all processes of the node at once.
func (n *Node) powerOff() {
	if n.first == nil {
		return
	}
	_ = n.first.Process.Kill()
	_ = n.first.Wait()
	n.first = nil
	for _, s := range n.running {
		<-s.ended
	}
	n.running = map[string]*service{}
}

// inside makes a command that runs in the node's namespaces.
func (n *Node) inside(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--target", strconv.Itoa(n.first.Process.Pid), "--all", "--wd=/", "--"}, args...)...)
	cmd.Env = environment()
	return cmd
}

func environment() []string {
	return []string{"PATH=" + filepath.Join(directory(), "bin") + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
}

// Run runs a program on the node and returns what it prints.
func (n *Node) Run(ctx context.Context, args ...string) (string, error) {
	if n.first == nil {
		return "", fmt.Errorf("%s is off", n.Name)
	}
	return output(n.inside(ctx, args...))
}

func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// start starts a program that stays. It notes its process id, which is one of the node's.
func (n *Node) start(name string, args ...string) error {
	log, err := os.OpenFile(n.log(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	script := `echo $$ >/run/` + name + `.pid; exec "$@"`
	s := &service{cmd: n.inside(context.Background(), append([]string{"/bin/sh", "-c", script, name}, args...)...), ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	n.running[name] = s
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	return nil
}

func (n *Node) log(name string) string {
	return filepath.Join(directory(), "log", n.Name+"-"+name+".log")
}

// signal sends a signal to a program that start has started.
func (n *Node) signal(ctx context.Context, name, signal string) error {
	_, err := n.Run(ctx, "/bin/sh", "-c", "kill -s "+signal+" $(cat /run/"+name+".pid)")
	return err
}

// end ends a program and waits for it.
func (n *Node) end(ctx context.Context, name string) error {
	if err := n.signal(ctx, name, "TERM"); err != nil {
		return err
	}
	select {
	case <-n.running[name].ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s of %s does not end", name, n.Name)
	}
}
