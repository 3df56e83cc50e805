package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// called is the label of namespaces whose pods the webhooks see.
var called = label{"example.com/webhooks", "called"}

const (
	// reinvokedWebhook is called once more if anything changed the pod after its first call, onceWebhook never. They
	// are called in this order.
	reinvokedWebhook = "a-reinvoked.example.com"
	onceWebhook      = "b-once.example.com"
	// doesNotFit begins the refusal of a pod whose affinity is not what follows from it.
	doesNotFit = "spec.affinity does not ask for the nodes of the pod's trust domain"
)

// injection is what the webhooks do to a pod: once, and at each call of the one that is reinvoked.
type injection struct {
	once      []podOption
	reinvoked [][]podOption
}

// webhooks are two real webhooks, which do to each pod what is registered for its name.
type webhooks struct {
	*scene
	mu         sync.Mutex
	injections map[string]injection
	calls      map[string]int
	rules      *podfacts.Rules
	gatherer   *podfacts.Gatherer
}

func newWebhooks(t *testing.T) *webhooks {
	t.Helper()
	w := &webhooks{scene: newScene(t), injections: map[string]injection{}, calls: map[string]int{}}
	spec := policy.Default()
	spec.DataClasses = w.policy().Spec.DataClasses
	var err error
	w.rules, err = podfacts.NewRules(spec)
	w.must(err)
	w.gatherer, err = podfacts.NewGatherer()
	w.must(err)
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}}
	selector := &metav1.LabelSelector{MatchLabels: labels(called)}
	controlplanetest.Webhooks(t, w.admin, &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: unique("webhooks")},
		Webhooks: []admissionregistrationv1.MutatingWebhook{
			{Name: reinvokedWebhook, Rules: rules, NamespaceSelector: selector, ReinvocationPolicy: ptr.To(admissionregistrationv1.IfNeededReinvocationPolicy)},
			{Name: onceWebhook, Rules: rules, NamespaceSelector: selector},
		},
	}, w.answer)
	namespace := w.managed(called)
	w.must(poll(w.ctx, func(context.Context) (bool, error) {
		pod, _, err := w.createWith(namespace, injection{once: []podOption{annotated("example.com/seen", "yes")}})
		return err == nil && pod.Annotations["example.com/seen"] == "yes", err
	}))
	return w
}

// answer changes a pod as registered. It replaces what it may change, and nothing if nothing changes.
func (w *webhooks) answer(webhook string, request *admissionv1.AdmissionRequest) ([]controlplanetest.Patch, error) {
	pod := &corev1.Pod{}
	if err := json.Unmarshal(request.Object.Raw, pod); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	what := w.injections[pod.Name]
	options := what.once
	if webhook == reinvokedWebhook {
		options = nil
		if call := w.calls[pod.Name]; call < len(what.reinvoked) {
			options = what.reinvoked[call]
		}
		w.calls[pod.Name]++
	}
	if len(options) == 0 {
		return nil, nil
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	for _, option := range options {
		option(pod)
	}
	patch := []controlplanetest.Patch{
		{Op: "add", Path: "/metadata/labels", Value: pod.Labels},
		{Op: "add", Path: "/metadata/annotations", Value: pod.Annotations},
		{Op: "replace", Path: "/spec", Value: pod.Spec},
	}
	if pod.UID != "" {
		patch = append(patch, controlplanetest.Patch{Op: "add", Path: "/metadata/uid", Value: pod.UID})
	}
	return patch, nil
}

// createWith makes a pod to which the webhooks do something, and returns how often the one was called that is reinvoked.
func (w *webhooks) createWith(namespace string, what injection, options ...podOption) (*corev1.Pod, int, error) {
	pod := newPod(options...)
	w.mu.Lock()
	w.injections[pod.Name] = what
	w.mu.Unlock()
	created, err := w.as(editor).CoreV1().Pods(namespace).Create(w.ctx, pod, metav1.CreateOptions{})
	w.mu.Lock()
	defer w.mu.Unlock()
	return created, w.calls[pod.Name], err
}

// The containers that service meshes and the like add.
func sidecar(context *corev1.SecurityContext) podOption {
	return func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "sidecar", Image: "none", SecurityContext: context})
	}
}

