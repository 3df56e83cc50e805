package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/cli/arguments"
)

// options are what the commands have in common.
type options struct {
	genericiooptions.IOStreams
	kube *genericclioptions.ConfigFlags

	files     []string
	recursive bool
	argsFile  string
	tenantKey string
}

// addInputFlags adds the flags that say what is read.
func (o *options) addInputFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVarP(&o.files, "filename", "f", nil,
		"Files or folders to read instead of the cluster: manifests, or what `kubectl get nodes,ns,pods,runtimeclasses,pvc,pv,sc -A -o json` prints. - is standard input")
	flags.BoolVarP(&o.recursive, "recursive", "R", false, "Look into folders of folders given with -f")
	flags.StringVar(&o.argsFile, "config", "",
		"File with the plugin's arguments: a KubeSchedulerConfiguration, TenantIsolationArgs or a ConfigMap. Without it those of the installed scheduler, or else the defaults")
	flags.StringVar(&o.tenantKey, "tenant-key", "",
		"Label of namespaces that names the tenant, for clusters that have one already: capsule.clastix.io/tenant, field.cattle.io/projectId; `namespace` makes every namespace a tenant of its own")
	// A back quote in a usage text names the value.
	flags.Lookup("filename").Usage = strings.ReplaceAll(flags.Lookup("filename").Usage, "`", "'")
	flags.Lookup("tenant-key").Usage = strings.ReplaceAll(flags.Lookup("tenant-key").Usage, "`", "'")
}

func (o *options) client() (kubernetes.Interface, error) {
	if _, err := o.kube.ToRawKubeConfigLoader().RawConfig(); err == nil && !o.hasContext() {
		return nil, errors.New("no cluster is configured: name one with --kubeconfig or --context, or read files with -f")
	}
	restConfig, err := o.kube.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("%w\nName a cluster with --kubeconfig or --context, or read files with -f", err)
	}
	// Reading a large cluster as JSON would take several times as long.
	restConfig.ContentType = "application/vnd.kubernetes.protobuf"
	restConfig.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	restConfig.QPS, restConfig.Burst = -1, -1
	restConfig.UserAgent = "kubectl-isolation/" + Version()
	return kubernetes.NewForConfig(restConfig)
}

// namespace is where things are that name none.
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

func (o *options) fromFiles() bool { return len(o.files) > 0 }

// readArguments returns the arguments that a flag names, nil if none does.
func (o *options) readArguments() (*config.TenantIsolationArgs, error) {
	if o.argsFile == "" {
		return nil, nil //nolint:nilnil // no file is no arguments, and no fault
	}
	text, err := os.ReadFile(o.argsFile)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	args, err := arguments.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("--config %s: %w", o.argsFile, err)
	}
	return args, nil
}

// oneOf refuses an output format that a command does not have. The empty one is the first.
func oneOf(output string, formats ...string) error {
	if slices.Contains(formats, output) {
		return nil
	}
	return fmt.Errorf("--output=%s: use %s", output, strings.Join(formats[1:], ", "))
}
