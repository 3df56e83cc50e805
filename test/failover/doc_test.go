// Package failover injects races and failures into a cluster, and checks each bind from
// outside: the shipped binary with its policies and rights beside the stock
// kube-scheduler on the same nodes, leaders that are killed and leaders that are paused,
// kube-apiserver and etcd that are killed.
//
// The judge is etcd's own history, replayed in the order of its revisions, and package
// checker, which shares no code with the scheduler.
package failover

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

var (
	full = flag.Bool("full", false, "place 1,000 pods of 20 tenants and 300 unmanaged ones on 200 nodes, and kill the leader three times; otherwise a fifth of that")
	seed = flag.Uint64("seed", 0, "seed of the workload and of the moments at which things fail; 0 takes one from the clock")
)

var buildProgram = sync.OnceValues(func() (string, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return "", err
	}
	// This package does not import the sources of the binary. Reading them makes them part of
	// what go test compares before it uses a cached result.
	for _, dir := range []string{"cmd", "pkg", "manifests"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ os.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	cmd := exec.Command("make", "--no-print-directory", "-C", root, "build")
	cmd.Stderr = os.Stderr
	return filepath.Join(root, "bin", "scheduler"), cmd.Run()
})

// theSeed is printed by every test that draws from it.
func theSeed(t *testing.T) uint64 {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", s)
	return s
}