func initSidecar(context *corev1.SecurityContext) podOption {
	return func(p *corev1.Pod) {
		p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{
			Name: "sidecar-init", Image: "none", SecurityContext: context, RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways),
		})
	}
}

func privilegedContainer() *corev1.SecurityContext {
	return &corev1.SecurityContext{Privileged: ptr.To(true)}
}

func ownUsers(p *corev1.Pod) { p.Spec.HostUsers = ptr.To(false) }

// asRoot leaves a pod that is restricted but for its user.
func asRoot(p *corev1.Pod) {
	restricted(p)
	p.Spec.SecurityContext.RunAsNonRoot = nil
}

func withoutAffinity(p *corev1.Pod) { p.Spec.Affinity = nil }

// requiring replaces or adds to the terms of the required node affinity that a pod has.
func requiring(change func([]corev1.NodeSelectorTerm) []corev1.NodeSelectorTerm) podOption {
	return func(p *corev1.Pod) {
		required := p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		required.NodeSelectorTerms = change(required.NodeSelectorTerms)
	}
}

func zoned(values ...string) corev1.NodeSelectorRequirement {
	return corev1.NodeSelectorRequirement{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: values}
}

func onlyZone([]corev1.NodeSelectorTerm) []corev1.NodeSelectorTerm {
	return []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{zoned("a")}}}
}

func orZone(terms []corev1.NodeSelectorTerm) []corev1.NodeSelectorTerm {
	return append(terms, onlyZone(nil)...)
}

func zoneInEach(terms []corev1.NodeSelectorTerm) []corev1.NodeSelectorTerm {
	for i := range terms {
		terms[i].MatchExpressions = append(terms[i].MatchExpressions, zoned("a"))
	}
	return terms
}

func orVictims(terms []corev1.NodeSelectorTerm) []corev1.NodeSelectorTerm {
	victims := corev1.NodeSelectorTerm{}
	for axis, value := range map[isolation.Axis]string{
		isolation.AxisTenant: "victim", isolation.AxisDataClass: "unclassified", isolation.AxisPrivilege: "baseline", isolation.AxisUserNamespace: "host",
	} {
		victims.MatchExpressions = append(victims.MatchExpressions, corev1.NodeSelectorRequirement{
			Key: isolation.NodeLabelKey(axis), Operator: corev1.NodeSelectorOpIn, Values: []string{value},
		})
	}
	return append(terms, victims)
}

