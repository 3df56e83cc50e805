package admission

import (
	"bytes"
	"fmt"
	"io/fs"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	defaults "k8s.io/kubernetes/pkg/apis/admissionregistration/v1"

	"tenantisolation.dev/scheduler/manifests"
)

// Policies are admission policies and their bindings.
type Policies struct {
	Validating         []admissionv1.ValidatingAdmissionPolicy
	ValidatingBindings []admissionv1.ValidatingAdmissionPolicyBinding
	Mutating           []admissionv1.MutatingAdmissionPolicy
	MutatingBindings   []admissionv1.MutatingAdmissionPolicyBinding
}

// newScheme knows the policies and the defaults that the API server gives them.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := admissionv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return scheme, defaults.RegisterDefaults(scheme)
}

// Shipped returns the policies and bindings of manifests/overlays/default and the keepers of manifests/crds,
// with their defaults.
func Shipped() (*Policies, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	var all Policies
	err = fs.WalkDir(manifests.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := manifests.Files.ReadFile(path)
		if err != nil {
			return err
		}
		if err := all.read(scheme, text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &all, nil
}

// read adds the policies and bindings of a file, and skips what else is in it.
func (p *Policies) read(scheme *runtime.Scheme, text []byte) error {
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		json, err := utilyaml.ToJSON(document)
		if err != nil {
			return err
		}
		object, _, err := decoder.Decode(json, nil, nil)
		if runtime.IsNotRegisteredError(err) || runtime.IsMissingKind(err) {
			continue
		}
		if err != nil {
			return err
		}
		scheme.Default(object)
		switch object := object.(type) {
		case *admissionv1.ValidatingAdmissionPolicy:
			p.Validating = append(p.Validating, *object)
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			p.ValidatingBindings = append(p.ValidatingBindings, *object)
		case *admissionv1.MutatingAdmissionPolicy:
			p.Mutating = append(p.Mutating, *object)
		case *admissionv1.MutatingAdmissionPolicyBinding:
			p.MutatingBindings = append(p.MutatingBindings, *object)
		}
	}
	return nil
}
