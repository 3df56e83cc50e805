package admit

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/kubernetes/scheme"
)

// interfaces are those of the types of Kubernetes.
var interfaces = admission.NewObjectInterfacesFromScheme(scheme.Scheme)

// policyOfPods is a policy on the creation of pods, compiled as the API server does.
type policyOfPods struct {
	name string
	// where is what the binding matches.
	where      *admissionv1.MatchResources
	conditions matchconditions.Matcher
	mutations  []patch.Patcher
	// variables are those of the mutations.
	variables *cel.CompositedCompiler
	// validator is nil for a policy that changes pods.
	validator validating.Validator
}

// request is the creation of a pod.
type request struct {
	pod       *corev1.Pod
	namespace *corev1.Namespace
	params    runtime.Object
}

func (r *request) attributes() *admission.VersionedAttributes {
	creator := &user.DefaultInfo{Name: "tenant", Groups: []string{user.AllAuthenticated}}
	a := admission.NewAttributesRecord(r.pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), r.pod.Namespace, r.pod.Name,
		corev1.SchemeGroupVersion.WithResource("pods"), "", admission.Create, &metav1.CreateOptions{}, false, creator)
	return &admission.VersionedAttributes{Attributes: a, VersionedKind: a.GetKind(), VersionedObject: admission.NewLazyObject(r.pod)}
}

// nobody has no right beyond that to create the pod.
type nobody struct{}

func (nobody) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", nil
}

func compiler(variables []admissionv1.Variable, options cel.OptionalVariableDeclarations) (*cel.CompositedCompiler, error) {
	c, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return nil, err
	}
	for i := range variables {
		variable := validating.Variable(variables[i])
		if result := c.CompileAndStoreVariable(&variable, options, environment.StoredExpressions); result.Error != nil {
			return nil, fmt.Errorf("variable %s: %w", variable.Name, result.Error)
		}
	}
	return c, nil
}

func conditions(c *cel.CompositedCompiler, name string, all []admissionv1.MatchCondition, failure *admissionv1.FailurePolicyType, options cel.OptionalVariableDeclarations) matchconditions.Matcher {
	if len(all) == 0 {
		return nil
	}
	accessors := make([]cel.ExpressionAccessor, len(all))
	for i := range all {
		accessors[i] = (*matchconditions.MatchCondition)(&all[i])
	}
	return matchconditions.NewMatcher(c.CompileCondition(accessors, options, environment.StoredExpressions), failure, "policy", "validate", name)
}

func compileMutating(p *admissionv1.MutatingAdmissionPolicy, where *admissionv1.MatchResources) (*policyOfPods, error) {
	options := cel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil, HasAuthorizer: true}
	c, err := compiler(p.Spec.Variables, options)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", p.Name, err)
	}
	compiled := &policyOfPods{name: p.Name, where: where, variables: c, conditions: conditions(c, p.Name, p.Spec.MatchConditions, p.Spec.FailurePolicy, options)}
	options.HasPatchTypes = true
	for _, mutation := range p.Spec.Mutations {
		if mutation.JSONPatch == nil {
			return nil, fmt.Errorf("policy %s: only JSON patches are evaluated", p.Name)
		}
		expression := &patch.JSONPatchCondition{Expression: mutation.JSONPatch.Expression}
		compiled.mutations = append(compiled.mutations, patch.NewJSONPatcher(c.CompileMutatingEvaluator(expression, options, environment.StoredExpressions)))
	}
	return compiled, nil
}

func compileValidating(p *admissionv1.ValidatingAdmissionPolicy, where *admissionv1.MatchResources) (*policyOfPods, error) {
	options := cel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil, HasAuthorizer: true}
	c, err := compiler(p.Spec.Variables, options)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", p.Name, err)
	}
	var expressions, messages []cel.ExpressionAccessor
	for _, v := range p.Spec.Validations {
		expressions = append(expressions, &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason})
		var message cel.ExpressionAccessor
		if v.MessageExpression != "" {
			message = &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression}
		}
		messages = append(messages, message)
	}
	match := conditions(c, p.Name, p.Spec.MatchConditions, p.Spec.FailurePolicy, options)
	return &policyOfPods{name: p.Name, where: where, validator: validating.NewValidator(
		c.CompileCondition(expressions, options, environment.StoredExpressions), match,
		c.CompileCondition(nil, options, environment.StoredExpressions),
		c.CompileCondition(messages, options, environment.StoredExpressions), p.Spec.FailurePolicy, nil,
	)}, nil
}

// matches reports whether the policy looks at pods of a namespace.
func (p *policyOfPods) matches(r *request) (bool, error) {
	for _, of := range []struct {
		selector *metav1.LabelSelector
		labels   map[string]string
	}{{p.where.NamespaceSelector, r.namespace.Labels}, {p.where.ObjectSelector, r.pod.Labels}} {
		if of.selector == nil {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(of.selector)
		if err != nil || !selector.Matches(labels.Set(of.labels)) {
			return false, err
		}
	}
	return true, nil
}

// change applies the policy to the pod of a request.
func (p *policyOfPods) change(ctx context.Context, r *request) error {
	ctx = p.variables.CreateContext(ctx)
	attributes := r.attributes()
	if p.conditions != nil {
		result := p.conditions.Match(ctx, attributes, r.params, nobody{})
		if result.Error != nil || !result.Matches {
			return result.Error
		}
	}
	for _, mutation := range p.mutations {
		changed, err := mutation.Patch(ctx, patch.Request{
			MatchedResource: attributes.GetResource(), VersionedAttributes: attributes, ObjectInterfaces: interfaces,
			OptionalVariables: cel.OptionalVariableBindings{VersionedParams: r.params, Authorizer: nobody{}}, Namespace: r.namespace,
		}, celconfig.RuntimeCELCostBudget)
		if err != nil {
			return fmt.Errorf("policy %s: %w", p.name, err)
		}
		pod, ok := changed.(*corev1.Pod)
		if !ok {
			return fmt.Errorf("policy %s makes a %T", p.name, changed)
		}
		r.pod = pod
		attributes = r.attributes()
		ctx = p.variables.CreateContext(ctx)
	}
	return nil
}

// refusals returns why the policy refuses the pod of a request.
func (p *policyOfPods) refusals(ctx context.Context, r *request) []string {
	attributes := r.attributes()
	result := p.validator.Validate(ctx, attributes.GetResource(), attributes, r.params, r.namespace, celconfig.RuntimeCELCostBudget, nobody{})
	var all []string
	for i := range result.Decisions {
		if d := &result.Decisions[i]; d.Action == validating.ActionDeny {
			all = append(all, d.Message)
		}
	}
	return all
}
