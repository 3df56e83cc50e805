package admit

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	core "k8s.io/kubernetes/pkg/apis/core"
	corev1defaults "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/plugin/pkg/admission/runtimeclass"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	shipped "tenantisolation.dev/scheduler/pkg/admission"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// schedulerName is the one of the shipped configuration.
const schedulerName = "tenant-isolation-scheduler"

// Admitter evaluates the shipped policies as an API server does on which nothing else is installed.
type Admitter struct {
	namespaces map[string]*corev1.Namespace
	params     *corev1.ConfigMap
	changing   []*policyOfPods
	refusing   []*policyOfPods
	classes    *runtimeclass.RuntimeClass
}

// Pod is a pod as it would be made.
type Pod struct {
	*corev1.Pod
	// Refused says why it would not be, one sentence for each refusal.
	Refused []string
}

// New compiles the policies. Without a tenant's namespace, none applies.
func New(spec *v1alpha1.IsolationPolicySpec, rules *podfacts.Rules, namespaces []*corev1.Namespace, classes []*nodev1.RuntimeClass) (*Admitter, error) {
	inForce := &v1alpha1.InForce{Spec: *spec}
	for _, class := range classes {
		inForce.RuntimeClasses = append(inForce.RuntimeClasses, v1alpha1.RuntimeClassBoundary{
			Name: class.Name, Handler: class.Handler, Boundary: v1alpha1.Boundary(rules.BoundaryOf(class.Handler).String()),
		})
	}
	a := &Admitter{namespaces: map[string]*corev1.Namespace{}, params: shipped.Parameters(inForce, []string{schedulerName})}
	for _, ns := range namespaces {
		a.namespaces[ns.Name] = withName(ns)
	}
	if err := a.compile(); err != nil {
		return nil, err
	}
	var err error
	a.classes, err = runtimeClassesOf(classes)
	return a, err
}

// compile compiles the policies that are bound to the parameter, or need none. The others look at nodes. One that
// only warns refuses nothing.
func (a *Admitter) compile() error {
	all, err := shipped.Shipped()
	if err != nil {
		return err
	}
	// The binding says in which namespaces.
	bound := map[string]*admissionv1.MatchResources{}
	add := func(policy string, params *admissionv1.ParamRef, where *admissionv1.MatchResources) {
		if params == nil || params.Name == shipped.ParametersName {
			bound[policy] = cmp.Or(where, &admissionv1.MatchResources{})
		}
	}
	for i := range all.MutatingBindings {
		spec := &all.MutatingBindings[i].Spec
		add("mutating "+spec.PolicyName, spec.ParamRef, spec.MatchResources)
	}
	for i := range all.ValidatingBindings {
		if spec := &all.ValidatingBindings[i].Spec; slices.Contains(spec.ValidationActions, admissionv1.Deny) {
			add("validating "+spec.PolicyName, spec.ParamRef, spec.MatchResources)
		}
	}
	for i := range all.Mutating {
		p := &all.Mutating[i]
		if where := bound["mutating "+p.Name]; where != nil && shipped.PolicyOnNewPods(p.Spec.MatchConstraints) {
			compiled, err := compileMutating(p, where)
			if err != nil {
				return err
			}
			a.changing = append(a.changing, compiled)
		}
	}
	for i := range all.Validating {
		p := &all.Validating[i]
		if where := bound["validating "+p.Name]; where != nil && shipped.PolicyOnNewPods(p.Spec.MatchConstraints) {
			compiled, err := compileValidating(p, where)
			if err != nil {
				return err
			}
			a.refusing = append(a.refusing, compiled)
		}
	}
	return nil
}

// withName adds the label that the API server sets on every namespace.
func withName(ns *corev1.Namespace) *corev1.Namespace {
	named := ns.DeepCopy()
	if named.Labels == nil {
		named.Labels = map[string]string{}
	}
	named.Labels[corev1.LabelMetadataName] = ns.Name
	return named
}

func runtimeClassesOf(classes []*nodev1.RuntimeClass) (*runtimeclass.RuntimeClass, error) {
	client := fake.NewClientset()
	factory := informers.NewSharedInformerFactory(client, 0)
	known := factory.Node().V1().RuntimeClasses().Informer().GetStore()
	for _, class := range classes {
		if err := known.Add(class); err != nil {
			return nil, err
		}
	}
	plugin := runtimeclass.NewRuntimeClass()
	plugin.SetExternalKubeClientSet(client)
	plugin.SetExternalKubeInformerFactory(factory)
	return plugin, plugin.ValidateInitialization()
}

