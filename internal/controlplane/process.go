package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// politeStop is the time between SIGTERM and SIGKILL. It can be short: the data is deleted
// anyway, and kube-apiserver would wait a minute for an open watch.
const politeStop = 3 * time.Second

// Process is a program of the control plane that this package started.
type Process struct {
	Name string

	log     string
	pidFile string
	cmd     *exec.Cmd
	// exited is closed once the process is gone; exit is valid from then on.
	exited chan struct{}
	exit   error
	// stopping is set when the end was requested, which is then no failure.
	stopping atomic.Bool
}

// launch starts a program with its own log file and its own process group.
func (c *ControlPlane) launch(name, program string, args ...string) (*Process, error) {
	return c.Launch(name, program, nil, args...)
}

// Launch starts a program that belongs to the cluster and is none of the control plane's. It ends with
// the control plane. The environment is added to that of the other programs.
func (c *ControlPlane) Launch(name, program string, environment []string, args ...string) (*Process, error) {
	path, err := c.launcher(name, program)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(c.logFile(name))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own copy

	p := &Process{
		Name:    name,
		log:     log.Name(),
		pidFile: c.pidFile(name),
		cmd:     exec.Command(path, args...),
		exited:  make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(c.environment(), environment...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	// Under the lock, so that Stop sees either no process or one that it can end.
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, errStopped
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	c.processes = append(c.processes, p)
	go func() {
		p.exit = p.cmd.Wait()
		_ = os.Remove(p.pidFile) // its number may soon be another's
		close(p.exited)
	}()
	return p, nil
}

// PID returns the process id, which is also the id of its process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited returns a channel that is closed when the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Log returns the file with all that the process printed.
func (p *Process) Log() string { return p.log }

// Stop ends the process and waits for it: SIGTERM, then SIGKILL. It may be called
// more than once.
func (p *Process) Stop() {
	p.signal(syscall.SIGTERM)
	// A paused process would not handle it.
	p.signal(syscall.SIGCONT)
	select {
	case <-p.exited:
	case <-time.After(politeStop):
		p.Kill()
	}
}

// Kill ends the process at once, as a crash of its machine would, and waits for it.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

func (p *Process) signal(s syscall.Signal) {
	p.stopping.Store(true)
	select {
	case <-p.exited:
	default:
		_ = syscall.Kill(-p.PID(), s)
	}
}

// failure returns an error if the process ended without being stopped.
func (p *Process) failure() error {
	select {
	case <-p.exited:
	default:
		return nil
	}
	if p.stopping.Load() {
		return nil
	}
	cause := p.exit
	if cause == nil {
		cause = errors.New("exit status 0")
	}
	return fmt.Errorf("%s ended by itself: %w%s", p.Name, cause, tail(p.log))
}

const (
	tailLines = 15
	// A log can be large, its last lines are not.
	tailBytes = 256 << 10
)

// tail returns the end of a log, in a form to append to an error.
func tail(log string) string {
	file, err := os.Open(log)
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = file.Seek(-tailBytes, 2)
	}
	var content bytes.Buffer
	_, _ = content.ReadFrom(file)
	lines := strings.Split(strings.TrimSpace(content.String()), "\n")
	if from := len(lines) - tailLines; from > 0 {
		// The reason of a Go program's panic is above the traces of its goroutines.
		var cause []string
		if i := slices.IndexFunc(lines[:from], isCauseOfDeath); i >= 0 {
			cause = []string{lines[i], "..."}
		}
		lines = append(cause, lines[from:]...)
	}
	if text := strings.Join(lines, "\n\t"); text != "" {
		return "; the end of its log:\n\t" + text
	}
	return "; its log is empty"
}

// LogEnds returns the end of each program's log, for a test that has failed: Stop removes the logs.
func (c *ControlPlane) LogEnds() string {
	logs, _ := filepath.Glob(c.logFile("*")) // the pattern is a good one
	var ends strings.Builder
	for _, log := range logs {
		fmt.Fprintf(&ends, "%s%s\n", strings.TrimSuffix(filepath.Base(log), ".log"), tail(log))
	}
	return ends.String()
}

func isCauseOfDeath(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")
}

// pidOf reads the process id that a program's launcher has written; zero if it does not run.
func (c *ControlPlane) pidOf(name string) int {
	text, err := os.ReadFile(c.pidFile(name))
	if err != nil {
		return 0
	}
	// Empty in the instant between the launcher's creating and its writing the file.
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// runningPIDs reads the process ids that the launchers have written.
func (c *ControlPlane) runningPIDs() []int {
	entries, err := os.ReadDir(c.pidFile(""))
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		if pid := c.pidOf(entry.Name()); pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// endGroup ends a process that another part of this program waits for, and returns when
// it has been waited for.
func endGroup(pid int) {
	gone := func() bool { return errors.Is(syscall.Kill(-pid, 0), syscall.ESRCH) }
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	_ = syscall.Kill(-pid, syscall.SIGCONT)
	deadline := time.Now().Add(politeStop)
	for !gone() {
		if time.Now().After(deadline) {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		time.Sleep(pollInterval / 5)
	}
}
