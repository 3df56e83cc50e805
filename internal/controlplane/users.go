package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// AddUser creates a user with a client certificate. It has only the rights that RBAC gives to its
// name and groups.
func (c *ControlPlane) AddUser(name string, groups ...string) (*rest.Config, error) {
	user, err := c.plane.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1})
	if err != nil {
		return nil, err
	}
	return user.Config(), nil
}

// tokenSeconds outlasts a demo that is kept running over a weekend: there is no kubelet to fetch a
// new token.
const tokenSeconds = 7 * 24 * 60 * 60

// ServiceAccount is a configuration that acts as a service account, which must exist,
// through a token of the kind that its pods would get.
func (c *ControlPlane) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](tokenSeconds)}}
	response, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("a token for service account %s/%s: %w", namespace, name, err)
	}
	config := rest.AnonymousClientConfig(c.admin)
	config.BearerToken = response.Status.Token
	config.QPS = -1
	return config, nil
}

// AwaitAccess returns when the API server knows that a user has a right. It reads roles and bindings from a cache, so that
// one that has just been given is refused for a moment.
func (c *ControlPlane) AwaitAccess(ctx context.Context, right authorizationv1.SubjectAccessReviewSpec) error {
	client, err := c.Client()
	if err != nil {
		return err
	}
	review := &authorizationv1.SubjectAccessReview{Spec: right}
	err = wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed, err
	})
	if err != nil {
		return fmt.Errorf("the rights of %s: %w", right.User, err)
	}
	return nil
}

// WriteKubeconfig writes a kubeconfig into the control plane's directory and returns
// its path.
func (c *ControlPlane) WriteKubeconfig(name string, config *rest.Config) (string, error) {
	const entry = "local"
	file := clientcmdapi.NewConfig()
	file.Clusters[entry] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[entry] = &clientcmdapi.AuthInfo{
		ClientCertificateData: config.CertData,
		ClientKeyData:         config.KeyData,
		Token:                 config.BearerToken,
	}
	file.Contexts[entry] = &clientcmdapi.Context{Cluster: entry, AuthInfo: entry}
	file.CurrentContext = entry
	path := filepath.Join(c.dir, name+".kubeconfig")
	return path, clientcmd.WriteToFile(*file, path)
}

// AdminKubeconfig is the file that lets a user look around: export KUBECONFIG=...
func (c *ControlPlane) AdminKubeconfig() string { return c.adminKubeconfig }

// KubectlPath is the kubectl of the control plane's own release.
func (c *ControlPlane) KubectlPath() string { return c.programs["kubectl"] }

// Kubectl runs kubectl as the administrator and returns what it prints.
func (c *ControlPlane) Kubectl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.programs["kubectl"], args...)
	cmd.Env = c.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
