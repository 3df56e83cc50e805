package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

const kwokStages = "kwok-stages.yaml"

// The annotation of a node that kwok is to play the kubelet of.
const (
	FakeNodeAnnotation = "kwok.x-k8s.io/node"
	FakeNodeValue      = "fake"
)

// silence is how long the controller manager lets a node be silent. Fake nodes say something
// every ten minutes.
const silence = time.Hour

func (c *ControlPlane) startControllerManager(ctx context.Context, o Options) error {
	certs := c.plane.APIServer.CertDir
	rootCA := filepath.Join(certs, "root-ca.crt")
	if err := os.WriteFile(rootCA, c.admin.CAData, 0o600); err != nil {
		return err
	}
	// Nothing here serves or routes traffic, so objects made for Services are noise.
	controllers := "--controllers=*,-endpoints-controller,-endpointslice-mirroring-controller,-ttl-controller"
	if !o.EndpointSlices {
		controllers += ",-endpointslice-controller"
	}
	p, err := c.launch("kube-controller-manager", c.programs["kube-controller-manager"], append([]string{
		"--kubeconfig=" + c.adminKubeconfig,
		// Its own port would only serve metrics that no one reads.
		"--secure-port=0",
		"--leader-elect=false",
		"--root-ca-file=" + rootCA,
		"--service-account-private-key-file=" + filepath.Join(certs, "sa-signer.key"),
		controllers,
		"--node-monitor-grace-period=" + silence.String(),
		// Defaults that keep a small control plane from being overrun by a large
		// cluster; here they would only make a user wait.
		"--kube-api-qps=1000", "--kube-api-burst=1000",
		"--concurrent-deployment-syncs=10", "--concurrent-statefulset-syncs=10",
		"--concurrent-daemonset-syncs=10", "--concurrent-job-syncs=10",
	}, o.ControllerManagerArgs...)...)
	if err != nil {
		return err
	}
	client, err := c.Client()
	if err != nil {
		return err
	}
	// The first thing that pods depend on and that only a running controller makes.
	return c.waitFor(ctx, p, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}

func (c *ControlPlane) startKwok() error {
	_, err := c.launch("kwok", c.programs["kwok"],
		"--kubeconfig="+c.adminKubeconfig,
		"--config="+c.programs[kwokStages],
		"--manage-nodes-with-annotation-selector="+FakeNodeAnnotation+"="+FakeNodeValue,
		// No leases: kwok would overlook for good a pod that is bound before kwok has seen the node's lease
		// (readOnly in its pod_controller.go, v0.8.0), and renewing them is most of what an idle control plane writes.
		"--node-lease-duration-seconds=0",
		// Its default has addresses for 254 pods.
		"--cidr=10.244.0.0/16",
	)
	return err
}

// waitFor polls until ready, and gives up at once when the process that is waited for
// has ended.
func (c *ControlPlane) waitFor(ctx context.Context, p *Process, ready wait.ConditionWithContextFunc) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		if err := p.failure(); err != nil {
			return false, err
		}
		return ready(ctx)
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fmt.Errorf("%s is not ready after %s%s", p.Name, startTimeout, tail(p.log))
	}
	return err
}
