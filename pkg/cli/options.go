package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// options are common to the commands.
type options struct {
	genericiooptions.IOStreams
	kube *genericclioptions.ConfigFlags

	// live: nothing but a cluster will do.
	live bool

	files      []string
	recursive  bool
	policyFile string
	tenantKey  string
}

// addInputFlags adds the flags that choose the input.
func (o *options) addInputFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVarP(&o.files, "filename", "f", nil,
		"Files or folders to read instead of the cluster: manifests, or the output of kubectl get as in the examples of audit, with isolationpolicies where installed. - is standard input")
	flags.BoolVarP(&o.recursive, "recursive", "R", false, "Read the subfolders of the folders given with -f")
	flags.StringVar(&o.policyFile, "policy", "",
		"File with an IsolationPolicy to judge by. The default is the one that is in force, of files the one among them, or else the defaults")
	flags.StringVar(&o.tenantKey, "tenant-key", "",
		"Namespace label that names the tenant, if another system has set one: capsule.clastix.io/tenant, field.cattle.io/projectId; 'namespace' makes every namespace a tenant of its own")
}

func (o *options) client() (kubernetes.Interface, error) {
	restConfig, err := o.restConfig()
	if err != nil {
		return nil, err
	}
	// JSON would take several times as long on a large cluster.
	restConfig.ContentType = "application/vnd.kubernetes.protobuf"
	restConfig.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return kubernetes.NewForConfig(restConfig)
}

// objects returns a client for custom resources.
func (o *options) objects() (dynamic.Interface, error) {
	restConfig, err := o.restConfig()
	if err != nil {
		return nil, err
	}
	return dynamic.NewForConfig(restConfig)
}

func (o *options) restConfig() (*rest.Config, error) {
	orFiles := ", or read files with -f"
	if o.live {
		orFiles = ""
	}
	if _, err := o.kube.ToRawKubeConfigLoader().RawConfig(); err == nil && !o.hasContext() {
		return nil, fmt.Errorf("no cluster is configured: choose one with --kubeconfig or --context%s", orFiles)
	}
	restConfig, err := o.kube.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("%w\nChoose a cluster with --kubeconfig or --context%s", err, orFiles)
	}
	restConfig.QPS, restConfig.Burst = -1, -1
	restConfig.UserAgent = "kubectl-isolation/" + Version()
	return restConfig, nil
}

// namespace is for objects without one.
func (o *options) namespace() (string, error) {
	if o.fromFiles() {
		if *o.kube.Namespace != "" {
			return *o.kube.Namespace, nil
		}
		return "default", nil
	}
	namespace, _, err := o.kube.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// wholeCluster refuses a namespace for a command that looks at all of them.
func (o *options) wholeCluster(cmd *cobra.Command) error {
	if !o.fromFiles() && *o.kube.Namespace != "" {
		return fmt.Errorf("%s looks at the whole cluster, because a node has pods of many namespaces: leave --namespace out. `%s explain POD -n %s` is about one pod",
			cmd.Name(), name, *o.kube.Namespace)
	}
	return nil
}

func (o *options) fromFiles() bool { return len(o.files) > 0 }

// readPolicy returns the policy of --policy, nil without the flag.
func (o *options) readPolicy() (*v1alpha1.IsolationPolicy, error) {
	if o.policyFile == "" {
		return nil, nil //nolint:nilnil // no file means no policy, which is not an error
	}
	text, err := os.ReadFile(o.policyFile)
	if err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	object, err := policy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("--policy %s: %w", o.policyFile, err)
	}
	return object, nil
}

// oneOf refuses an unknown output format. The first of the formats is empty.
func oneOf(output string, formats ...string) error {
	if slices.Contains(formats, output) {
		return nil
	}
	return fmt.Errorf("--output=%s: use %s", output, strings.Join(formats[1:], ", "))
}
