package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/apis/config/v1"
)

const exampleHeader = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: tenant-isolation-scheduler
  plugins:
    multiPoint:
      enabled:
      - name: TenantIsolation
        weight: 100
    # The first of the filters and of the binders: elsewhere it places no pod.
    filter:
      enabled:
      - name: TenantIsolation
    bind:
      enabled:
      - name: TenantIsolation
  pluginConfig:
  - name: TenantIsolation
    args:
`

// defaultArguments returns the arguments as they are after defaulting, under their
// JSON names.
func defaultArguments() (map[string]any, error) {
	args := &v1.TenantIsolationArgs{}
	v1.SetDefaults(args)
	data, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	var defaults map[string]any
	return defaults, json.Unmarshal(data, &defaults)
}

// example returns a scheduler configuration with the defaults.
func example(t *types, defaults map[string]any) (string, error) {
	fields, err := t.exampleFields(t.structs[rootType], defaults)
	return exampleHeader + indent(fields, "      "), err
}

// exampleFields keeps the order of the source, which has the most common fields first; YAML
// would sort them.
func (t *types) exampleFields(s structType, values map[string]any) (string, error) {
	var b strings.Builder
	for _, field := range s.fields {
		value, ok := values[field.name]
		if !ok {
			continue // left out by default
		}
		if inner, ok := t.structs[field.base]; ok {
			object, ok := value.(map[string]any)
			if !ok {
				return "", fmt.Errorf("the default of %s is not an object", field.name)
			}
			fields, err := t.exampleFields(inner, object)
			if err != nil {
				return "", err
			}
			b.WriteString(field.name + ":\n" + indent(fields, "  "))
			continue
		}
		data, err := yaml.Marshal(map[string]any{field.name: value})
		if err != nil {
			return "", err
		}
		b.Write(data)
	}
	return b.String(), nil
}