// A webhook runs between the two times that admission writes the affinity, or after the second.
func TestUseAffinityWithWebhooks(t *testing.T) {
	w := newWebhooks(t)
	own := func(privilege, users string) []string {
		return []string{noOnes, acmes("unclassified", privilege, users)}
	}
	const zoneA, andZoneA = "topology.kubernetes.io/zone In a, ", ", topology.kubernetes.io/zone In a"
	baseline := acmes("unclassified", "baseline", "host")
	of := func(pod ...podOption) []podOption { return pod }
	once := func(does ...podOption) injection { return injection{once: does} }
	for what, tc := range map[string]struct {
		pod  []podOption
		does injection
		// want is what the pod asks for in the end; nil if it is refused.
		want []string
	}{
		"no change":                                    {of(restricted), injection{}, own("restricted", "host")},
		"a sidecar as restricted as the pod":           {of(restricted), once(sidecar(restrictedContainer())), own("restricted", "host")},
		"a restricted sidecar of a baseline pod":       {nil, once(sidecar(restrictedContainer())), own("baseline", "host")},
		"a baseline sidecar among the init containers": {of(restricted), once(initSidecar(nil)), own("baseline", "host")},
		"a privileged sidecar":                         {of(restricted), once(sidecar(privilegedContainer())), own("privileged", "host")},
		"a baseline pod that is made restricted":       {nil, once(restricted), own("restricted", "host")},
		"a restricted pod that is made privileged":     {of(restricted), once(privileged), own("privileged", "host")},
		"a directory of the node":                      {of(restricted), once(hostPath), own("privileged", "host")},
		"the network of the node":                      {of(restricted), once(hostNetwork), own("privileged", "host")},
		"users of its own":                             {of(restricted), once(ownUsers), own("restricted", "pod")},
		"users of its own, of which less is asked":     {of(asRoot), once(ownUsers), own("restricted", "pod")},
		"a label of a higher privilege":                {of(restricted), once(labelled(privilege("privileged"))), own("privileged", "host")},
		"a label of a higher data class":               {nil, once(labelled(dataClass("restricted"))), []string{noOnes, acmes("restricted", "baseline", "host")}},
		"a virtual machine": {
			of(restricted), once(runtimeClass(steeredClass)), []string{noOnes, forVMs, acmes("unclassified", "restricted", "host")},
		},
		"a container in place of a virtual machine": {
			of(restricted, runtimeClass(kataClass)), once(runtimeClass(plainClass)), own("restricted", "host"),
		},

		"terms of its own in place of all": {nil, once(requiring(onlyZone)), []string{zoneA + noOnes, zoneA + baseline}},
		"a term of its own beside the others": {
			nil, once(requiring(orZone)), []string{noOnes, zoneA + noOnes, baseline, zoneA + baseline},
		},
		"a requirement in each term": {nil, once(requiring(zoneInEach)), []string{noOnes + andZoneA, baseline + andZoneA}},
		"no affinity at all":         {nil, once(withoutAffinity), own("baseline", "host")},
		"no affinity, and a sidecar": {of(restricted), once(withoutAffinity, sidecar(nil)), own("baseline", "host")},
		"nodes of another tenant":    {nil, once(requiring(orVictims)), nil},
		"a forged mark of a level that admission has not seen": {
			of(restricted), once(privileged, func(p *corev1.Pod) { p.UID = "tenantisolation.dev/2 host   " }), nil,
		},

		"a sidecar in the first call": {of(restricted), injection{reinvoked: [][]podOption{{sidecar(nil)}}}, own("baseline", "host")},
		"a sidecar of the same level in the second call": {
			of(restricted), injection{of(sidecar(nil)), [][]podOption{nil, {initSidecar(nil)}}}, own("baseline", "host"),
		},
		"another level in the second call": {of(restricted), injection{of(sidecar(nil)), [][]podOption{nil, {privileged}}}, nil},
		"another level in the second call, below that of its label": {
			of(restricted, labelled(privilege("privileged"))), injection{of(ownUsers), [][]podOption{nil, {privileged}}}, own("privileged", "pod"),
		},
		"the level back in the second call":   {of(restricted), injection{of(sidecar(nil)), [][]podOption{nil, {sidecarGone}}}, nil},
		"users of its own in the second call": {of(restricted), injection{of(sidecar(nil)), [][]podOption{nil, {ownUsers}}}, nil},
		"no affinity after the second call":   {of(restricted), injection{of(sidecar(nil)), [][]podOption{nil, {withoutAffinity}}}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			got, calls, err := w.createWith(w.managed(called), tc.does, tc.pod...)
			if calls < len(tc.does.reinvoked) {
				t.Errorf("the webhook that is reinvoked was called %d times, want %d", calls, len(tc.does.reinvoked))
			}
			if tc.want == nil {
				w.refusedAsUnfit(t, got, err)
				return
			}
			w.allowed("its creation", err)
			if err != nil {
				return
			}
			if diff := cmp.Diff(tc.want, terms(&got.Spec)); diff != "" {
				t.Errorf("terms (-want +got):\n%s", diff)
			}
			w.fitsItsTrustDomain(t, got)
		})
	}
}

// sidecarGone takes the last container away again.
func sidecarGone(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[:len(p.Spec.Containers)-1] }

func (w *webhooks) refusedAsUnfit(t *testing.T, pod *corev1.Pod, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("it is created, and asks for %v", terms(&pod.Spec))
	} else if !strings.Contains(err.Error(), doesNotFit) {
		t.Errorf("it is refused, but not because its affinity does not fit: %v", err)
	} else if err := helps(err.Error(), []string{"spec.affinity", "webhook"}); err != nil {
		t.Error(err)
	}
}

