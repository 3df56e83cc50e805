package admission

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/apis/config/scheme"
	"tenantisolation.dev/scheduler/pkg/apis/config/v1"
	"tenantisolation.dev/scheduler/pkg/apis/config/validation"
)

const pluginName = "TenantIsolation"

// Config is the input of the policies.
type Config struct {
	// Args are the arguments of the plugin, with their defaults.
	Args *config.TenantIsolationArgs
	// SchedulerNames are the profiles that isolate. Pods get the first, unless they name
	// another of them.
	SchedulerNames []string
	// ServiceAccount is the user name of the scheduler, the only one that binds.
	ServiceAccount string
	// Namespace is where the scheduler and the parameters live.
	Namespace string

	// What they were read from.
	text    string
	account []byte
}

// ReadConfig reads a scheduler configuration as the scheduler does, strictly and with
// defaults, and the manifest of its service account.
func ReadConfig(schedulerConfig, serviceAccount []byte) (*Config, error) {
	object, _, err := scheme.Codecs.UniversalDecoder().Decode(schedulerConfig, nil, nil)
	if err != nil {
		return nil, err
	}
	decoded, ok := object.(*schedulerconfig.KubeSchedulerConfiguration)
	if !ok {
		return nil, fmt.Errorf("want a KubeSchedulerConfiguration, got %T", object)
	}
	c := &Config{text: string(schedulerConfig), account: serviceAccount}
	for i := range decoded.Profiles {
		if err := c.addProfile(field.NewPath("profiles").Index(i), &decoded.Profiles[i]); err != nil {
			return nil, err
		}
	}
	if len(c.SchedulerNames) == 0 {
		return nil, fmt.Errorf("no profile enables the plugin %s", pluginName)
	}

	var account corev1.ServiceAccount
	if err := yaml.UnmarshalStrict(serviceAccount, &account); err != nil {
		return nil, fmt.Errorf("service account: %w", err)
	}
	if account.Name == "" || account.Namespace == "" {
		return nil, errors.New("service account: its name or namespace is missing")
	}
	c.Namespace = account.Namespace
	c.ServiceAccount = "system:serviceaccount:" + account.Namespace + ":" + account.Name
	return c, nil
}

// addProfile adds a profile if it isolates. Two profiles that isolate differently would need
// two sets of policies, and pods that could choose between them.
func (c *Config) addProfile(path *field.Path, profile *schedulerconfig.KubeSchedulerProfile) error {
	plugins := profile.Plugins
	if plugins == nil || (!enables(plugins.MultiPoint) && !enables(plugins.Filter)) {
		return nil
	}
	name := path.Child("schedulerName")
	args := v1.New()
	for i := range profile.PluginConfig {
		if profile.PluginConfig[i].Name != pluginName {
			continue
		}
		path = path.Child("pluginConfig").Index(i).Child("args")
		var ok bool
		if args, ok = profile.PluginConfig[i].Args.(*config.TenantIsolationArgs); !ok {
			return fmt.Errorf("%s: want TenantIsolationArgs, got %T", path, profile.PluginConfig[i].Args)
		}
	}
	if err := validation.ValidateTenantIsolationArgs(path, args).ToAggregate(); err != nil {
		return err
	}
	if c.Args != nil && !reflect.DeepEqual(c.Args, args) {
		return fmt.Errorf("%s: differs from the arguments of profile %s: one set of policies cannot serve both", path, c.SchedulerNames[0])
	}
	// The policies carry the names in one string, from which they are cut out.
	if strings.ContainsAny(profile.SchedulerName, " \t\n\"\\") {
		return fmt.Errorf("%s: the name %q cannot be written into policies: use letters, digits, dashes and dots", name, profile.SchedulerName)
	}
	c.Args = args
	c.SchedulerNames = append(c.SchedulerNames, profile.SchedulerName)
	return nil
}

func enables(set schedulerconfig.PluginSet) bool {
	return slices.ContainsFunc(set.Enabled, func(p schedulerconfig.Plugin) bool { return p.Name == pluginName })
}
