package app

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/klog/v2"
	kubescheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
	"tenantisolation.dev/scheduler/pkg/serverversion"
)

const (
	emulationFlag = "emulated-version"
	// versionPatience is how long a process waits at its start for an API server to answer.
	versionPatience = time.Minute
	versionRetry    = 2 * time.Second
	// versionPoll is how often the version of the API servers is looked at.
	versionPoll = 15 * time.Second
)

// NewCommand returns kube-scheduler's command with the plugin. Unless --emulated-version is set, it
// offers the features of the oldest API server of its cluster. The subcommand `lifecycle` is the chart's.
func NewCommand(process *Process) *cobra.Command {
	command := kubescheduler.NewSchedulerCommand(kubescheduler.WithPlugin(tenantisolation.Name, process.NewPlugin))
	setGlobals := command.PersistentPreRunE
	command.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		follower, err := followServers(cmd.Context(), cmd.Flags())
		if err != nil {
			return err
		}
		process.servers = follower
		return setGlobals(cmd, args)
	}
	command.AddCommand(newLifecycleCommand())
	command.CompletionOptions.DisableDefaultCmd = true
	return command
}

// follower keeps a process at the version of the API servers of its cluster.
type follower struct {
	config   *rest.Config
	binary   *version.Version
	emulated *version.Version
	// shutDown ends the process as SIGTERM does; false if it cannot be ended yet.
	shutDown func() bool
	started  sync.Once
}

// followServers sets the emulated version by the API servers. It returns nil if there is nothing to
// follow: the user has chosen a version, or no server is going to be asked.
func followServers(ctx context.Context, flags *pflag.FlagSet) (*follower, error) {
	if flags.Changed(emulationFlag) || flags.Changed("version") || flags.Changed("write-config-to") {
		return nil, nil
	}
	config := clientConfig(flags)
	if config == nil {
		return nil, nil
	}
	binary := compatibility.DefaultComponentGlobalsRegistry.EffectiveVersionFor(basecompatibility.DefaultKubeComponent).BinaryVersion()
	f := &follower{config: config, binary: version.MajorMinor(binary.Major(), binary.Minor()), shutDown: server.RequestShutdown}
	answer, err := f.firstAnswer(ctx)
	if err != nil {
		return nil, err
	}
	if err := serverversion.Supported(answer.Lowest); err != nil {
		return nil, err
	}
	f.emulated = f.emulationFor(answer.Lowest)
	return f, flags.Set(emulationFlag, f.emulated.String())
}

// emulationFor returns the version to emulate: never a newer one than the binary's own.
func (f *follower) emulationFor(server *version.Version) *version.Version {
	if server.GreaterThan(f.binary) {
		return f.binary
	}
	return server
}

// firstAnswer waits for an API server to answer. They may be starting as well.
func (f *follower) firstAnswer(ctx context.Context) (serverversion.Answer, error) {
	var answer serverversion.Answer
	var lastErr error
	err := wait.PollUntilContextTimeout(ctx, versionRetry, versionPatience, true, func(ctx context.Context) (bool, error) {
		answer, lastErr = serverversion.Ask(ctx, f.config)
		if lastErr != nil {
			klog.FromContext(ctx).Info("Waiting for an API server to tell its version", "err", lastErr)
		}
		return lastErr == nil, nil
	})
	if err != nil {
		return answer, fmt.Errorf("no API server tells its version, and --%s is not set: %w", emulationFlag, lastErr)
	}
	return answer, nil
}

// start logs the version that the process emulates, once logging is set up, and follows the servers
// until ctx ends. Only the first of several calls counts.
func (f *follower) start(ctx context.Context) {
	if f == nil {
		return
	}
	f.started.Do(func() {
		klog.FromContext(ctx).Info("Offering the features of the oldest API server", "version", f.emulated, "builtFor", f.binary)
		go f.follow(ctx, versionPoll)
	})
}

// follow ends the process when it should emulate another version: features are fixed at the start.
func (f *follower) follow(ctx context.Context, every time.Duration) {
	// It ends with ctx only, and then nothing is to be done.
	_ = wait.PollUntilContextCancel(ctx, every, false, func(ctx context.Context) (bool, error) {
		answer, err := serverversion.Ask(ctx, f.config)
		// Where nobody answers, nothing has changed.
		if outdated := err == nil && f.outdatedBy(answer); !outdated {
			return false, nil
		}
		klog.FromContext(ctx).Info("The version of the API servers has changed, exiting to start anew with it", "oldest", answer.Lowest, "emulated", f.emulated)
		return f.shutDown(), nil
	})
}

// outdatedBy reports whether the process should emulate another version. It rises only if every
// server has answered: one that is restarting may still be old.
func (f *follower) outdatedBy(answer serverversion.Answer) bool {
	wanted := f.emulationFor(answer.Lowest)
	return wanted.LessThan(f.emulated) || wanted.GreaterThan(f.emulated) && answer.Complete
}

// clientConfig returns the configuration with which kube-scheduler is going to connect, nil if there
// is none: kube-scheduler then fails with an error of its own.
func clientConfig(flags *pflag.FlagSet) *rest.Config {
	kubeconfig, master := flags.Lookup("kubeconfig").Value.String(), flags.Lookup("master").Value.String()
	if path := flags.Lookup("config").Value.String(); path != "" {
		var err error
		// With a configuration file kube-scheduler ignores --kubeconfig.
		if kubeconfig, err = kubeconfigIn(path); err != nil {
			return nil
		}
	}
	if kubeconfig == "" && master == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil
		}
		return config
	}
	config, err := clientcmd.BuildConfigFromFlags(master, kubeconfig)
	if err != nil {
		return nil
	}
	return config
}

// kubeconfigIn reads the one field that is needed. Decoding the whole file would read feature gates
// before they are set.
func kubeconfigIn(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var file struct {
		ClientConnection struct {
			Kubeconfig string `json:"kubeconfig"`
		} `json:"clientConnection"`
	}
	err = yaml.Unmarshal(text, &file)
	return file.ClientConnection.Kubeconfig, err
}
