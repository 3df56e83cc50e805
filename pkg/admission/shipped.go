package admission

import (
	"fmt"
	"sync"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	defaults "k8s.io/kubernetes/pkg/apis/admissionregistration/v1"

	"tenantisolation.dev/scheduler/manifests"
	"tenantisolation.dev/scheduler/pkg/manifest"
)

// Policies are admission policies and their bindings.
type Policies struct {
	Validating         []admissionv1.ValidatingAdmissionPolicy
	ValidatingBindings []admissionv1.ValidatingAdmissionPolicyBinding
	Mutating           []admissionv1.MutatingAdmissionPolicy
	MutatingBindings   []admissionv1.MutatingAdmissionPolicyBinding
}

// policyScheme knows the policies and the defaults that the API server gives them.
var policyScheme = sync.OnceValues(func() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := admissionv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return scheme, defaults.RegisterDefaults(scheme)
})

// Shipped returns the policies and bindings of manifests/overlays/default and the keepers of manifests/crds,
// with their defaults. They are the caller's own.
func Shipped() (*Policies, error) {
	all, err := parsed()
	if err != nil {
		return nil, err
	}
	return &Policies{
		Validating: copies(all.Validating), ValidatingBindings: copies(all.ValidatingBindings),
		Mutating: copies(all.Mutating), MutatingBindings: copies(all.MutatingBindings),
	}, nil
}

func copies[T any, P interface {
	*T
	DeepCopyInto(*T)
}](list []T) []T {
	all := make([]T, len(list))
	for i := range list {
		P(&list[i]).DeepCopyInto(&all[i])
	}
	return all
}

// parsed reads the embedded files once: the leader compares with them every few seconds.
var parsed = sync.OnceValues(func() (*Policies, error) {
	names, err := manifest.Files(manifests.Files, true)
	if err != nil {
		return nil, err
	}
	objects, err := manifest.ReadFiles(manifests.Files, names, "manifests")
	if err != nil {
		return nil, err
	}
	var all Policies
	for _, object := range objects {
		if err := all.add(object); err != nil {
			return nil, err
		}
	}
	return &all, nil
})

// add adds a policy or binding, and skips what is something else.
func (p *Policies) add(from *manifest.Object) error {
	scheme, err := policyScheme()
	if err != nil {
		return err
	}
	whole, err := from.Unstructured()
	if err != nil || !scheme.Recognizes(whole.GroupVersionKind()) {
		return err
	}
	json, err := whole.MarshalJSON()
	if err != nil {
		return err
	}
	object, _, err := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer().Decode(json, nil, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", from.At(), err)
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
	return nil
}
