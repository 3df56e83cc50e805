package admission

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"
)

func readManifest(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "manifests", filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func shippedConfig(tb testing.TB) *Config {
	tb.Helper()
	c, err := ReadConfig(readManifest(tb, "base/scheduler-config.yaml"), readManifest(tb, "base/serviceaccount.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func render(tb testing.TB, c *Config) map[string]string {
	tb.Helper()
	files, err := c.Render()
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// policies are all validating policies of the rendered files, by name.
func policies(tb testing.TB, files map[string]string) map[string]*admissionregistrationv1.ValidatingAdmissionPolicy {
	tb.Helper()
	found := map[string]*admissionregistrationv1.ValidatingAdmissionPolicy{}
	for name, text := range files {
		decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), len(text))
		for {
			var policy admissionregistrationv1.ValidatingAdmissionPolicy
			err := decoder.Decode(&policy)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				tb.Fatalf("%s: %v", name, err)
			}
			if policy.Kind == "ValidatingAdmissionPolicy" {
				found[policy.Name] = &policy
			}
		}
	}
	return found
}

// evaluator evaluates a policy with the code of kube-apiserver.
type evaluator struct {
	policy                  *admissionregistrationv1.ValidatingAdmissionPolicy
	conditions, validations cel.ConditionEvaluator
}

func compile(tb testing.TB, policy *admissionregistrationv1.ValidatingAdmissionPolicy) *evaluator {
	tb.Helper()
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		tb.Fatal(err)
	}
	declared := cel.OptionalVariableDeclarations{HasParams: policy.Spec.ParamKind != nil, HasAuthorizer: true}
	for i := range policy.Spec.Variables {
		v := validating.Variable(policy.Spec.Variables[i])
		if result := compiler.CompileAndStoreVariable(&v, declared, environment.StoredExpressions); result.Error != nil {
			tb.Fatalf("%s: variable %s: %v", policy.Name, v.Name, result.Error)
		}
	}
	e := &evaluator{policy: policy}
	var conditions, validations []cel.ExpressionAccessor
	for _, c := range policy.Spec.MatchConditions {
		conditions = append(conditions, &validating.ValidationCondition{Expression: c.Expression})
	}
	for _, v := range policy.Spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: v.Expression})
	}
	e.conditions = compiler.CompileCondition(conditions, declared, environment.StoredExpressions)
	e.validations = compiler.CompileCondition(validations, declared, environment.StoredExpressions)
	return e
}

// request is the input of a policy.
type request struct {
	operation   admission.Operation
	resource    string
	subresource string
	object, old runtime.Object
	namespace   *corev1.Namespace
	params      runtime.Object
	user        user.DefaultInfo
}

// answer is the result of a policy: for each validation whether it holds, and the cost.
type answer struct {
	holds []bool
	cost  int64
}

func (a answer) allowed() bool {
	for _, holds := range a.holds {
		if !holds {
			return false
		}
	}
	return true
}

func (e *evaluator) ask(tb testing.TB, r request) answer {
	tb.Helper()
	attributes := admission.NewAttributesRecord(r.object, r.old, corev1.SchemeGroupVersion.WithKind("Pod"), "ns", "name",
		corev1.SchemeGroupVersion.WithResource(r.resource), r.subresource, r.operation, &metav1.UpdateOptions{}, false, &r.user)
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: attributes.GetKind()}
	if r.object != nil {
		versioned.VersionedObject = admission.NewLazyObject(r.object)
	}
	if r.old != nil {
		versioned.VersionedOldObject = admission.NewLazyObject(r.old)
	}
	created := cel.CreateAdmissionRequest(attributes, metav1.GroupVersionResource(attributes.GetResource()), metav1.GroupVersionKind(attributes.GetKind()))
	bound := cel.OptionalVariableBindings{VersionedParams: r.params, Authorizer: denyAuthorizer{}}
	evaluate := func(evaluator cel.ConditionEvaluator, budget int64) ([]bool, int64) {
		results, left, err := evaluator.ForInput(tb.Context(), versioned, created, bound, r.namespace, budget)
		if err != nil {
			tb.Fatalf("%s: %v", e.policy.Name, err)
		}
		var holds []bool
		for _, result := range results {
			if result.Error != nil {
				tb.Fatalf("%s: %s: %v", e.policy.Name, result.ExpressionAccessor.GetExpression(), result.Error)
			}
			holds = append(holds, result.EvalResult.Value() == true)
		}
		return holds, budget - left
	}
	matched, cost := evaluate(e.conditions, celconfig.RuntimeCELCostBudgetMatchConditions)
	if !(answer{holds: matched}).allowed() {
		return answer{cost: cost}
	}
	holds, more := evaluate(e.validations, celconfig.RuntimeCELCostBudget)
	return answer{holds: holds, cost: cost + more}
}

// denyAuthorizer grants no right.
type denyAuthorizer struct{}

func (denyAuthorizer) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", nil
}
