package demo_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
	"tenantisolation.dev/scheduler/internal/demo"
	"tenantisolation.dev/scheduler/internal/karpenter"
)

// run runs a demo to its end and shows what it printed if the test fails.
func run(t *testing.T, o demo.Options) (*demo.Outcome, string) {
	t.Helper()
	temp := controlplanetest.OwnTempDir(t)
	var out bytes.Buffer
	o.Out = &out
	outcome, err := demo.Run(t.Context(), o)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the demo printed:\n%s", out.String())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	controlplanetest.ExpectNothingLeft(t, temp)
	return outcome, out.String()
}

func TestDemoWithKarpenter(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds Karpenter and waits for consolidation")
	}
	if _, err := karpenter.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	outcome, out := run(t, demo.Options{Autoscaler: demo.Karpenter})
	if !outcome.OK() {
		t.Error("the outcome is not OK")
	}
	// Five, five and two pods on a node for each tenant, before another privilege level has one.
	if outcome.Verdict.Pairs < 21 || outcome.NodesUsed < 3 {
		t.Errorf("only %d pairs of pods share a node, on %d nodes", outcome.Verdict.Pairs, outcome.NodesUsed)
	}
	for _, want := range []string{"s-4x for globex: globex x5", "s-2x for initech: initech x2", "s-2x for acme: acme-baseline x2", "0 break the rule", "removed them all again"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not printed", want)
		}
	}
}

func TestDemoKeepsTheRule(t *testing.T) {
	outcome, out := run(t, demo.Options{})
	if !outcome.OK() {
		t.Error("the outcome is not OK")
	}
	// A placement that shared nothing would be sound and show nothing.
	if outcome.Verdict.Pairs < 300 {
		t.Errorf("only %d pairs of pods share a node", outcome.Verdict.Pairs)
	}
	if outcome.NodesUsed >= outcome.StaticPools {
		t.Errorf("tenants use %d nodes, static pools %d: nothing is gained", outcome.NodesUsed, outcome.StaticPools)
	}
	for _, want := range []string{
		"as service account tenant-isolation-system/tenant-isolation-scheduler",
		fmt.Sprintf("checked %d pairs of pods on 24 nodes: 0 break the rule", outcome.Verdict.Pairs),
		"node(s) hold pods of another trust domain",
		"hooli-edge: cdn x2",
		"acme-archive: dossier\n    the label tenantisolation.dev/data-class of the namespace has a value that is not known",
		"the owner of namespace globex-api (tenant globex), with all rights in it, tried to:",
		"with a static pool for each trust domain: at least",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not say %q", want)
		}
	}
	if refused := strings.Count(out, "\n    refused: "); refused != 5 || strings.Contains(out, "SUCCEEDED") {
		t.Errorf("%d attacks are refused, want 5", refused)
	}
}

// Who watches the watchman: with the plugin and the policies off, on the same workload, the
// checker has to find what then goes wrong.
func TestDemoFailsWithoutThePlugin(t *testing.T) {
	config := filepath.Join(t.TempDir(), "without-plugin.yaml")
	text := `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
profiles: [{schedulerName: tenant-isolation-scheduler}]
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	outcome, out := run(t, demo.Options{SchedulerConfig: config, WithoutPolicies: true})
	if outcome.OK() || len(outcome.Verdict.Broken) == 0 || len(outcome.Verdict.Weak) == 0 {
		t.Errorf("%d pairs break the rule and %d pods are behind too little, want some of both", len(outcome.Verdict.Broken), len(outcome.Verdict.Weak))
	}
	if want := "was placed and should have been refused"; !strings.Contains(out, want) {
		t.Errorf("the demo does not say %q", want)
	}
}

func TestDemoOfARealApplication(t *testing.T) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	manifests := filepath.Join(root, "..", "shared", "data", "real", "online-boutique.yaml")
	if _, err := os.Stat(manifests); err != nil {
		t.Logf("passes without having looked at anything: %v", err)
		return
	}
	outcome, _ := run(t, demo.Options{Workload: manifests, Tenants: []string{"acme", "globex"}})
	if !outcome.OK() {
		t.Error("the outcome is not OK")
	}
	for _, pod := range outcome.Pending() {
		t.Errorf("%s/%s is Pending", pod.Namespace, pod.Name)
	}
	if want := 24; outcome.Placed != want {
		t.Errorf("%d pods are placed, want the 12 of the application twice", outcome.Placed)
	}
}

func TestDemoInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "demo")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./hack/demo")
	build.Dir = root
	// As make demo builds it.
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for moment, tc := range map[string]struct {
		args   []string
		status int
	}{
		// The demo's output shows the moment better than a clock, on any machine.
		"starting a control plane":        {status: 130},
		"kube-controller-manager started": {status: 130},
		"letting pods run":                {status: 130},
		"the scheduler started":           {status: 130},
		"pods placed":                     {status: 130},
		// By then all was shown.
		"export KUBECONFIG=": {args: []string{"-keep", "-nodes", "3", "-workload", smallWorkload(t)}, status: 0},
	} {
		t.Run("when it says "+moment, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			cmd := exec.Command(program, tc.args...)
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			status, out := interruptAfter(t, cmd, moment)
			if status != tc.status {
				t.Errorf("exit status %d, want %d; it printed\n%s", status, tc.status, out)
			}
			controlplanetest.ExpectNothingLeft(t, temp)
		})
	}
}

func smallWorkload(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pod.yaml")
	text := "apiVersion: v1\nkind: Pod\nmetadata: {name: one, namespace: somewhere}\nspec: {containers: [{name: c, image: example.com/c}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// interruptAfter sends SIGINT to the process group of a program, as a terminal does, once
// it has printed text.
func interruptAfter(t *testing.T, cmd *exec.Cmd, text string) (status int, printed string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out := &watched{text: text, seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the exit code says more
		close(exited)
	}()
	select {
	case <-out.seen:
	case <-exited:
		t.Errorf("it ended without saying %q", text)
	case <-ctx.Done():
		t.Errorf("it did not say %q in time", text)
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
	<-exited
	return cmd.ProcessState.ExitCode(), out.printed.String()
}

// watched keeps what is written to it and closes seen when it contains text. The program's
// output arrives in one goroutine of os/exec, and is read after that has ended.
type watched struct {
	printed bytes.Buffer
	text    string
	seen    chan struct{}
	closed  bool
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.printed.Write(p)
	if !w.closed && bytes.Contains(w.printed.Bytes(), []byte(w.text)) {
		w.closed = true
		close(w.seen)
	}
	return n, err
}
