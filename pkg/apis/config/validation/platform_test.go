package validation

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

func requires(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
}

func expressions(requirements ...metav1.LabelSelectorRequirement) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: requirements}
}

func TestValidatePlatformNamespaces(t *testing.T) {
	const everyone = "matches namespaces without labels"
	tests := map[string]struct {
		names    []string
		selector *metav1.LabelSelector
		want     []fault
	}{
		"no names and no selector are accepted": {},
		"a name that no namespace can have is refused": {
			names: []string{"kube-system", "kube_system"},
			want:  []fault{{"platform.names[1]", field.ErrorTypeInvalid, msgNamespace + ": "}},
		},
		"an empty name is refused": {
			names: []string{""},
			want:  []fault{{"platform.names[0]", field.ErrorTypeInvalid, msgNamespace}},
		},
		"a repeated name is refused": {
			names: []string{"kube-system", "kube-system"},
			want:  []fault{{"platform.names[1]", field.ErrorTypeDuplicate, msgRepeated}},
		},

		"a label with a value is accepted": {
			selector: &metav1.LabelSelector{MatchLabels: map[string]string{"example.com/platform": "true"}},
		},
		"a label that must exist is accepted": {
			selector: expressions(requires("example.com/platform", metav1.LabelSelectorOpExists)),
		},
		"a namespace chosen by the name that Kubernetes labels it with is accepted": {
			selector: expressions(requires("kubernetes.io/metadata.name", metav1.LabelSelectorOpIn, "monitoring")),
		},
		"a label that must exist, less some of its values, is accepted": {
			selector: expressions(
				requires("example.com/layer", metav1.LabelSelectorOpExists),
				requires("example.com/layer", metav1.LabelSelectorOpNotIn, "application"),
			),
		},

		"a selector that leaves out only a name that no namespace can have is refused": {
			selector: expressions(requires("kubernetes.io/metadata.name", metav1.LabelSelectorOpNotIn, "")),
			want:     []fault{{"platform.selector", field.ErrorTypeInvalid, everyone}},
		},
		"an empty selector is refused: it matches every namespace": {
			selector: &metav1.LabelSelector{},
			want:     []fault{{"platform.selector", field.ErrorTypeRequired, "an empty selector matches every namespace"}},
		},
		"an empty selector of empty lists is refused too": {
			selector: &metav1.LabelSelector{MatchLabels: map[string]string{}, MatchExpressions: []metav1.LabelSelectorRequirement{}},
			want:     []fault{{"platform.selector", field.ErrorTypeRequired, "an empty selector matches every namespace"}},
		},
		"a selector of what a label must not be is refused": {
			selector: expressions(requires("example.com/layer", metav1.LabelSelectorOpNotIn, "application")),
			want:     []fault{{"platform.selector", field.ErrorTypeInvalid, everyone}},
		},
		"a selector of what must not be labelled is refused": {
			selector: expressions(requires("tenantisolation.dev/tenant", metav1.LabelSelectorOpDoesNotExist)),
			want:     []fault{{"platform.selector", field.ErrorTypeInvalid, everyone}},
		},
		"a selector of the label that every namespace has is refused": {
			selector: expressions(requires("kubernetes.io/metadata.name", metav1.LabelSelectorOpExists)),
			want:     []fault{{"platform.selector", field.ErrorTypeInvalid, everyone}},
		},
		"a selector of all names but some is refused": {
			selector: expressions(requires("kubernetes.io/metadata.name", metav1.LabelSelectorOpNotIn, "acme")),
			want:     []fault{{"platform.selector", field.ErrorTypeInvalid, everyone}},
		},

		"every malformed part of a selector is refused where it stands": {
			selector: &metav1.LabelSelector{
				MatchLabels: map[string]string{"a b": "true"},
				MatchExpressions: []metav1.LabelSelectorRequirement{
					requires("example.com/layer", metav1.LabelSelectorOpIn),
					requires("example.com/layer", "Contains", "x y"),
				},
			},
			want: []fault{
				{"platform.selector.matchLabels", field.ErrorTypeInvalid, ""},
				{"platform.selector.matchExpressions[0].values", field.ErrorTypeRequired, ""},
				{"platform.selector.matchExpressions[1].operator", field.ErrorTypeInvalid, ""},
				{"platform.selector.matchExpressions[1].values[0]", field.ErrorTypeInvalid, ""},
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			platform := config.PlatformNamespaces{Names: tc.names, Selector: tc.selector}
			check(t, tc.want, validatePlatformNamespaces(field.NewPath("platform"), platform))
		})
	}
}
