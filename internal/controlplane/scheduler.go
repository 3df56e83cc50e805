package controlplane

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

const (
	loopback           = "127.0.0.1"
	stockSchedulerName = "kube-scheduler"
)

// SchedulerOptions says which scheduler runs, as whom and with what configuration.
type SchedulerOptions struct {
	// Name distinguishes several schedulers in logs and errors; "scheduler" if empty.
	Name string
	// Stock runs the kube-scheduler of the control plane's release instead of ours.
	Stock bool
	// Program is the binary; bin/scheduler of this repository if empty.
	Program string
	// Config is a KubeSchedulerConfiguration file. It is used as it is, except that a
	// copy of it points to the kubeconfig: in a cluster the scheduler would find its
	// credentials in its pod.
	Config string
	// User is the user as which the scheduler acts.
	User *rest.Config
	// Args come after the arguments that the harness gives.
	Args []string
}

// Scheduler is a running scheduler.
type Scheduler struct {
	*Process
	// URL is where it serves health, metrics and its other endpoints.
	URL string
}

// StartScheduler starts a scheduler and returns when it reports itself ready. One that does not is ended.
func (c *ControlPlane) StartScheduler(ctx context.Context, o SchedulerOptions) (*Scheduler, error) {
	if o.Name == "" {
		o.Name = "scheduler"
	}
	if o.Stock {
		found, err := findPrograms(stockSchedulerName)
		if err != nil {
			return nil, err
		}
		o.Program = found[stockSchedulerName]
	}
	if o.Program == "" {
		root, err := ModuleRoot()
		if err != nil {
			return nil, err
		}
		o.Program = filepath.Join(root, "bin", "scheduler")
		if _, err := os.Stat(o.Program); err != nil {
			return nil, fmt.Errorf("run make build: %w", err)
		}
	}
	kubeconfig, err := c.WriteKubeconfig(o.Name, o.User)
	if err != nil {
		return nil, err
	}
	config, err := c.pointConfigAt(o.Name, o.Config, kubeconfig)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	process, err := c.launch(o.Name, o.Program, append([]string{
		"--config=" + config,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + loopback,
		"--secure-port=" + port,
		// Otherwise it would make its certificate in a directory of the system.
		"--cert-dir=" + filepath.Join(c.dir, o.Name),
	}, o.Args...)...)
	if err != nil {
		return nil, err
	}
	s := &Scheduler{Process: process, URL: "https://" + net.JoinHostPort(loopback, port)}
	if err := c.waitFor(ctx, process, s.ready); err != nil {
		// It would get ready later, and lead. One that has ended by itself stays a failure of the control plane.
		if process.failure() == nil {
			process.Stop()
		}
		return nil, err
	}
	return s, nil
}

func (s *Scheduler) ready(ctx context.Context) (bool, error) {
	// The scheduler signs its own certificate at each start, so there is nothing to
	// verify it by; the address is our own machine and the answer no secret.
	client := http.Client{
		Timeout: time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
			DisableKeepAlives: true,
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", nil)
	if err != nil {
		return false, err
	}
	response, err := client.Do(request)
	if err != nil {
		return false, nil
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK, nil
}

// pointConfigAt copies a scheduler configuration with its kubeconfig set. With --config
// kube-scheduler ignores --kubeconfig. The copy is made without decoding into types, so
// that a mistake in the file reaches the scheduler and is reported by it.
func (c *ControlPlane) pointConfigAt(name, path, kubeconfig string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	config := map[string]any{}
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if err := unstructured.SetNestedField(config, kubeconfig, "clientConnection", "kubeconfig"); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if text, err = yaml.Marshal(config); err != nil {
		return "", err
	}
	pointed := filepath.Join(c.dir, name+"-config.yaml")
	return pointed, os.WriteFile(pointed, text, 0o600)
}

// freePort asks the kernel for one. Another program could take it before the scheduler
// does; the scheduler then ends with an error that says so.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}
