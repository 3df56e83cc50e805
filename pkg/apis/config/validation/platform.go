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
	msgEmptySelector  = "add a label that only platform namespaces have, or remove the selector: an empty selector matches every namespace, so no pod would be isolated"
	msgSelectsUnnamed = "add a label that only platform namespaces have, by matchLabels, In or Exists: this selector matches namespaces without labels, so their pods would not be isolated"
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
	// A selector can be as wide as an empty one without being empty. So it must not match a
	// namespace that has only the label that Kubernetes sets, with an arbitrary name. Two
	// names are tried, so that a selector that excludes one of them is refused too.
	for _, name := range []string{"", "a-namespace-without-labels"} {
		if parsed.Matches(labels.Set{corev1.LabelMetadataName: name}) {
			return field.ErrorList{field.Invalid(path, metav1.FormatLabelSelector(selector), msgSelectsUnnamed)}
		}
	}
	return nil
}
