// Package integration tests the scheduler as it is shipped: the binary with its
// configuration and its rights, against a real kube-apiserver, judged from outside.
//
// There are no kubelets and no controllers. A pod that is on a node stays as it is until
// a test changes it; a test that needs a kubelet or a controller does its part.
package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

// Tests on an API server of their own are not affected.
var emulatedVersion = flag.String("emulated-version", "", "run most tests against an API server that emulates this older release")

// RuntimeClasses and PriorityClasses that exist in every test.
const (
	kata       = "kata"
	otherKata  = "other-kata"
	gvisor     = "gvisor"
	plainClass = "plain" // of a handler that isolates nothing

	lowPriority  = "low"
	highPriority = "high"
)

// handlerOf has the handlers of the RuntimeClasses, which on purpose differ from their names.
var handlerOf = map[string]string{
	kata:       "kata-qemu",
	otherKata:  "kata-clh",
	gvisor:     "runsc",
	plainClass: "crun",
}

// environment is the control plane that most tests share, with one scheduler that runs the
// shipped configuration with the shipped rights. Starting it takes longer than most tests.
type environment struct {
	plane     *controlplane.ControlPlane
	api       *kubernetes.Clientset
	user      *rest.Config
	scheduler *schedulerRun
}

var (
	sharedEnvironment = sync.OnceValues(startEnvironment)
	buildProgram      = sync.OnceValues(build)
	stopShared        = func() error { return nil }
)

func TestMain(m *testing.M) {
	m.Run()
	if err := stopShared(); err != nil {
		panic(err)
	}
}

// build builds bin/scheduler as the Makefile does: an old binary would test old code.
func build() (string, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return "", err
	}
	// This package does not import the sources of the binary. Reading them makes them part of
	// what go test compares before it uses a cached result.
	for _, dir := range []string{"cmd", "pkg", "manifests"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			_, err = os.Stat(path)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	cmd := exec.Command("make", "--no-print-directory", "-C", root, "build")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, output)
	}
	return filepath.Join(root, "bin", "scheduler"), nil
}

func startEnvironment() (*environment, error) {
	if _, err := buildProgram(); err != nil {
		return nil, err
	}
	ctx := context.Background()
	flags := map[string]string{}
	if *emulatedVersion != "" {
		flags["emulated-version"] = *emulatedVersion
	}
	plane, err := controlplane.Start(ctx, controlplane.Options{APIServerFlags: flags})
	if err != nil {
		return nil, err
	}
	stopShared = plane.Stop
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return nil, err
	}
	if _, err := plane.Kubectl(ctx, "apply", "-k", filepath.Join(root, "manifests", "base")); err != nil {
		return nil, err
	}
	w := &environment{plane: plane}
	if w.api, err = plane.Client(); err != nil {
		return nil, err
	}
	if err := w.addClasses(ctx); err != nil {
		return nil, err
	}
	if w.user, err = plane.ServiceAccount(ctx, systemNamespace, schedulerName); err != nil {
		return nil, err
	}
	w.scheduler, err = w.run(ctx, schedulerName, filepath.Join(root, "manifests", "base", "scheduler-config.yaml"))
	return w, err
}

func (w *environment) addClasses(ctx context.Context) error {
	var errs []error
	for name, handler := range handlerOf {
		class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}
		_, err := w.api.NodeV1().RuntimeClasses().Create(ctx, class, metav1.CreateOptions{})
		errs = append(errs, err)
	}
	for name, value := range map[string]int32{lowPriority: 10, highPriority: 1000} {
		class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value}
		_, err := w.api.SchedulingV1().PriorityClasses().Create(ctx, class, metav1.CreateOptions{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// run starts a scheduler that logs everything that a journal reads.
func (w *environment) run(ctx context.Context, profile, config string) (*schedulerRun, error) {
	process, err := w.plane.StartScheduler(ctx, controlplane.SchedulerOptions{
		Name: profile, Config: config, User: w.user, Args: []string{"--v=5"},
	})
	if err != nil {
		return nil, err
	}
	return &schedulerRun{Scheduler: process, profile: profile}, nil
}

// schedulerRun is a running scheduler with the scheduler name of its pods.
type schedulerRun struct {
	*controlplane.Scheduler
	profile string
}

// podKey is how logs and this package's messages name a pod.
func podKey(pod *corev1.Pod) string { return pod.Namespace + "/" + pod.Name }
