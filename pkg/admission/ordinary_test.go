package admission_test

import (
	"context"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	apiserver "k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"

	"tenantisolation.dev/scheduler/pkg/admission"
)

// shippedMutation returns a mutating policy as it is shipped.
func shippedMutation(tb testing.TB, name string) *admissionregistrationv1.MutatingAdmissionPolicy {
	tb.Helper()
	all, err := admission.Shipped()
	if err != nil {
		tb.Fatal(err)
	}
	return named(tb, all.Mutating, name)
}

// mutator applies the first mutation of a policy with the code of kube-apiserver.
type mutator struct {
	compiler *cel.CompositedCompiler
	matcher  matchconditions.Matcher
	patcher  patch.Patcher
	objects  apiserver.ObjectInterfaces
}

func compileMutation(tb testing.TB, policy *admissionregistrationv1.MutatingAdmissionPolicy) *mutator {
	tb.Helper()
	compiler, declared := compilerOf(tb, policy.Name, policy.Spec.ParamKind, policy.Spec.Variables)
	m := &mutator{compiler: compiler}
	if len(policy.Spec.MatchConditions) > 0 {
		var conditions []cel.ExpressionAccessor
		for i := range policy.Spec.MatchConditions {
			conditions = append(conditions, (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i]))
		}
		m.matcher = matchconditions.NewMatcher(
			compiler.CompileCondition(conditions, declared, environment.StoredExpressions), policy.Spec.FailurePolicy, "policy", "validate", policy.Name)
	}
	declared.HasPatchTypes = true
	evaluator := compiler.CompileMutatingEvaluator(
		&patch.JSONPatchCondition{Expression: policy.Spec.Mutations[0].JSONPatch.Expression}, declared, environment.StoredExpressions)
	for _, err := range evaluator.CompilationErrors() {
		tb.Fatalf("%s: %v", policy.Name, err)
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		tb.Fatal(err)
	}
	m.patcher, m.objects = patch.NewJSONPatcher(evaluator), apiserver.NewObjectInterfacesFromScheme(scheme)
	return m
}

// patch returns the pod as the policy leaves it.
func (m *mutator) patch(tb testing.TB, r request) *corev1.Pod {
	tb.Helper()
	attributes := r.attributes()
	ctx := m.compiler.CreateContext(tb.Context())
	versioned := &apiserver.VersionedAttributes{
		Attributes: attributes, VersionedKind: attributes.GetKind(), VersionedObject: apiserver.NewLazyObject(r.object),
	}
	if m.matcher != nil {
		switch result := m.matcher.Match(ctx, versioned, r.params, denyAuthorizer{}); {
		case result.Error != nil:
			tb.Fatal(result.Error)
		case !result.Matches:
			return r.object.(*corev1.Pod)
		}
	}
	patched, err := m.patcher.Patch(ctx, patch.Request{
		MatchedResource: attributes.GetResource(), VersionedAttributes: versioned,
		ObjectInterfaces:  m.objects,
		OptionalVariables: cel.OptionalVariableBindings{VersionedParams: r.params, Authorizer: denyAuthorizer{}},
		Namespace:         r.namespace,
	}, celconfig.RuntimeCELCostBudget)
	if err != nil {
		tb.Fatal(err)
	}
	return patched.(*corev1.Pod)
}

// attributes are those of the request of a pod.
func (r *request) attributes() apiserver.Attributes {
	if r.user.Name == "" {
		r.user = user.DefaultInfo{Name: "edith", Groups: []string{"system:authenticated"}}
	}
	return apiserver.NewAttributesRecord(r.object, r.old, corev1.SchemeGroupVersion.WithKind("Pod"), "ns", "name",
		corev1.SchemeGroupVersion.WithResource(r.resource), r.subresource, r.operation, &metav1.CreateOptions{}, false, &r.user)
}

// ordinaryPod is a pod of a Deployment, as the plugins of the API server leave it.
func ordinaryPod() *corev1.Pod {
	container := func(name string) corev1.Container {
		probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}}
		return corev1.Container{
			Name: name, Image: "registry.example.com/" + name + ":1.2.3", Env: []corev1.EnvVar{{Name: "MODE", Value: "production"}},
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("128Mi")},
				Limits:   corev1.ResourceList{"memory": resource.MustParse("128Mi")},
			},
			LivenessProbe: probe, ReadinessProbe: probe, SecurityContext: restrictedContext(),
			VolumeMounts: []corev1.VolumeMount{{Name: "kube-api-access", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}},
		}
	}
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "web-5d4f8c7b9-", Namespace: "ns",
			Labels: map[string]string{"app": "web", "pod-template-hash": "5d4f8c7b9", "version": "v1"},
		},
		Spec: corev1.PodSpec{
			SchedulerName: "default-scheduler", ServiceAccountName: "default", TerminationGracePeriodSeconds: new(int64(30)),
			Priority:   new(int32(0)),
			Containers: []corev1.Container{container("web"), container("proxy")},
			Tolerations: []corev1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: new(int64(300))},
				{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: new(int64(300))},
			},
			Volumes: []corev1.Volume{{Name: "kube-api-access", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
					{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}},
				},
			}}}},
		},
	}
}

// BenchmarkOrdinaryPod measures what a pod without anything special costs, beside the least that a policy of
// the same kind costs, where nobody else changes new pods.
func BenchmarkOrdinaryPod(b *testing.B) {
	trivialMutation := &admissionregistrationv1.MutatingAdmissionPolicy{}
	trivialMutation.Spec.Mutations = []admissionregistrationv1.Mutation{{JSONPatch: &admissionregistrationv1.JSONPatch{
		Expression: `[JSONPatch{op: "add", path: "/spec/schedulerName", value: "another"}]`,
	}}}
	trivial := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	trivial.Spec.Validations = []admissionregistrationv1.Validation{{Expression: `object.spec.schedulerName != ""`}}

	r := request{
		operation: apiserver.Create, resource: "pods", object: ordinaryPod(), params: parametersOf(inForce()),
		namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{
			"kubernetes.io/metadata.name": "ns", "tenantisolation.dev/tenant": "acme",
		}}},
	}
	r.params.(*corev1.ConfigMap).Data[admission.PodMutatorsKey] = admission.PodMutatorsNone
	shipped := compileMutation(b, shippedMutation(b, "tenant-isolation-pods"))
	for name, mutator := range map[string]*mutator{"mutating/trivial": compileMutation(b, trivialMutation), "mutating/shipped": shipped} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mutator.patch(b, r)
			}
		})
	}
	r.object = shipped.patch(b, r)
	for name, policy := range map[string]*admissionregistrationv1.ValidatingAdmissionPolicy{
		"validating/trivial": trivial, "validating/shipped": shippedPolicy(b, "tenant-isolation-pods"),
	} {
		evaluator := compile(b, policy)
		validator := validating.NewValidator(evaluator.validations, nil, cel.NewCondition(nil), evaluator.messages, nil, nil)
		attributes := r.attributes()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				versioned := &apiserver.VersionedAttributes{
					Attributes: attributes, VersionedKind: attributes.GetKind(), VersionedObject: apiserver.NewLazyObject(r.object),
				}
				result := validator.Validate(context.Background(), attributes.GetResource(), versioned, r.params, r.namespace,
					celconfig.RuntimeCELCostBudget, denyAuthorizer{})
				for _, decision := range result.Decisions {
					if decision.Action != validating.ActionAdmit {
						b.Fatal(decision.Message)
					}
				}
			}
		})
	}
}
