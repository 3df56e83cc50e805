//go:build e2e

package realnode

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The program that is ended in the test is this one, again.
const subjectVariable = "TENANT_ISOLATION_NODES_SUBJECT"

func TestMain(m *testing.M) {
	if os.Getenv(subjectVariable) != "" {
		os.Exit(Run(waitForTheEnd))
	}
	os.Exit(m.Run())
}

// waitForTheEnd makes one of each kind that a cluster makes, says so and waits.
func waitForTheEnd() int {
	node := &Node{Name: "node", number: 1, cluster: &Cluster{}, running: map[string]*service{}}
	err := errors.Join(connectCluster(), makeCgroups(node.cgroup()[1:]))
	if err == nil {
		err = node.boot(context.Background())
	}
	if err == nil {
		err = errors.Join(node.connect(context.Background()), node.start("waits", "sleep", "1000"))
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready", directory())
	select {}
}

func TestNothingIsLeft(t *testing.T) {
	for name, tc := range map[string]struct {
		signal syscall.Signal
		status int
	}{
		"after Ctrl-C":              {syscall.SIGINT, 130},
		"after a request to end":    {syscall.SIGTERM, 130},
		"after the program is dead": {syscall.SIGKILL, -1},
	} {
		t.Run(name, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), subjectVariable+"=1", "TMPDIR="+t.TempDir(), programsVariable+"="+t.TempDir())
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(out).ReadString('\n')
			dir, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
			if !ready {
				_ = cmd.Process.Kill()
				t.Fatalf("it says %q", line)
			}
			if len(left(dir)) < 5 {
				t.Errorf("while it runs only this is found of it: %q", left(dir))
			}
			if err := cmd.Process.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != tc.status {
				t.Errorf("its exit status is %d, want %d", got, tc.status)
			}
			// Only the program that was killed cannot wait for what removes the rest.
			deadline := time.Now()
			if tc.signal == syscall.SIGKILL {
				deadline = deadline.Add(patience)
			}
			for len(left(dir)) > 0 && time.Now().Before(deadline) {
				time.Sleep(poll)
			}
			for _, thing := range left(dir) {
				t.Errorf("left behind: %s", thing)
			}
		})
	}
}