// Admit returns a pod as it would be made, and what would be refused. The pod is not changed.
func (a *Admitter) Admit(ctx context.Context, of *corev1.Pod) (*Pod, error) {
	made := &Pod{Pod: of.DeepCopy()}
	ns, known := a.namespaces[of.Namespace]
	if !known {
		ns = withName(&corev1.Namespace{})
		ns.Name, ns.Labels[corev1.LabelMetadataName] = of.Namespace, of.Namespace
	}
	corev1defaults.SetObjectDefaults_Pod(made.Pod)
	// As the API server does with what an author sends. A policy notes something there, which is gone when
	// the pod is stored.
	made.UID = ""
	r := &request{pod: made.Pod, namespace: ns, params: a.params}
	for _, p := range a.changing {
		matches, err := p.matches(r)
		if err == nil && matches {
			err = p.change(ctx, r)
		}
		if err != nil {
			return nil, err
		}
	}
	var err error
	if made.Pod, err = a.underItsClass(ctx, r.pod); err != nil {
		made.Pod, made.Refused = r.pod, append(made.Refused, refusal(err))
	}
	r.pod = made.Pod
	for _, p := range a.refusing {
		matches, err := p.matches(r)
		if err != nil {
			return nil, err
		}
		if matches {
			made.Refused = append(made.Refused, p.refusals(ctx, r)...)
		}
	}
	made.UID = of.UID
	slices.Sort(made.Refused)
	made.Refused = slices.Compact(made.Refused)
	return made, nil
}

// underItsClass merges what the RuntimeClass of a pod says.
func (a *Admitter) underItsClass(ctx context.Context, pod *corev1.Pod) (*corev1.Pod, error) {
	internal := &core.Pod{}
	if err := corev1defaults.Convert_v1_Pod_To_core_Pod(pod.DeepCopy(), internal, nil); err != nil {
		return nil, err
	}
	attributes := admission.NewAttributesRecord(internal, nil, core.Kind("Pod").WithVersion("v1"), pod.Namespace, pod.Name,
		core.Resource("pods").WithVersion("v1"), "", admission.Create, nil, false, nil)
	if err := a.classes.Admit(ctx, attributes, nil); err != nil {
		return nil, err
	}
	made := &corev1.Pod{}
	return made, corev1defaults.Convert_core_Pod_To_v1_Pod(internal, made, nil)
}

// Under returns a pod as it would be made under another one of these RuntimeClasses.
func (a *Admitter) Under(ctx context.Context, of *corev1.Pod, class *nodev1.RuntimeClass, classes []*nodev1.RuntimeClass) (*corev1.Pod, error) {
	pod := of.DeepCopy()
	for _, before := range classes {
		if before.Scheduling == nil || of.Spec.RuntimeClassName == nil || before.Name != *of.Spec.RuntimeClassName {
			continue
		}
		for key := range before.Scheduling.NodeSelector {
			delete(pod.Spec.NodeSelector, key)
		}
	}
	pod.Spec.RuntimeClassName, pod.Spec.Overhead = &class.Name, nil
	pod.Status = corev1.PodStatus{}
	made, err := a.Admit(ctx, pod)
	if err != nil {
		return nil, fmt.Errorf("under %s: %w", class.Name, err)
	}
	return made.Pod, nil
}

// Changes says what admission changes in a pod, as far as it counts for where the pod can go.
func Changes(before, after *corev1.Pod) []string {
	var all []string
	if given := after.Spec.RuntimeClassName; given != nil && before.Spec.RuntimeClassName == nil {
		all = append(all, "RuntimeClass "+*given)
	}
	if len(after.Spec.Overhead) > 0 && len(before.Spec.Overhead) == 0 {
		all = append(all, fmt.Sprintf("an overhead of %s CPU and %s memory", after.Spec.Overhead.Cpu(), after.Spec.Overhead.Memory()))
	}
	for _, of := range []struct {
		what          string
		before, after []corev1.Container
	}{{"init container", before.Spec.InitContainers, after.Spec.InitContainers}, {"container", before.Spec.Containers, after.Spec.Containers}} {
		for i := range of.after {
			added := of.after[i].Name
			if !slices.ContainsFunc(of.before, func(c corev1.Container) bool { return c.Name == added }) {
				all = append(all, of.what+" "+added)
			}
		}
	}
	return all
}
