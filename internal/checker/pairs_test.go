package checker

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestPairsThatBreakTheRule(t *testing.T) {
	kata := runtimeClass("kata")
	for sentence, tc := range map[string]struct {
		a, b corev1.Pod
		why  string
	}{
		"two tenants in containers":                                 {restrictedPod("red", "a"), restrictedPod("blue", "b"), "red/unclassified/restricted/host (container)"},
		"two tenants that are both going away":                      {restrictedPod("red", "a", terminating), restrictedPod("blue", "b", terminating), "trust domains"},
		"two data classes of one tenant":                            {restrictedPod("red", "a"), restrictedPod("red-secret", "b"), "red/confidential"},
		"a pod that classes itself higher than its namespace":       {restrictedPod("red", "a"), restrictedPod("red", "b", label(dataClassLabel, "public")), "red/public"},
		"a pod whose spec asks for less than restricted allows":     {restrictedPod("red", "a"), restrictedPod("red", "b", baseline), "/baseline/"},
		"a pod that labels itself more privileged than it is":       {restrictedPod("red", "a"), restrictedPod("red", "b", label(privilegeLabel, "privileged")), "/privileged/"},
		"a pod that labels itself less privileged than it is":       {restrictedPod("red", "a"), restrictedPod("red", "b", privileged, label(privilegeLabel, "restricted")), "/privileged/"},
		"two user-namespace modes":                                  {restrictedPod("red", "a"), restrictedPod("red", "b", ownUsers), "/pod"},
		"a VM beside a container":                                   {restrictedPod("red", "a"), restrictedPod("blue", "b", kata), "(container)"},
		"two sandboxes":                                             {restrictedPod("red", "a", runtimeClass("gvisor")), restrictedPod("blue", "b", runtimeClass("gvisor")), "(sandbox)"},
		"a RuntimeClass that has Kata in its name only":             {restrictedPod("red", "a", kata), restrictedPod("blue", "b", runtimeClass("kata-in-name-only")), "(container)"},
		"a VM with a directory of the host through a PVC":           {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, pvcs("on-host")), "(container)"},
		"a VM with a PVC that is not bound":                         {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, pvcs("unbound")), "(container)"},
		"a VM with a PVC that does not exist":                       {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, pvcs("missing")), "(container)"},
		"a RuntimeClass that does not exist":                        {restrictedPod("red", "a", kata), restrictedPod("blue", "b", runtimeClass("missing")), "does not exist"},
		"a pod of no tenant beside a tenant's":                      {restrictedPod("nobody", "a"), restrictedPod("blue", "b"), "no tenant"},
		"a pod of no tenant beside a tenant's, both in VMs":         {restrictedPod("nobody", "a", kata), restrictedPod("blue", "b", kata), "no tenant"},
		"a namespace that is gone":                                  {restrictedPod("gone", "a"), restrictedPod("gone", "b"), "namespace does not exist"},
		"a data class that is not in the list, beside its like":     {restrictedPod("red-odd", "a"), restrictedPod("red-odd", "b"), "topsecret"},
		"a tenant without a name, beside its like":                  {restrictedPod("empty", "a"), restrictedPod("empty", "b"), "is empty"},
		"a demand that does not exist, beside its like":             {restrictedPod("red-bunker", "a"), restrictedPod("red-bunker", "b"), "bunker"},
		"a privilege that is not in the list":                       {restrictedPod("red", "a"), restrictedPod("red", "b", label(privilegeLabel, "root")), "not in the list"},
		"a pod that names another tenant":                           {restrictedPod("red", "a"), restrictedPod("blue", "b", label(tenantLabel, "red")), "names tenant"},
		"a VM beside one that demands the machine":                  {restrictedPod("blue", "a", kata), restrictedPod("red-alone", "b", kata), "demands the machine"},
		"a namespace that is platform and managed at once":          {restrictedPod("tenant-isolation-system", "a"), restrictedPod("blue", "b"), "trust domains"},
		"two tenants on a node that has no Node":                    {restrictedPod("red", "a", on("ghost")), restrictedPod("blue", "b", on("ghost")), "trust domains"},
		"a VM whose init container is privileged":                   {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, withInit(privilegedContext())), "(container)"},
		"a VM whose ephemeral container is privileged":              {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, withEphemeral(privilegedContext())), "(container)"},
		"a VM on the host's network":                                {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, func(p *corev1.Pod) { p.Spec.HostNetwork = true }), "(container)"},
		"a VM with the host's processes":                            {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, func(p *corev1.Pod) { p.Spec.HostPID = true }), "(container)"},
		"a VM with the host's IPC":                                  {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, func(p *corev1.Pod) { p.Spec.HostIPC = true }), "(container)"},
		"a VM that configures its hypervisor":                       {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, annotated("io.katacontainers.config.hypervisor.path")), "(container)"},
		"a VM with a directory of the host":                         {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, withHostPath), "(container)"},
		"a privileged init container beside a pod without one":      {restrictedPod("red", "a"), restrictedPod("red", "b", withInit(privilegedContext())), "/privileged/"},
		"a privileged ephemeral container beside a pod without one": {restrictedPod("red", "a"), restrictedPod("red", "b", withEphemeral(privilegedContext())), "/privileged/"},
	} {
		t.Run(sentence, func(t *testing.T) {
			for order, cluster := range map[string]*Cluster{"as given": world(tc.a, tc.b), "swapped": world(tc.b, tc.a)} {
				got := cluster.Check()
				if len(got.Broken) != 1 || got.Pairs != 1 || got.Sound() {
					t.Fatalf("%s: want one pair, broken; got\n%s", order, got)
				}
				if !strings.Contains(got.Broken[0].Why, tc.why) {
					t.Errorf("%s: the reason is %q, want it to say %q", order, got.Broken[0].Why, tc.why)
				}
			}
		})
	}
}

