// Package arguments reads the arguments of the plugin in any of their forms: alone, in a
// scheduler configuration, or in the ConfigMap that holds one.
package arguments

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	schedulerv1 "k8s.io/kube-scheduler/config/v1"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	configv1 "tenantisolation.dev/scheduler/pkg/apis/config/v1"
	"tenantisolation.dev/scheduler/pkg/apis/config/validation"
)

const (
	pluginName   = "TenantIsolation"
	argumentKind = "TenantIsolationArgs"
)

// Default returns the default arguments.
func Default() *config.TenantIsolationArgs { return configv1.New() }

// Parse reads arguments from YAML or JSON: TenantIsolationArgs, a
// KubeSchedulerConfiguration, or a ConfigMap that contains one of them. In a configuration
// with several profiles, those with the plugin must have the same arguments.
func Parse(text []byte) (*config.TenantIsolationArgs, error) {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(text, &meta); err != nil {
		return nil, fmt.Errorf("not valid YAML: %w", err)
	}
	switch meta.Kind {
	case argumentKind:
		return decode(text)
	case "KubeSchedulerConfiguration":
		return fromConfiguration(text)
	case "ConfigMap":
		var object v1.ConfigMap
		if err := yaml.Unmarshal(text, &object); err != nil {
			return nil, err
		}
		return FromConfigMap(&object)
	}
	return nil, fmt.Errorf("kind %q: want a KubeSchedulerConfiguration, %s, or the ConfigMap of the scheduler", meta.Kind, argumentKind)
}

// FromConfigMap reads the scheduler configuration in a ConfigMap.
func FromConfigMap(object *v1.ConfigMap) (*config.TenantIsolationArgs, error) {
	for key, text := range object.Data {
		if !strings.Contains(text, "KubeSchedulerConfiguration") && !strings.Contains(text, argumentKind) {
			continue
		}
		args, err := Parse([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("ConfigMap %s/%s, key %s: %w", object.Namespace, object.Name, key, err)
		}
		return args, nil
	}
	return nil, fmt.Errorf("ConfigMap %s/%s contains no scheduler configuration", object.Namespace, object.Name)
}

func fromConfiguration(text []byte) (*config.TenantIsolationArgs, error) {
	var configuration schedulerv1.KubeSchedulerConfiguration
	if err := yaml.UnmarshalStrict(text, &configuration); err != nil {
		return nil, err
	}
	var found *config.TenantIsolationArgs
	var of, raw string
	for _, profile := range configuration.Profiles {
		for _, plugin := range profile.PluginConfig {
			if plugin.Name != pluginName {
				continue
			}
			name := ""
			if profile.SchedulerName != nil {
				name = *profile.SchedulerName
			}
			args, err := decode(plugin.Args.Raw)
			if err != nil {
				return nil, fmt.Errorf("profile %s: pluginConfig %s: %w", cmp.Or(name, "default-scheduler"), pluginName, err)
			}
			if found != nil && raw != string(plugin.Args.Raw) {
				return nil, fmt.Errorf("profiles %s and %s have different arguments for %s: give the arguments of one of them, as %s",
					of, name, pluginName, argumentKind)
			}
			found, of, raw = args, name, string(plugin.Args.Raw)
		}
	}
	if found == nil {
		return Default(), nil
	}
	return found, nil
}

// decode is strict: a typo in a security setting is an error.
func decode(text []byte) (*config.TenantIsolationArgs, error) {
	if len(text) == 0 {
		return nil, errors.New("args are empty")
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{config.AddToScheme, configv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	object, _, err := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDecoder().Decode(text, nil, nil)
	if err != nil {
		return nil, err
	}
	args, ok := object.(*config.TenantIsolationArgs)
	if !ok {
		return nil, fmt.Errorf("%T where %s is expected", object, argumentKind)
	}
	if err := validation.ValidateTenantIsolationArgs(nil, args).ToAggregate(); err != nil {
		return nil, err
	}
	return args, nil
}
