package policy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// Default returns the spec of a policy that chooses nothing.
func Default() *v1alpha1.IsolationPolicySpec {
	spec, errs := complete(nil, map[string]any{})
	utilruntime.Must(errs.ToAggregate())
	return spec
}

// Parse reads an IsolationPolicy from YAML or JSON. The error names every field at fault: one that does
// not exist, one that stands twice, and one whose value the API server would refuse.
func Parse(text []byte) (*v1alpha1.IsolationPolicy, error) {
	object, err := decode(text)
	if err != nil {
		return nil, err
	}
	return FromObject(object)
}

// FromObject reads an IsolationPolicy that has been decoded already. A status is taken as it is.
func FromObject(object map[string]any) (*v1alpha1.IsolationPolicy, error) {
	var meta metav1.TypeMeta
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &meta); err != nil {
		return nil, err
	}
	if got := meta.GroupVersionKind(); got != v1alpha1.Kind {
		return nil, fmt.Errorf("%s: want an IsolationPolicy of %s", got, v1alpha1.SchemeGroupVersion)
	}
	for key := range object {
		switch key {
		case "apiVersion", "kind", "metadata", "spec", "status":
		default:
			return nil, fmt.Errorf("%s: there is no such field", key)
		}
	}
	raw, ok := object["spec"].(map[string]any)
	if !ok && object["spec"] != nil {
		return nil, errors.New("spec: must be an object")
	}
	spec, errs := complete(field.NewPath("spec"), runtime.DeepCopyJSON(raw))
	if len(errs) > 0 {
		return nil, errs.ToAggregate()
	}
	rest := map[string]any{}
	for key, value := range object {
		if key != "spec" {
			rest[key] = value
		}
	}
	var policy v1alpha1.IsolationPolicy
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(rest, &policy); err != nil {
		return nil, err
	}
	policy.Spec = *spec
	return &policy, nil
}

// ParseSpec reads the spec of an IsolationPolicy from JSON or YAML, where it stands at a path.
func ParseSpec(path *field.Path, text []byte) (*v1alpha1.IsolationPolicySpec, error) {
	raw, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	spec, errs := complete(path, raw)
	return spec, errs.ToAggregate()
}

// Validate returns what is wrong with a spec that was made by a program.
func Validate(spec *v1alpha1.IsolationPolicySpec) field.ErrorList {
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	_, errs := complete(field.NewPath("spec"), raw)
	return errs
}

// decode reads an object as the API server does: a number without a fraction is an integer. Text with more than one is
// refused, as a reader would go by one of them.
func decode(text []byte) (map[string]any, error) {
	objects := 0
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		// One that is at fault is an object too, of which the decoder below says more.
		var content any
		if err := yaml.Unmarshal(document, &content); err != nil || content != nil {
			objects, text = objects+1, document
		}
	}
	if objects > 1 {
		return nil, fmt.Errorf("it has %d documents, and one object is wanted: leave the others out", objects)
	}
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	return object, json.Unmarshal(asJSON, &object)
}

func complete(path *field.Path, raw map[string]any) (*v1alpha1.IsolationPolicySpec, field.ErrorList) {
	if raw == nil {
		raw = map[string]any{}
	}
	if errs := ofSpec().complete(path, raw); len(errs) > 0 {
		return nil, errs
	}
	var spec v1alpha1.IsolationPolicySpec
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &spec); err != nil {
		return nil, field.ErrorList{field.Invalid(path, field.OmitValueType{}, err.Error())}
	}
	return &spec, nil
}
