package validation

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

const (
	msgNamespace      = `write the name of a namespace, such as "kube-system"`
	msgEmptySelector  = "name a label that only platform namespaces have, or remove the selector: an empty one matches every namespace, so that everybody would be trusted by all"
	msgSelectsUnnamed = "add a label that only platform namespaces have, by matchLabels, In or Exists: this selector matches namespaces that nobody labelled, so that everybody would be trusted by all"
)

func validatePlatformNamespaces(path *field.Path, platform config.PlatformNamespaces) field.ErrorList {
	errs := each(path.Child("names"), platform.Names, func(at *field.Path, name string) field.ErrorList {
		return invalid(at, name, msgNamespace, utilvalidation.IsDNS1123Label(name))
	})
	return append(errs, validatePlatformSelector(path.Child("selector"), platform.Selector)...)
}

func validatePlatformSelector(path *field.Path, selector *metav1.LabelSelector) field.ErrorList {
	switch {
	case selector == nil:
		return nil
	case len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 0:
		return field.ErrorList{field.Required(path, msgEmptySelector)}
	}
	if errs := metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{}, path); len(errs) > 0 {
		return errs
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return field.ErrorList{field.Invalid(path, selector, err.Error())}
	}
	// An empty selector has disguises: one requirement that is true of any namespace is
	// as wide. So it is asked about a namespace that bears no label but the one that
	// Kubernetes gives to all, with a name that nobody can have written.
	// Two such names, so that leaving one of them out does not help.
	for _, name := range []string{"", "a-namespace-that-nobody-labelled"} {
		if parsed.Matches(labels.Set{corev1.LabelMetadataName: name}) {
			return field.ErrorList{field.Invalid(path, metav1.FormatLabelSelector(selector), msgSelectsUnnamed)}
		}
	}
	return nil
}
