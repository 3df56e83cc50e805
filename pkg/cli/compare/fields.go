package compare

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// judging are the fields that pods, nodes and classes are judged by: the rest of the comparison has all of
// their effect.
var judging = []string{"dataClasses", "separateBy", "sharing", "boundaries", "platformNamespaces", "tenantFrom"}

// fields returns the fields in which two specs differ.
func fields(before, after *v1alpha1.IsolationPolicySpec) ([]Field, error) {
	a, err := runtime.DefaultUnstructuredConverter.ToUnstructured(before)
	if err != nil {
		return nil, err
	}
	b, err := runtime.DefaultUnstructuredConverter.ToUnstructured(after)
	if err != nil {
		return nil, err
	}
	all := []Field{}
	err = differences("", a, b, &all)
	for i := range all {
		top, _, _ := strings.Cut(all[i].Path, ".")
		all[i].Later = !slices.Contains(judging, top)
	}
	return all, err
}

// differences descends into structs. A map of the administrator's own keys is shown whole.
func differences(path string, before, after map[string]any, all *[]Field) error {
	keys := map[string]bool{}
	for key := range before {
		keys[key] = true
	}
	for key := range after {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := strings.TrimPrefix(path+"."+key, ".")
		a, b := before[key], after[key]
		if reflect.DeepEqual(a, b) {
			continue
		}
		aMap, aIs := a.(map[string]any)
		bMap, bIs := b.(map[string]any)
		if aIs && bIs && at != "boundaries.handlers" && at != "runtimeClasses.byDataClass" {
			if err := differences(at, aMap, bMap, all); err != nil {
				return err
			}
			continue
		}
		field := Field{Path: at}
		var err error
		if field.Before, err = shown(a); err != nil {
			return err
		}
		if field.After, err = shown(b); err != nil {
			return err
		}
		*all = append(*all, field)
	}
	return nil
}

// shown writes a value as it is written in a policy.
func shown(value any) (string, error) {
	if text, ok := value.(string); ok {
		return text, nil
	}
	if value == nil {
		return "none", nil
	}
	text, err := json.Marshal(value)
	return string(text), err
}
