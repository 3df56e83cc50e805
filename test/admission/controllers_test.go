package admission

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

// whileReadable runs a program until its own input ends: that happens also when the test
// is killed, and no program outlives it.
const whileReadable = `"$@" </dev/null & cat >/dev/null; kill $!; wait`

// startControllers runs kube-controller-manager, each controller as its own service account.
func startControllers(plane *controlplane.ControlPlane, root string) (stop func() error, err error) {
	program, err := controllerManager(plane, root)
	if err != nil {
		return nil, err
	}
	rootCA := filepath.Join(plane.Dir(), "root-ca.crt")
	if err := os.WriteFile(rootCA, plane.Admin().CAData, 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(plane.Dir(), "log", "controllers.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("/bin/sh", "-c", whileReadable, "controllers",
		program,
		"--kubeconfig="+plane.AdminKubeconfig(),
		"--use-service-account-credentials",
		"--secure-port=0",
		"--leader-elect=false",
		"--root-ca-file="+rootCA,
		"--service-account-private-key-file="+filepath.Join(plane.Dir(), "kube-apiserver", "sa-signer.key"),
		"--controllers=*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller,-ttl-controller",
		// The nodes that the attacks bind pods to have no kubelet.
		"--node-monitor-grace-period=1h",
		"--kube-api-qps=1000", "--kube-api-burst=1000",
	)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the controllers: %w", err)
	}
	return func() error {
		err := lifeline.Close()
		// Ended by a signal, as we asked.
		_ = cmd.Wait()
		return err
	}, nil
}

// controllerManager finds the program where the harness looks for the others.
func controllerManager(plane *controlplane.ControlPlane, root string) (string, error) {
	for _, dir := range []string{filepath.Dir(plane.KubectlPath()), filepath.Join(root, "bin", "control-plane")} {
		program := filepath.Join(dir, "kube-controller-manager")
		if _, err := os.Stat(program); err == nil {
			return program, nil
		}
	}
	return "", errors.New("run make control-plane: no kube-controller-manager")
}
