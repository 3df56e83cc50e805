// Package admission attacks the admission policies on a real control plane.
//
// Every attack runs three times on the same control plane: without the policies, where it
// must succeed; with those that only watch, where it must succeed and warn; and with those
// that enforce, where it must be refused with a helpful message. So no attack can be refused
// because it was harmless, or because the attacker lacked a right.
//
// The three runs of all attacks come before the first test, in the order in which an
// administrator rolls the policies out. The tests named after threats check the outcomes; all
// other tests run with the enforcing policies.
package admission

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
	crdName         = "customresourcedefinition/isolationpolicies.tenantisolation.dev"
)

// environment is the control plane of all tests.
type environment struct {
	plane   *controlplane.ControlPlane
	root    string
	admin   *kubernetes.Clientset
	users   map[user]*rest.Config
	table   nodeTable
	inForce inForce
	// outcomes are the outcomes of every attack in every phase.
	outcomes map[phase]map[string]outcome
}

var (
	sharedEnvironment = sync.OnceValues(startEnvironment)
	stopShared        []func() error
)

func TestMain(m *testing.M) {
	m.Run()
	var errs []error
	for _, s := range slices.Backward(stopShared) {
		errs = append(errs, s())
	}
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
}

func getEnvironment(tb testing.TB) *environment {
	tb.Helper()
	w, err := sharedEnvironment()
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.plane.Failed(); err != nil {
		tb.Fatal(err)
	}
	return w
}

func startEnvironment() (*environment, error) {
	ctx := context.Background()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return nil, err
	}
	if err := readManifests(root); err != nil {
		return nil, err
	}
	// The controllers run as in a cluster, each with its own service account, because the policies
	// judge what a tenant smuggles through one by that user. By default the harness runs all of
	// them as the administrator.
	plane, err := controlplane.Start(ctx, controlplane.Options{
		Kwok:           true,
		APIServerFlags: map[string]string{"disable-admission-plugins": ""},
	})
	if err != nil {
		return nil, err
	}
	stopShared = append(stopShared, plane.Stop)
	w := &environment{plane: plane, root: root, users: map[user]*rest.Config{}, outcomes: map[phase]map[string]outcome{}}
	if w.admin, err = w.quietAdmin(); err != nil {
		return nil, err
	}
	stop, err := startControllers(plane, root)
	if err != nil {
		return nil, err
	}
	stopShared = append(stopShared, stop)
	if err := w.furnish(ctx); err != nil {
		return nil, err
	}
	return w, w.rollOut(ctx)
}

// applyCRDs applies manifests/crds, and returns when the API server knows the kind.
func (w *environment) applyCRDs(ctx context.Context) error {
	if err := w.apply(ctx, "crds"); err != nil {
		return err
	}
	_, err := w.plane.Kubectl(ctx, "wait", "--for=condition=Established", crdName)
	return err
}

// quietAdmin does not print what it is warned of.
func (w *environment) quietAdmin() (*kubernetes.Clientset, error) {
	config := w.plane.Admin()
	config.WarningHandler = rest.NoWarnings{}
	return kubernetes.NewForConfig(config)
}

// furnish creates the cluster's users, nodes and RuntimeClasses.
func (w *environment) furnish(ctx context.Context) error {
	// The scheduler's namespace, identity and rights; nothing of it runs yet.
	if err := errors.Join(w.applyCRDs(ctx), w.apply(ctx, "base")); err != nil {
		return err
	}
	return errors.Join(w.addUsers(ctx), w.addNodes(ctx), w.addClasses(ctx), w.writeParameters(ctx), w.dedicate(ctx, attackedNode, drainedNode))
}

// rollOut runs every attack in every phase.
func (w *environment) rollOut(ctx context.Context) error {
	w.outcomes[open] = w.attackAll(ctx, open)
	for _, step := range []struct {
		phase   phase
		overlay string
	}{{watched, "overlays/audit"}, {enforced, "overlays/default"}} {
		if err := w.apply(ctx, step.overlay); err != nil {
			return err
		}
		if err := w.activate(ctx, string(step.phase)); err != nil {
			return err
		}
		w.outcomes[step.phase] = w.attackAll(ctx, step.phase)
	}
	return nil
}

// readManifests makes what kubectl applies a part of what go test compares before it uses a cached result.
func readManifests(root string) error {
	return filepath.WalkDir(filepath.Join(root, "manifests"), func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path)
		}
		return err
	})
}

// apply applies a directory of manifests as an administrator does.
func (w *environment) apply(ctx context.Context, dir string) error {
	_, err := w.plane.Kubectl(ctx, "apply", "-k", filepath.Join(w.root, "manifests", dir))
	return err
}

// buildScheduler builds bin/scheduler as the Makefile does: a binary that was built
// earlier would test old code.
func buildScheduler(tb testing.TB, root string) string {
	tb.Helper()
	// This package does not import the sources of the binary. Reading them makes them part of
	// what go test compares before it uses a cached result.
	for _, dir := range []string{"cmd", "pkg"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ os.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	cmd := exec.CommandContext(tb.Context(), "make", "--no-print-directory", "-C", root, "build")
	if output, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("make build: %v\n%s", err, output)
	}
	return filepath.Join(root, "bin", "scheduler")
}
