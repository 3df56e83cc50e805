package admission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestUsePlacementWithinTheTenant(t *testing.T) {
	acme := &metav1.LabelSelector{MatchLabels: map[string]string{tenantKey: "acme"}}
	ownNamespaces := func(change func(*corev1.PodAffinityTerm)) corev1.PodAffinityTerm {
		term := own(corev1.LabelTopologyZone)
		change(&term)
		return term
	}
	for what, option := range map[string]func(namespace string) podOption{
		"anti-affinity in its namespace": func(string) podOption { return avoiding(own(corev1.LabelHostname)) },
		"affinity in its namespace":      func(string) podOption { return ratherJoining(own(corev1.LabelTopologyZone)) },
		"anti-affinity among its tenant's namespaces": func(string) podOption {
			return avoiding(ownNamespaces(func(t *corev1.PodAffinityTerm) { t.NamespaceSelector = acme }))
		},
		"affinity to its tenant by an expression, and to a part of it": func(string) podOption {
			return joining(ownNamespaces(func(t *corev1.PodAffinityTerm) {
				t.NamespaceSelector = of(metav1.LabelSelectorOpIn, "acme")
				t.NamespaceSelector.MatchLabels = map[string]string{"example.com/stage": "production"}
			}))
		},
		"a chart that names its own namespace": func(namespace string) podOption {
			return ratherAvoiding(ownNamespaces(func(t *corev1.PodAffinityTerm) { t.Namespaces = []string{namespace} }))
		},
		"a roll-out that compares its own revision": func(string) podOption {
			return avoiding(ownNamespaces(func(t *corev1.PodAffinityTerm) { t.MatchLabelKeys = []string{"pod-template-hash"} }))
		},
		"spread over zones and hosts": func(string) podOption {
			return func(p *corev1.Pod) {
				spreadOver(corev1.LabelTopologyZone)(p)
				spreadOver(corev1.LabelHostname)(p)
			}
		},
		"nodes by other labels": func(string) podOption {
			return func(p *corev1.Pod) {
				nodeAffinity("example.com/disk", false)(p)
				nodeAffinity("karpenter.sh/capacity-type", true)(p)
				selecting(corev1.LabelArchStable, "amd64")(p)
			}
		},
		// cloudnative-pg: preferred, on hosts, by its cluster; the pooler spreads as well.
		"a PostgreSQL cluster of cloudnative-pg": func(string) podOption {
			return func(p *corev1.Pod) {
				labelled(label{"cnpg.io/cluster", "db"}, label{"cnpg.io/podRole", "instance"})(p)
				ratherAvoiding(corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{
					MatchExpressions: []metav1.LabelSelectorRequirement{
						{Key: "cnpg.io/cluster", Operator: metav1.LabelSelectorOpIn, Values: []string{"db"}},
						{Key: "cnpg.io/podRole", Operator: metav1.LabelSelectorOpIn, Values: []string{"instance"}},
					},
				}})(p)
			}
		},
		// Strimzi: rack awareness is a node affinity for zones and a preference against brokers of the same one.
		"a Kafka broker of Strimzi": func(string) podOption {
			return func(p *corev1.Pod) {
				labelled(label{"strimzi.io/cluster", "events"}, label{"strimzi.io/name", "events-kafka"})(p)
				affinity(p).NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{
					NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
						{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpExists},
					}}},
				}
				ratherAvoiding(corev1.PodAffinityTerm{TopologyKey: corev1.LabelTopologyZone, LabelSelector: &metav1.LabelSelector{
					MatchLabels: map[string]string{"strimzi.io/cluster": "events", "strimzi.io/name": "events-kafka"},
				}})(p)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t)
			namespace := s.managed()
			_, err := s.create(namespace, labelled(appLabel), option(namespace))
			s.allowed("its creation", err)
		})
	}
}

// What an administrator writes into a RuntimeClass is merged into the pod before it is judged.
func TestUseRuntimeClassThatChoosesNodes(t *testing.T) {
	s := newScene(t)
	class := newClass(unique("class"), "crun")
	class.Scheduling = &nodev1.Scheduling{
		NodeSelector: map[string]string{"example.com/pool": "fast"},
		Tolerations:  []corev1.Toleration{{Key: "example.com/pool", Operator: corev1.TolerationOpExists}},
	}
	s.must(s.createClass(administrator, class))
	for what, namespace := range map[string]string{
		"named by the pod": s.managed(), "of its namespace": s.managed(defaultClass(class.Name)),
	} {
		var options []podOption
		if what == "named by the pod" {
			options = append(options, runtimeClass(class.Name))
		}
		pod, err := s.create(namespace, options...)
		s.allowed("a pod with a RuntimeClass "+what, err)
		if err == nil && pod.Spec.NodeSelector["example.com/pool"] != "fast" {
			t.Errorf("with a RuntimeClass %s it selects %v", what, pod.Spec.NodeSelector)
		}
	}
}