// Whatever webhooks do, and whenever they do it: a pod that is created asks for the nodes of its trust domain.
func TestUseAffinityWithRandomWebhooks(t *testing.T) {
	w := newWebhooks(t)
	random := rand.New(rand.NewPCG(16, 2026))
	edits := []podOption{
		restricted, privileged, asRoot, hostPath, hostPID, hostIPC, ownUsers, privilegedInit, withoutAffinity,
		sidecar(nil), sidecar(restrictedContainer()), sidecar(privilegedContainer()), initSidecar(nil), initSidecar(restrictedContainer()),
		runtimeClass(kataClass), runtimeClass(plainClass), labelled(privilege("baseline")), labelled(dataClass("internal")),
		func(p *corev1.Pod) { p.UID = "tenantisolation.dev/0 host   " },
	}
	some := func() (chosen []podOption) {
		for range random.IntN(3) {
			chosen = append(chosen, edits[random.IntN(len(edits))])
		}
		// Containers of one name are refused by the API server itself.
		return append(chosen, distinct)
	}
	namespace := w.managed(called)
	created, refused := 0, 0
	for range 150 {
		what := injection{once: some(), reinvoked: [][]podOption{some(), some()}}
		pod, _, err := w.createWith(namespace, what, some()...)
		switch {
		case err == nil:
			created++
			w.fitsItsTrustDomain(t, pod)
		case strings.Contains(err.Error(), doesNotFit):
			refused++
		case strings.Contains(err.Error(), "is invalid: "):
			// Users of its own beside a namespace of the node.
		default:
			t.Error(err)
		}
	}
	t.Logf("%d pods were created, and %d refused", created, refused)
	if created < 20 || refused < 5 {
		t.Errorf("%d pods are created and %d refused: too few to say much", created, refused)
	}
}

// distinct gives the containers of a pod names of their own.
func distinct(p *corev1.Pod) {
	for i := range p.Spec.InitContainers {
		p.Spec.InitContainers[i].Name = fmt.Sprintf("init-%d", i)
	}
	for i := range p.Spec.Containers {
		p.Spec.Containers[i].Name = fmt.Sprintf("c-%d", i)
	}
}

// fitsItsTrustDomain asks the rule what the pod has become: its required node affinity has to hold on the nodes of
// no one, on those of its trust domain, on those that VMs share if it does, and on no others.
func (w *webhooks) fitsItsTrustDomain(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	facts := w.gatherer.Gather(pod)
	subject := w.rules.Subject(pod, &facts, w)
	own, _ := w.rules.NodeLabels(&subject)
	opened, ok := w.rules.OpenedNodeLabels(&subject)
	if !ok {
		t.Fatalf("%s has no trust domain: %s", pod.Name, subject)
	}
	candidates := map[isolation.NodeLabels]bool{{}: true, isolation.VMNodeLabels(): false, isolation.UnmanagedNodeLabels(): false}
	for _, privilege := range []string{"restricted", "baseline", "privileged"} {
		for _, users := range []string{"host", "pod"} {
			for _, class := range []string{"unclassified", "internal", "restricted"} {
				candidates[isolation.NodeLabels{"acme", class, privilege, users}] = false
			}
		}
	}
	candidates[own], candidates[opened] = true, true
	if ptr.Deref(pod.Spec.RuntimeClassName, "") == kataClass && opened != isolation.VMNodeLabels() {
		// The scheduler finds a hole in the boundary, admission does not.
		delete(candidates, isolation.VMNodeLabels())
	}
	for labels, want := range candidates {
		node := newNode("node")
		maps.Copy(node.Labels, labels.Map())
		node.Labels[corev1.LabelTopologyZone] = "a"
		maps.Copy(node.Labels, pod.Spec.NodeSelector)
		if got, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || got != want {
			t.Errorf("%s of %s passes on a node with the labels %s: %t, want %t (%v); it asks for %s",
				pod.Name, own, labels, got, want, err, strings.Join(terms(&pod.Spec), " or "))
		}
	}
}

// Namespace, RuntimeClass and PVCOnHost are what the rule reads around a pod.
func (w *webhooks) Namespace(string) (podfacts.Namespace, bool) {
	return podfacts.Namespace{Labels: acmeLabels()}, true
}

func (w *webhooks) RuntimeClass(name string) (podfacts.RuntimeClass, bool) {
	for _, class := range w.policy().RuntimeClasses {
		if class.Name == name {
			return podfacts.RuntimeClass{Handler: class.Handler}, true
		}
	}
	return podfacts.RuntimeClass{}, false
}

func (w *webhooks) PVCOnHost(string) (onHost, known bool) { return false, true }