func TestPairsThatKeepTheRule(t *testing.T) {
	kata := runtimeClass("kata")
	for sentence, tc := range map[string]struct {
		a, b  corev1.Pod
		pairs int
	}{
		"one trust domain in two namespaces":                      {restrictedPod("red", "a"), restrictedPod("red-too", "b"), 1},
		"a pod that classes itself lower than its namespace":      {restrictedPod("red-secret", "a"), restrictedPod("red-secret", "b", label(dataClassLabel, "public")), 1},
		"two tenants in VMs":                                      {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata), 1},
		"two tenants in VMs, one with a disk":                     {restrictedPod("red", "a", kata), restrictedPod("blue", "b", kata, pvcs("on-disk")), 1},
		"a platform pod beside a tenant's":                        {restrictedPod("kube-system", "a", privileged), restrictedPod("blue", "b"), 1},
		"a platform pod beside a pod of no tenant":                {restrictedPod("kube-system", "a"), restrictedPod("nobody", "b"), 1},
		"pods of no tenant among themselves":                      {restrictedPod("nobody", "a"), restrictedPod("nobody-else", "b", privileged), 1},
		"two tenants on two nodes":                                {restrictedPod("red", "a"), restrictedPod("blue", "b", on("n2")), 0},
		"a tenant's pod where another's has finished":             {restrictedPod("red", "a", completed), restrictedPod("blue", "b"), 0},
		"a tenant's pod and one that waits":                       {restrictedPod("red", "a"), restrictedPod("blue", "b", on("")), 0},
		"two pods of one trust domain that demands the machine":   {restrictedPod("red-alone", "a"), restrictedPod("red-alone", "b"), 1},
		"the demand of one namespace met by its own domain":       {restrictedPod("red-alone", "a"), restrictedPod("red", "b"), 1},
		"a tenant label on a pod that repeats its namespace's":    {restrictedPod("red", "a"), restrictedPod("red", "b", label(tenantLabel, "red")), 1},
		"a tenant label on a pod whose namespace belongs to none": {restrictedPod("nobody", "a"), restrictedPod("nobody", "b", label(tenantLabel, "red")), 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := world(tc.a, tc.b).Check(); !got.Sound() || got.Pairs != tc.pairs {
				t.Errorf("want %d pairs and none broken, got\n%s", tc.pairs, got)
			}
		})
	}
}

func TestWeakPods(t *testing.T) {
	got := world(
		restrictedPod("red-vm", "in-a-container"),
		restrictedPod("red-vm", "in-a-vm", runtimeClass("kata"), on("n2")),
	).Check()
	if len(got.Weak) != 1 || got.Weak[0].Pod != "red-vm/in-a-container" || got.Sound() {
		t.Errorf("want red-vm/in-a-container, got\n%s", got)
	}
}

func TestResultCounts(t *testing.T) {
	cluster := world(
		restrictedPod("red", "a"), restrictedPod("red", "b"), restrictedPod("blue", "c"),
		restrictedPod("blue", "d", on("n2")), restrictedPod("blue", "e", on("n2")),
	)
	text := cluster.Check().String()
	if want := "checked 4 pairs of pods on 2 nodes: 2 break the rule\n"; !strings.HasPrefix(text, want) {
		t.Errorf("got  %q\nwant %q and the pairs", text, want)
	}
	for _, want := range []string{"red/a and blue/c", "red/b and blue/c"} {
		if !strings.Contains(text, want) {
			t.Errorf("the pair %s is not named:\n%s", want, text)
		}
	}
}

func TestEvidenceFormat(t *testing.T) {
	pod := restrictedPod("red-secret", "p", baseline, runtimeClass("kata"))
	want := "tenant=red,data-class=confidential,privilege=baseline,user-namespace=host,boundary=vm"
	if got := world().Identify(&pod).Stamp(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func withInit(sc *corev1.SecurityContext) option {
	return func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "none", SecurityContext: sc}}
	}
}

func withEphemeral(sc *corev1.SecurityContext) option {
	return func(p *corev1.Pod) {
		p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "e", Image: "none", SecurityContext: sc},
		}}
	}
}

func withHostPath(p *corev1.Pod) {
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: "/", Type: ptr.To(corev1.HostPathDirectory)},
	}})
}

func annotated(name string) option {
	return func(p *corev1.Pod) { p.Annotations[name] = "x" }
}

func TestAnotherMinimumAndHandlers(t *testing.T) {
	sandbox := runtimeClass("gvisor")
	for sentence, tc := range map[string]struct {
		a, b     corev1.Pod
		minimum  string
		handlers []string
		sound    bool
	}{
		"two sandboxes where they are strong enough": {restrictedPod("red", "a", sandbox), restrictedPod("blue", "b", sandbox), "sandbox", nil, true},
		"a sandbox beside a VM":                      {restrictedPod("red", "a", sandbox), restrictedPod("blue", "b", runtimeClass("kata")), "sandbox", nil, true},
		"a container beside a sandbox":               {restrictedPod("red", "a"), restrictedPod("blue", "b", sandbox), "sandbox", nil, false},
		"two of a handler that is named as one of VMs": {
			restrictedPod("red", "a", runtimeClass("kata-in-name-only")), restrictedPod("blue", "b", runtimeClass("kata-in-name-only")), "", []string{"runc"}, true,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			cluster := world(tc.a, tc.b)
			cluster.Minimum, cluster.VMHandlers = tc.minimum, tc.handlers
			if got := cluster.Check(); got.Sound() != tc.sound || got.Pairs != 1 {
				t.Errorf("want sound: %t; got\n%s", tc.sound, got)
			}
		})
	}
}
