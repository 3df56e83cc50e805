package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	etcdName      = "etcd"
	apiServerName = "kube-apiserver"

	// Generous: a machine that compiles on all cores beside us is slow, not broken.
	startTimeout = 90 * time.Second
	pollInterval = 50 * time.Millisecond

	// envtest picks free ports before the programs bind them; in between another
	// program can take one.
	startAttempts = 3
)

func (c *ControlPlane) startAPIServer(ctx context.Context, o Options) error {
	var err error
	for range startAttempts {
		if err = c.tryAPIServer(ctx, o); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, c.planeTail())
	}
	base := &rest.Config{QPS: -1, UserAgent: "tenant-isolation-harness"}
	admin, err := c.plane.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, base)
	if err != nil {
		return err
	}
	c.admin = admin.Config()
	if c.adminKubeconfig, err = c.WriteKubeconfig("admin", c.admin); err != nil {
		return err
	}
	return c.waitForNamespace(ctx)
}

// tryAPIServer runs envtest's start, which takes no context. When ctx ends it stops what was
// started so far, so that the start fails.
func (c *ControlPlane) tryAPIServer(ctx context.Context, o Options) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.configurePlane(o); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() { result <- c.plane.Start() }()
	var err error
	select {
	case err = <-result:
	case <-ctx.Done():
		err = c.abort(result)
	}
	if err != nil {
		// envtest sends SIGTERM to a kube-apiserver that did not come up in time and
		// does not wait for it.
		c.stopAPIServer()
	}
	return err
}

func (c *ControlPlane) abort(result <-chan error) error {
	for {
		// Repeatedly, because etcd may end just before kube-apiserver starts.
		for _, pid := range c.runningPIDs() {
			_ = syscall.Kill(-pid, syscall.SIGTERM)
		}
		select {
		case err := <-result:
			return err
		case <-time.After(pollInterval):
		}
	}
}

func (c *ControlPlane) configurePlane(o Options) error {
	etcd := &envtest.Etcd{DataDir: filepath.Join(c.dir, etcdName), StartTimeout: startTimeout}
	server := &envtest.APIServer{CertDir: filepath.Join(c.dir, apiServerName), StartTimeout: startTimeout}
	server.SecureServing.Address, server.SecureServing.Port = o.Address, o.Port
	// A second attempt must not find the data of the first.
	if err := os.RemoveAll(etcd.DataDir); err != nil {
		return err
	}
	if err := os.Mkdir(etcd.DataDir, 0o700); err != nil {
		return err
	}
	var err error
	if etcd.Path, err = c.launcher(etcdName, c.programs[etcdName]); err != nil {
		return err
	}
	if server.Path, err = c.launcher(apiServerName, c.programs[apiServerName]); err != nil {
		return err
	}
	etcdLog, err := os.Create(c.logFile(etcdName))
	if err != nil {
		return err
	}
	serverLog, err := os.Create(c.logFile(apiServerName))
	if err != nil {
		return err
	}
	etcd.Out, etcd.Err = etcdLog, etcdLog
	server.Out, server.Err = serverLog, serverLog

	flags := server.Configure()
	// Otherwise it looks for an address of this machine that is not loopback, and exits if
	// there is none. No client can connect to this one (a documentation address, RFC 5737), so
	// it is not published either.
	flags.Set("advertise-address", "192.0.2.1")
	flags.Set("endpoint-reconciler-type", "none")
	flags.Set("allow-privileged", "true")
	flags.Set("authorization-mode", "Node,RBAC")
	flags.Set("enable-admission-plugins", "NodeRestriction")
	// All that is on by default stays on, except what waits for a controller that is
	// not there: no pod could be made without a service account, and no node would
	// ever lose its not-ready taint.
	if o.ControllerManager {
		flags.Disable("disable-admission-plugins")
	} else {
		flags.Set("disable-admission-plugins", "ServiceAccount,TaintNodesByCondition")
	}
	for name, value := range o.APIServerFlags {
		flags.Set(name, value)
	}
	c.plane = &envtest.ControlPlane{Etcd: etcd, APIServer: server, KubectlPath: c.programs["kubectl"]}
	return nil
}

// stopAPIServer ends kube-apiserver before the etcd that it talks to. envtest's own Stop
// returns before a program that it had to kill is gone, so here it only tidies up.
func (c *ControlPlane) stopAPIServer() {
	for _, name := range []string{apiServerName, etcdName} {
		if pid := c.pidOf(name); pid != 0 {
			endGroup(pid)
			_ = os.Remove(c.pidFile(name))
		}
	}
	_ = c.plane.Stop()
	for _, log := range []any{c.plane.APIServer.Out, c.plane.Etcd.Out} {
		if file, ok := log.(*os.File); ok {
			_ = file.Close()
		}
	}
}

// planeTail returns the end of the log of the program that failed: kube-apiserver is started
// only once etcd answers.
func (c *ControlPlane) planeTail() string {
	if c.plane == nil {
		return ""
	}
	log := c.logFile(apiServerName)
	if info, err := os.Stat(log); err != nil || info.Size() == 0 {
		log = c.logFile(etcdName)
	}
	return tail(log)
}

// waitForNamespace waits for a namespace that kube-apiserver creates shortly after it reports
// itself healthy, and without which the first requests of a test would fail.
func (c *ControlPlane) waitForNamespace(ctx context.Context) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// Admin returns a configuration of the administrator. The caller may change it.
func (c *ControlPlane) Admin() *rest.Config { return rest.CopyConfig(c.admin) }

// Client returns a clientset of the administrator, without rate limit.
func (c *ControlPlane) Client() (*kubernetes.Clientset, error) {
	config := c.Admin()
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return kubernetes.NewForConfig(config)
}

// EtcdURL returns where etcd serves, without credentials. Its contents are internal to
// Kubernetes; its history shows in which order things happened.
func (c *ControlPlane) EtcdURL() string { return c.plane.Etcd.URL.String() }
