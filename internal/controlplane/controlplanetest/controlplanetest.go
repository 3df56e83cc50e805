// Package controlplanetest starts control planes for tests and sees to it that none
// outlives its test.
package controlplanetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

// Start runs a control plane for the length of a test. At the end the test fails if a
// process or the directory is still there; one that has failed shows what the programs said last.
func Start(tb testing.TB, o controlplane.Options) *controlplane.ControlPlane {
	tb.Helper()
	if o.Progress == nil {
		o.Progress = func(line string) { tb.Log(line) }
	}
	c, err := controlplane.Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log(c.LogEnds())
		}
		if err := c.Stop(); err != nil {
			tb.Errorf("stopping the control plane: %v", err)
		}
		ExpectNothingLeft(tb, c.Dir())
	})
	return c
}

// OwnTempDir gives the test, and what it starts, its own directory for temporary files, so that
// ExpectNothingLeft can check all of it.
func OwnTempDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	tb.Setenv("TMPDIR", dir)
	return dir
}

// ExpectNothingLeft fails the test if a file or directory is below path, or if a
// process names path in its command line, as every program of a control plane does.
func ExpectNothingLeft(tb testing.TB, path string) {
	tb.Helper()
	for _, process := range ProcessesNaming(tb, path) {
		tb.Errorf("still running: %s", process)
	}
	entries, err := os.ReadDir(path)
	if err != nil && !os.IsNotExist(err) {
		tb.Error(err)
	}
	for _, entry := range entries {
		tb.Errorf("still there: %s", filepath.Join(path, entry.Name()))
	}
}

// ProcessesNaming lists the processes with text in their command line, this one left out.
func ProcessesNaming(tb testing.TB, text string) []string {
	tb.Helper()
	commands, err := commandLines()
	if err != nil {
		tb.Fatal(err)
	}
	var found []string
	for pid, command := range commands {
		if pid != os.Getpid() && strings.Contains(command, text) {
			found = append(found, strconv.Itoa(pid)+" "+command)
		}
	}
	return found
}

func commandLines() (map[int]string, error) {
	commands := map[int]string{}
	// Small container images have /proc and no ps, other systems the other way round.
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		// A process that ends meanwhile has nothing to read.
		text, _ := os.ReadFile(path)
		commands[pid] = strings.ReplaceAll(string(text), "\x00", " ")
	}
	if len(commands) > 0 {
		return commands, nil
	}
	output, err := exec.Command("ps", "-A", "-o", "pid=,args=").Output()
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(output)) {
		number, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		if pid, err := strconv.Atoi(number); err == nil {
			commands[pid] = command
		}
	}
	return commands, nil
}
