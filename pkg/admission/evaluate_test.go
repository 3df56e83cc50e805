package admission_test

import (
	"context"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiserver "k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// shippedPolicy returns a validating policy as it is shipped.
func shippedPolicy(tb testing.TB, name string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	tb.Helper()
	all, err := admission.Shipped()
	if err != nil {
		tb.Fatal(err)
	}
	return named(tb, all.Validating, name)
}

// named returns the object of this name.
func named[T any, P interface {
	*T
	metav1.Object
}](tb testing.TB, all []T, name string) P {
	tb.Helper()
	for i := range all {
		if p := P(&all[i]); p.GetName() == name {
			return p
		}
	}
	tb.Fatalf("no %T %s is shipped", new(T), name)
	return nil
}

// inForce is a policy with the defaults, and two RuntimeClasses.
func inForce() *v1alpha1.InForce {
	spec := policy.Default()
	spec.Dedication.Mode = v1alpha1.ModeEnabled
	return &v1alpha1.InForce{
		Generation: 7,
		Spec:       *spec,
		RuntimeClasses: []v1alpha1.RuntimeClassBoundary{
			{Name: "gvisor", Handler: "runsc", Boundary: v1alpha1.BoundarySandbox},
			{Name: "kata-qemu", Handler: "kata-qemu", Boundary: v1alpha1.BoundaryVM},
			{Name: "plain", Handler: "crun", Boundary: v1alpha1.BoundaryContainer},
		},
	}
}

const schedulerName = "tenant-isolation-scheduler"

func parametersOf(inForce *v1alpha1.InForce) *corev1.ConfigMap {
	return admission.Parameters(inForce, []string{schedulerName})
}

// evaluator evaluates a policy with the code of kube-apiserver.
type evaluator struct {
	policy                  *admissionregistrationv1.ValidatingAdmissionPolicy
	conditions, validations cel.ConditionEvaluator
	messages                cel.ConditionEvaluator
}

// compilerOf returns a compiler that knows the variables of a policy, and what else its expressions may name.
func compilerOf(
	tb testing.TB, policy string, params *admissionregistrationv1.ParamKind, variables []admissionregistrationv1.Variable,
) (*cel.CompositedCompiler, cel.OptionalVariableDeclarations) {
	tb.Helper()
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		tb.Fatal(err)
	}
	declared := cel.OptionalVariableDeclarations{HasParams: params != nil, HasAuthorizer: true}
	for i := range variables {
		v := validating.Variable(variables[i])
		if result := compiler.CompileAndStoreVariable(&v, declared, environment.StoredExpressions); result.Error != nil {
			tb.Fatalf("%s: variable %s: %v", policy, v.Name, result.Error)
		}
	}
	return compiler, declared
}

func compile(tb testing.TB, policy *admissionregistrationv1.ValidatingAdmissionPolicy) *evaluator {
	tb.Helper()
	compiler, declared := compilerOf(tb, policy.Name, policy.Spec.ParamKind, policy.Spec.Variables)
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
	var messages []cel.ExpressionAccessor
	for _, v := range policy.Spec.Validations {
		if v.MessageExpression != "" {
			messages = append(messages, &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression})
		}
	}
	e.messages = compiler.CompileCondition(messages, declared, environment.StoredExpressions)
	return e
}

// request is the input of a policy.
type request struct {
	operation   apiserver.Operation
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
	// text is the message of the validation that composes one.
	text string
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
	if r.user.Name == "" {
		r.user.Name = "edith"
	}
	namespace := "ns"
	if r.namespace != nil && r.namespace.Name != "" {
		namespace = r.namespace.Name
	}
	attributes := apiserver.NewAttributesRecord(r.object, r.old, corev1.SchemeGroupVersion.WithKind("Pod"), namespace, "name",
		corev1.SchemeGroupVersion.WithResource(r.resource), r.subresource, r.operation, &metav1.UpdateOptions{}, false, &r.user)
	versioned := &apiserver.VersionedAttributes{Attributes: attributes, VersionedKind: attributes.GetKind()}
	if r.object != nil {
		versioned.VersionedObject = apiserver.NewLazyObject(r.object)
	}
	if r.old != nil {
		versioned.VersionedOldObject = apiserver.NewLazyObject(r.old)
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
	a := answer{holds: holds, cost: cost + more}
	if a.allowed() {
		return a
	}
	results, _, err := e.messages.ForInput(tb.Context(), versioned, created, bound, r.namespace, celconfig.RuntimeCELCostBudget)
	if err != nil {
		tb.Fatalf("%s: %v", e.policy.Name, err)
	}
	for _, result := range results {
		if result.Error == nil {
			a.text, _ = result.EvalResult.Value().(string)
		}
	}
	return a
}

// denyAuthorizer grants no right.
type denyAuthorizer struct{}

func (denyAuthorizer) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", nil
}
