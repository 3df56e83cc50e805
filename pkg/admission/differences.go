package admission

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// Difference is one way in which the policies of a cluster are not the shipped ones.
type Difference struct {
	// Kind and Name are those of the policy or binding.
	Kind, Name string
	// Field is the path of the first field that differs; empty if the object is missing.
	Field string
	// Message is a sentence that names the object, the field and both values.
	Message string
}

// Differences returns what is missing in a cluster or not as shipped. Other objects are no fault: a second
// policy or binding can only refuse more. With Audit, the form of manifests/overlays/audit is as shipped.
func Differences(live *Policies, enforcement v1alpha1.Enforcement) ([]Difference, error) {
	shipped, err := Shipped()
	if err != nil {
		return nil, err
	}
	scheme, err := policyScheme()
	if err != nil {
		return nil, err
	}
	if enforcement == v1alpha1.EnforcementAudit {
		shipped.observe()
	}
	return slices.Concat(
		differ(scheme, "ValidatingAdmissionPolicy", shipped.Validating, live.Validating,
			func(p *admissionv1.ValidatingAdmissionPolicy) (string, any) { return p.Name, &p.Spec }),
		differ(scheme, "ValidatingAdmissionPolicyBinding", shipped.ValidatingBindings, live.ValidatingBindings,
			func(p *admissionv1.ValidatingAdmissionPolicyBinding) (string, any) { return p.Name, &p.Spec }),
		differ(scheme, "MutatingAdmissionPolicy", shipped.Mutating, live.Mutating,
			func(p *admissionv1.MutatingAdmissionPolicy) (string, any) { return p.Name, &p.Spec }),
		differ(scheme, "MutatingAdmissionPolicyBinding", shipped.MutatingBindings, live.MutatingBindings,
			func(p *admissionv1.MutatingAdmissionPolicyBinding) (string, any) { return p.Name, &p.Spec }),
	), nil
}

// Keeper is the name of the policies that keep the API server following parameters; see manifests/crds.
const Keeper = "tenant-isolation-keeper"

// observe makes of the shipped policies what manifests/overlays/audit makes of them; the keepers are not of it.
func (p *Policies) observe() {
	ignore := admissionv1.Ignore
	never := []admissionv1.MatchCondition{{Name: "only-observe", Expression: "false"}}
	for i := range p.Validating {
		if policy := &p.Validating[i]; policy.Name != Keeper {
			policy.Spec.FailurePolicy = &ignore
			if slices.Contains(observeNothing(), policy.Name) {
				policy.Spec.MatchConditions = never
			}
		}
	}
	for i := range p.Mutating {
		if policy := &p.Mutating[i]; policy.Name != Keeper {
			policy.Spec.FailurePolicy = &ignore
			policy.Spec.MatchConditions = never
		}
	}
	for i := range p.ValidatingBindings {
		if binding := &p.ValidatingBindings[i]; binding.Name != Keeper {
			binding.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit, admissionv1.Warn}
		}
	}
}

// observeNothing are the policies about the table of dedicated nodes, which nobody keeps where the policies
// only observe.
func observeNothing() []string {
	return []string{"tenant-isolation-dedication", "tenant-isolation-fence", "tenant-isolation-fence-node-name"}
}

// differ compares the specs of the live objects of a kind with those of the shipped ones.
func differ[T any, P interface {
	*T
	runtime.Object
	DeepCopy() *T
}](scheme *runtime.Scheme, kind string, shipped, live []T, spec func(P) (string, any)) []Difference {
	there := map[string]any{}
	for i := range live {
		object := P(P(&live[i]).DeepCopy())
		scheme.Default(object)
		name, s := spec(object)
		there[name] = s
	}
	var found []Difference
	for i := range shipped {
		name, want := spec(P(&shipped[i]))
		got, ok := there[name]
		if !ok {
			found = append(found, Difference{Kind: kind, Name: name, Message: fmt.Sprintf("%s %s is missing", kind, name)})
			continue
		}
		if equality.Semantic.DeepEqual(want, got) {
			continue
		}
		field, was, is := firstDifference("spec", asTree(want), asTree(got))
		found = append(found, Difference{
			Kind: kind, Name: name, Field: field,
			Message: fmt.Sprintf("%s %s: %s is %s, and is shipped as %s", kind, name, field, brief(is, was), brief(was, is)),
		})
	}
	return found
}

// asTree is a spec as JSON has it. Nothing in a spec of this group fails to convert.
func asTree(spec any) any {
	tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
	if err != nil {
		return err.Error()
	}
	return tree
}

// firstDifference returns the path of the first difference of two trees, and what is there in each.
func firstDifference(path string, a, b any) (field string, inA, inB any) {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			break
		}
		keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
		slices.Sort(keys)
		for _, key := range keys {
			if !equality.Semantic.DeepEqual(a[key], b[key]) {
				return firstDifference(path+"."+key, a[key], b[key])
			}
		}
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			break
		}
		for i := range a {
			if !equality.Semantic.DeepEqual(a[i], b[i]) {
				return firstDifference(fmt.Sprintf("%s[%d]", path, i), a[i], b[i])
			}
		}
	}
	return path, a, b
}

// brief is a value in a few words, from shortly before it differs from another.
func brief(value, other any) string {
	const most, before = 80, 20
	if value == nil {
		return "missing"
	}
	text, otherText := inOneLine(value), inOneLine(other)
	start := 0
	for start < min(len(text), len(otherText)) && text[start] == otherText[start] {
		start++
	}
	start = max(0, min(start-before, len(text)-most))
	end := min(len(text), start+most)
	quoted := strconv.Quote(text[start:end])
	if start > 0 {
		quoted = "..." + quoted
	}
	if end < len(text) {
		quoted += "..."
	}
	return quoted
}

func inOneLine(value any) string { return strings.Join(strings.Fields(fmt.Sprint(value)), " ") }
