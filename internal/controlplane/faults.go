package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Pause stops the process where it is, between any two instructions, until Resume.
func (p *Process) Pause() error { return syscall.Kill(-p.PID(), syscall.SIGSTOP) }

// Resume lets a paused process continue, which notices only the lost time.
func (p *Process) Resume() error { return syscall.Kill(-p.PID(), syscall.SIGCONT) }

// RestartEtcd kills etcd and starts it again with the data it had, and returns when
// kube-apiserver is ready on top of it.
func (c *ControlPlane) RestartEtcd(ctx context.Context) error {
	return c.restart(ctx, etcdName)
}

// RestartAPIServer kills kube-apiserver and starts it again, and returns when it is ready. The flags,
// such as --emulated-version=1.36, replace those of the same names.
func (c *ControlPlane) RestartAPIServer(ctx context.Context, flags ...string) error {
	return c.restart(ctx, apiServerName, flags...)
}

// restart replaces a program that envtest started by one with the same arguments, which
// the launcher has noted, but for the flags given.
func (c *ControlPlane) restart(ctx context.Context, name string, flags ...string) error {
	pid := c.pidOf(name)
	if pid == 0 {
		return fmt.Errorf("%s does not run", name)
	}
	arguments, err := c.argumentsOf(name)
	if err != nil {
		return err
	}
	for _, flag := range flags {
		prefix := strings.SplitAfterN(flag, "=", 2)[0]
		arguments = slices.DeleteFunc(arguments, func(old string) bool { return strings.HasPrefix(old, prefix) })
	}
	arguments = append(arguments, flags...)
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil {
		return err
	}
	endGroup(pid)
	if err := c.relaunch(name, arguments); err != nil {
		return err
	}
	return c.waitUntilReady(ctx, c.admin, name)
}

func (c *ControlPlane) argumentsOf(name string) ([]string, error) {
	text, err := os.ReadFile(c.argumentsFile(name))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// relaunch starts a program by its launcher. It is no Process: it is stopped in the same way as the
// one that it replaces.
func (c *ControlPlane) relaunch(name string, arguments []string) error {
	log, err := os.OpenFile(c.logFile(name), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(c.dir, launcherDir, name), arguments...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = c.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return errStopped
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }()
	return nil
}

func (c *ControlPlane) waitUntilReady(ctx context.Context, config *rest.Config, name string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil, nil
	})
	if err != nil {
		return fmt.Errorf("kube-apiserver is not ready after a restart of %s: %w%s", name, errors.Join(err, context.Cause(ctx)), tail(c.logFile(name)))
	}
	return nil
}

// AddAPIServer runs one more kube-apiserver on the same etcd, as clusters have them, and
// returns the administrator's configuration for it. Each has informers of its own, so what
// is written to one is seen by the other's admission some time later.
func (c *ControlPlane) AddAPIServer(ctx context.Context) (*rest.Config, error) {
	const name = "kube-apiserver-2"
	arguments, err := c.argumentsOf(apiServerName)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	arguments = slices.Clone(arguments)
	for i, argument := range arguments {
		if strings.HasPrefix(argument, "--secure-port=") {
			arguments[i] = "--secure-port=" + port
		}
	}
	if _, err := c.launch(name, c.programs[apiServerName], arguments...); err != nil {
		return nil, err
	}
	config := c.Admin()
	config.Host = "https://" + net.JoinHostPort(loopback, port)
	return config, c.waitUntilReady(ctx, config, name)
}
