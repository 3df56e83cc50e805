package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Options says what runs beside etcd and kube-apiserver.
type Options struct {
	// ControllerManager runs kube-controller-manager, without which no controller
	// makes pods, no namespace goes away and no aggregated ClusterRole gets rules.
	// Two admission plugins only work beside it and are off without it:
	// ServiceAccount and TaintNodesByCondition.
	ControllerManager bool
	// Kwok plays the kubelet of every node annotated with FakeNodeAnnotation.
	Kwok bool
	// APIServerFlags are given to kube-apiserver in place of its defaults, by name
	// and without dashes.
	APIServerFlags map[string]string
	// ControllerManagerArgs come after the arguments that kube-controller-manager is given anyway.
	ControllerManagerArgs []string
	// EndpointSlices has kube-controller-manager write down which pods a Service selects.
	EndpointSlices bool
	// Address and Port are where kube-apiserver listens: on loopback and a free port if empty.
	Address, Port string
	// Progress is called with one line for each step that is done. Optional.
	Progress func(line string)
}

// ControlPlane is a running control plane. Its methods may be called concurrently.
type ControlPlane struct {
	dir      string
	programs programs
	progress func(string)
	plane    *envtest.ControlPlane
	guard    *guard

	admin           *rest.Config
	adminKubeconfig string

	mu        sync.Mutex
	stopped   bool
	processes []*Process

	stopOnce sync.Once
	stopErr  error
	// unhook ends the wait for the context; nil until Start has returned.
	unhook func() bool
}

var errStopped = errors.New("the control plane is stopped")

// Start starts a control plane and returns when it answers. It runs until Stop is called or ctx
// ends. If Start returns an error, nothing of it is left, also if ctx ended early.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	names := []string{"etcd", "kube-apiserver", "kubectl"}
	if o.ControllerManager {
		names = append(names, "kube-controller-manager")
	}
	if o.Kwok {
		names = append(names, "kwok", kwokStages)
	}
	programs, err := findPrograms(names...)
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{programs: programs, progress: o.Progress}
	if c.progress == nil {
		c.progress = func(string) {}
	}
	if err := c.start(ctx, o); err != nil {
		_ = c.Stop()
		// The error of an interrupted program is not the reason for the stop.
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	c.mu.Lock()
	c.unhook = context.AfterFunc(ctx, func() { _ = c.Stop() })
	c.mu.Unlock()
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context, o Options) error {
	var err error
	if c.dir, err = os.MkdirTemp("", "tenant-isolation-"); err != nil {
		return err
	}
	if c.guard, err = startGuard(c.dir); err != nil {
		return err
	}
	for _, sub := range []string{runDir, launcherDir, logDir, "etcd", "kube-apiserver", "home"} {
		if err := os.Mkdir(filepath.Join(c.dir, sub), 0o700); err != nil {
			return err
		}
	}
	if err := c.step("etcd and kube-apiserver", func() error { return c.startAPIServer(ctx, o) }); err != nil {
		return err
	}
	if o.ControllerManager {
		if err := c.step("kube-controller-manager", func() error { return c.startControllerManager(ctx, o) }); err != nil {
			return err
		}
	}
	if o.Kwok {
		if err := c.step("kwok", func() error { return c.startKwok() }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (c *ControlPlane) step(what string, do func() error) error {
	begin := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	c.progress(fmt.Sprintf("%s started in %.1f s", what, time.Since(begin).Seconds()))
	return nil
}

// Stop ends every program, removes the directory and returns when both are gone. It
// may be called more than once and from anywhere; every call waits for the end.
func (c *ControlPlane) Stop() error {
	c.stopOnce.Do(func() { c.stopErr = c.stop() })
	return c.stopErr
}

func (c *ControlPlane) stop() error {
	c.mu.Lock()
	c.stopped = true
	processes := c.processes
	if c.unhook != nil {
		c.unhook()
	}
	c.mu.Unlock()

	// First the clients of kube-apiserver, all at once: a client without a server takes long
	// to give up.
	var stopping sync.WaitGroup
	for _, p := range processes {
		stopping.Go(p.Stop)
	}
	stopping.Wait()

	if c.plane != nil {
		c.stopAPIServer()
	}
	if c.guard != nil {
		c.guard.dismiss()
	}
	if c.dir == "" {
		return nil
	}
	return os.RemoveAll(c.dir)
}

// Failed returns an error, with the end of the log, if a program that should be running has ended.
// Code that waits for something in the cluster polls it to learn why nothing happens.
func (c *ControlPlane) Failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return errStopped
	}
	var errs []error
	for _, p := range c.processes {
		errs = append(errs, p.failure())
	}
	return errors.Join(errs...)
}

// Dir returns the directory of all that the control plane writes, the logs under log/. Stop removes
// it, so it is a good place for files that the cluster's programs read.
func (c *ControlPlane) Dir() string { return c.dir }

// PIDs returns the ids of the processes that run now, without the guard.
func (c *ControlPlane) PIDs() []int { return c.runningPIDs() }

// environment keeps the user's own configuration away from the programs: kubectl and
// kwok would read, and write, files in the home directory.
func (c *ControlPlane) environment() []string {
	environment := []string{"HOME=" + filepath.Join(c.dir, "home"), "KUBECONFIG=" + c.adminKubeconfig}
	for _, name := range []string{"PATH", "TMPDIR", "GODEBUG"} {
		if value, ok := os.LookupEnv(name); ok {
			environment = append(environment, name+"="+value)
		}
	}
	return environment
}
