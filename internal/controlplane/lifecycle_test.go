package controlplane_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

// Set for a second run of this test binary, which then only holds a control plane for
// a test to kill.
const holdVariable = "CONTROLPLANE_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdVariable) != "" {
		hold()
		return
	}
	os.Exit(m.Run())
}

func hold() {
	c, err := controlplane.Start(context.Background(), controlplane.Options{ControllerManager: true, Kwok: true})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("up in", c.Dir())
	select {}
}

func TestStartInterruptedLeavesNothing(t *testing.T) {
	// The whole start takes some three seconds: before the first program, in etcd's,
	// in kube-apiserver's and shortly before the end.
	for _, moment := range []time.Duration{0, 10 * time.Millisecond, 300 * time.Millisecond, 1100 * time.Millisecond, 2500 * time.Millisecond} {
		t.Run("after "+moment.String(), func(t *testing.T) {
			temp := controlplanetest.OwnTempDir(t)
			interrupt := errors.New("interrupted by the test")
			ctx, cancel := context.WithCancelCause(t.Context())
			timer := time.AfterFunc(moment, func() { cancel(interrupt) })
			defer timer.Stop()
			c, err := controlplane.Start(ctx, controlplane.Options{ControllerManager: true, Kwok: true})
			if err == nil {
				// A fast machine was up before the interrupt; Stop is then what ends it.
				t.Logf("up before %s", moment)
				_ = c.Stop()
			} else if !errors.Is(err, interrupt) {
				t.Errorf("Start returns %q, want the reason of the interrupt", err)
			}
			controlplanetest.ExpectNothingLeft(t, temp)
		})
	}
}

func TestStartFailedSaysWhyAndLeavesNothing(t *testing.T) {
	temp := controlplanetest.OwnTempDir(t)
	_, err := controlplane.Start(t.Context(), controlplane.Options{
		APIServerFlags: map[string]string{"authorization-mode": "NoSuchMode"},
	})
	if err == nil {
		t.Fatal("kube-apiserver runs with an authorization mode that does not exist")
	}
	if !strings.Contains(err.Error(), `NoSuchMode`) {
		t.Errorf("the error lacks the end of kube-apiserver's log:\n%v", err)
	}
	controlplanetest.ExpectNothingLeft(t, temp)
}

func TestContextEndStopsTheControlPlane(t *testing.T) {
	temp := controlplanetest.OwnTempDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	// Waits for the stop that the context began: there is only one.
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	controlplanetest.ExpectNothingLeft(t, temp)
	_, err = c.StartScheduler(t.Context(), controlplane.SchedulerOptions{Program: "/bin/sh", Config: "/dev/null", User: c.Admin()})
	if err == nil {
		t.Error("a scheduler starts in a control plane that is stopped")
	}
}

func TestProcessKilledLeavesNothing(t *testing.T) {
	temp := controlplanetest.OwnTempDir(t)
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holdVariable+"=1")
	output, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(output)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "up in "+temp) {
		t.Errorf("the holder says %q, want where its control plane is", lines.Text())
	}
	if n := len(controlplanetest.ProcessesNaming(t, temp)); n < 4 {
		t.Errorf("%d processes of a running control plane are found, so finding none after it proves nothing", n)
	}
	if err := holder.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	eventually(t, "the guard to clean up", func(context.Context) (bool, error) {
		entries, err := os.ReadDir(temp)
		return len(entries) == 0 && len(controlplanetest.ProcessesNaming(t, temp)) == 0, err
	})
}

func TestProgramDeathIsReportedWithItsLog(t *testing.T) {
	c := controlplanetest.Start(t, controlplane.Options{Kwok: true})
	if err := c.Failed(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(c.Dir(), "config.yaml")
	text := "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofile: []\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// Not a scheduler, but it complains and ends, as a scheduler with a bad file does.
	_, err := c.StartScheduler(t.Context(), controlplane.SchedulerOptions{Program: "/bin/ls", Config: config, User: c.Admin()})
	if err == nil {
		t.Fatal("ls is taken for a scheduler that is ready")
	}
	for _, want := range []string{"scheduler ended by itself", "option"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if err := c.Failed(); err == nil {
		t.Error("Failed says nothing of a program that has ended")
	}
}

func TestProgramsMissing(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("KUBEBUILDER_ASSETS", "nowhere")
	_, err := controlplane.Start(t.Context(), controlplane.Options{Kwok: true})
	if err == nil {
		t.Fatal("a control plane starts without programs")
	}
	for _, want := range []string{"run make control-plane", "etcd, kube-apiserver, kubectl, kwok", "nowhere"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

func TestStopWithAnOpenWatch(t *testing.T) {
	c := controlplanetest.Start(t, controlplane.Options{})
	watch, err := client(t, c).CoreV1().Namespaces().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	begin := time.Now()
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	// kube-apiserver by itself would wait for a minute.
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the end took %s", took)
	}
}
