//go:build linux

package realnode

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// A process finds in the environment which part it plays, and where the files of this run are.
const (
	roleVariable      = "TENANT_ISOLATION_NODES_ROLE"
	directoryVariable = "TENANT_ISOLATION_NODES_DIRECTORY"

	// programsVariable names the folder that hack/nodes.sh has filled.
	programsVariable = "NODE_PROGRAMS"

	roleFirst = "first" // process 1 of the namespaces
	roleWork  = "work"  // what Run was called for
	roleNode  = "node"  // process 1 of a node
)

const namespaces = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// Run calls work in namespaces of its own and returns its exit status, or another than zero if something is
// left behind. The program calls it before anything else: it runs itself again.
func Run(work func() int) int {
	switch os.Getenv(roleVariable) {
	case roleFirst:
		return beFirst()
	case roleNode:
		return beNode()
	case roleWork:
		return work()
	}
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "real nodes: cannot run: it needs root, for namespaces, mounts and cgroups")
		return 1
	}
	status, err := supervise()
	if err != nil {
		fmt.Fprintln(os.Stderr, "real nodes:", err)
		return max(status, 1)
	}
	return status
}

// directory is where the files of this run are. Its name marks its cgroups as well.
func directory() string { return os.Getenv(directoryVariable) }

func supervise() (int, error) {
	dir, err := os.MkdirTemp(onDisk(), "tenant-isolation-nodes-")
	if err != nil {
		return 1, err
	}
	guard, release, err := startGuard(dir)
	if err != nil {
		return 1, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	first := exec.Command(self, os.Args[1:]...) //nolint:gosec // itself, as it was called
	first.Args[0] = os.Args[0]
	first.Stdin, first.Stdout, first.Stderr = nil, os.Stdout, os.Stderr
	first.Env = append(os.Environ(), roleVariable+"="+roleFirst, directoryVariable+"="+dir, "TMPDIR="+dir)
	// A process group of its own: the order in which all ends on Ctrl-C stays ours.
	first.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	status := 1
	if err = first.Start(); err == nil {
		status, err = await(first, signals)
	}
	// The guard does its work now.
	_ = release.Close()
	_ = guard.Wait()
	if found := left(dir); len(found) > 0 {
		return status, errors.Join(err, fmt.Errorf("left behind:\n\t%s", strings.Join(found, "\n\t")))
	}
	fmt.Fprintln(os.Stderr, "real nodes: nothing is left behind: no process, mount, network interface, cgroup or file")
	return status, err
}

// await passes signals on. The second ends all at once.
func await(first *exec.Cmd, signals <-chan os.Signal) (int, error) {
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	interrupted := false
	for {
		select {
		case s := <-signals:
			if interrupted {
				_ = first.Process.Kill()
				continue
			}
			interrupted = true
			fmt.Fprintln(os.Stderr, "real nodes: interrupted, stopping; again to stop at once")
			_ = first.Process.Signal(s)
		case err := <-ended:
			if interrupted {
				return 130, nil
			}
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				return max(exit.ExitCode(), 1), nil
			}
			return 0, err
		}
	}
}

// onDisk is a directory that is not in memory on most machines: images and layers go there.
func onDisk() string {
	if dir := os.Getenv("TMPDIR"); dir != "" {
		return dir
	}
	return "/var/tmp"
}

// Cgroups go away one level after the other, and only once their processes are gone; so do mounts of layers.
const guardScript = `
trap '' HUP INT TERM
cat >/dev/null
name=$(basename "$1")
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	left=$(find /sys/fs/cgroup -mindepth 1 -depth -type d -path "*/$name*" 2>/dev/null)
	[ -z "$left" ] || rmdir $left 2>/dev/null
	rm -rf "$1" 2>/dev/null
	left=$(find /sys/fs/cgroup -mindepth 1 -type d -path "*/$name*" 2>/dev/null)
	[ -z "$left" ] && [ ! -e "$1" ] && exit 0
	sleep 0.5
done
`

// startGuard starts the process that removes what the kernel does not. It waits for its standard input to end,
// which the kernel sees to however we go.
func startGuard(dir string) (*exec.Cmd, io.Closer, error) {
	guard := exec.Command("/bin/sh", "-c", guardScript, "guard", dir)
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := guard.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	return guard, pipe, guard.Start()
}

// beFirst is process 1: it starts the work, and waits for every process whose parent has ended.
func beFirst() int {
	if err := prepareFirst(); err != nil {
		fmt.Fprintln(os.Stderr, "real nodes: cannot run:", err)
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		return 1
	}
	work := exec.Command(self, os.Args[1:]...) //nolint:gosec // itself, as it was called
	work.Stdout, work.Stderr = os.Stdout, os.Stderr
	work.Env = append(os.Environ(), roleVariable+"="+roleWork)
	work.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := work.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "real nodes:", err)
		return 1
	}
	go func() {
		for range signals {
			// Nothing has to be put in order: what is killed here takes all with it.
			_ = syscall.Kill(-work.Process.Pid, syscall.SIGKILL)
		}
	}()
	return reap(work.Process.Pid)
}

// reap waits for all processes until a certain one has ended, and returns its status.
func reap(until int) int {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1
		case pid == until && status.Exited():
			return status.ExitStatus()
		case pid == until:
			return 1
		}
	}
}

func prepareFirst() error {
	// Nothing that is mounted from here on is seen outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	for _, folder := range []string{"bin", "images", "log", "nodes"} {
		if err := os.MkdirAll(filepath.Join(directory(), folder), 0o755); err != nil { //nolint:gosec // containers read some of it as other users
			return err
		}
	}
	// A node has a /var/lib of its own, so what it runs is not looked for where this repository is.
	if err := syscall.Mount(os.Getenv(programsVariable), filepath.Join(directory(), "bin"), "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting the programs of the nodes, %s=%q (make e2e builds them): %w", programsVariable, os.Getenv(programsVariable), err)
	}
	return os.Chmod(directory(), 0o755) //nolint:gosec // as above
}