func TestUseRestoredPods(t *testing.T) {
	s := newScene(t)
	namespace := s.managed(dataClass("internal"))
	pod := s.bound(namespace, evidenceOf("baseline"), runtimeClass(kataClass))
	restored := func() *corev1.Pod {
		copied := s.get(pod)
		copied.ObjectMeta = metav1.ObjectMeta{Name: unique("restored"), Labels: copied.Labels, Annotations: copied.Annotations}
		// What a backup tool leaves out, as the pod is to be scheduled anew.
		copied.Spec.NodeName = ""
		copied.Status = corev1.PodStatus{}
		return copied
	}
	for what, namespace := range map[string]string{
		"the same namespace": namespace, "another data class": s.managed(dataClass("restricted")),
		"a namespace without a tenant": s.namespace(nil),
	} {
		copied := restored()
		if what != "the same namespace" {
			// A restore tool maps the labels; the tolerations of the pod that it was stay.
			copied.Labels = nil
		}
		got, err := s.as(editor).CoreV1().Pods(namespace).Create(s.ctx, copied, metav1.CreateOptions{})
		s.allowed("a pod restored in "+what, err)
		if err != nil {
			continue
		}
		if asked := terms(&got.Spec); (what == "a namespace without a tenant") != (asked == nil) {
			t.Errorf("a pod restored in %s asks for nodes with %q", what, asked)
		}
		for _, key := range []string{evidenceKey, dedicationKey} {
			if value, there := got.Annotations[key]; there {
				t.Errorf("a pod restored in %s has the annotation %s: %s", what, key, value)
			}
		}
		for _, toleration := range ours(got.Spec.Tolerations) {
			if toleration == "data-class=internal" && what != "the same namespace" {
				t.Errorf("a pod restored in %s tolerates %s", what, toleration)
			}
		}
	}
}

func TestUseKubectlReplaceForce(t *testing.T) {
	s := newScene(t)
	pod := s.waiting(s.managed())
	s.bind(pod, attackedNode, evidenceOf("baseline"))
	s.must(s.finish(kubelet, pod, corev1.PodSucceeded))
	manifest := s.get(pod)
	manifest.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	manifest.Spec.NodeName, manifest.ResourceVersion, manifest.UID = "", "", ""
	file := filepath.Join(t.TempDir(), "pod.json")
	s.must(os.WriteFile(file, s.marshal(manifest), 0o600))
	s.allowed("kubectl replace --force", s.kubectl(editor, "replace", "--force", "--filename", file))
	if got := s.get(pod); got.UID == pod.UID || got.Annotations[evidenceKey] != "" {
		t.Errorf("the new pod has the UID %s and the evidence %q", got.UID, got.Annotations[evidenceKey])
	}
}

func TestUseKubectlDebugOfACopyWithItsAnnotations(t *testing.T) {
	s := newScene(t)
	pod := s.bound(s.managed(dataClass("internal")), evidenceOf("baseline"))
	s.allowed("kubectl debug --copy-to --keep-annotations", s.kubectl(editor, "debug", pod.Name, "--namespace", pod.Namespace,
		"--copy-to="+unique("copy"), "--keep-annotations", "--image=none", "--profile=baseline"))
}

// One refusal is enough to mend a pod that has every fault.
func TestRefusalNamesAllFaults(t *testing.T) {
	s := newScene(t)
	_, err := s.create(s.managed(dataClass("confidential"), boundary("vm")),
		labelled(tenant("globex"), dataClass("public"), privilege("root")), annotated(kataPath, "/bin/sh"), graceSeconds(0),
		onNode(attackedNode), scheduledBy("jupyterhub-user-scheduler"), tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}),
		avoiding(wide(nil)), selecting(tenantKey, "globex"), hostNetwork, hostPath, privileged, func(p *corev1.Pod) {
			p.Spec.PriorityClassName = "system-node-critical"
			p.Spec.RuntimeClassName = ptr.To(plainClass)
		})
	if err == nil {
		t.Fatal("the pod is accepted")
	}
	for _, want := range []string{
		"the label tenantisolation.dev/tenant of the pod", "the label tenantisolation.dev/data-class of the pod is below",
		"the label tenantisolation.dev/privilege of the pod", "the annotation " + kataPath, "spec.terminationGracePeriodSeconds is 0",
		"spec.nodeName", "spec.schedulerName", "spec.priorityClassName", "spec.tolerations has an entry without a key",
		"spec.affinity", "spec.nodeSelector", "spec.runtimeClassName names", "spec.hostNetwork", "spec.volumes has a hostPath",
		"securityContext.privileged",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the refusal does not name %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "victim") {
		t.Errorf("the refusal names another tenant: %v", err)
	}
}
