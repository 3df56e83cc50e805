package admission_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiserver "k8s.io/apiserver/pkg/admission"
	psaapi "k8s.io/pod-security-admission/api"
	psapolicy "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// The policy writes down in its own language what the Pod Security Standards ask of a
// container. This compares it with the standards' own code, which the scheduler asks: a
// debug container passes if and only if the pod with it is still of the level that the pod
// was placed under. A release that changes the standards shows here.
func TestEphemeralContainersKeepThePodsLevel(t *testing.T) {
	standards, err := psapolicy.NewEvaluator(psapolicy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	satisfies := func(pod *corev1.Pod, level psaapi.Level) bool {
		results := standards.EvaluatePod(psaapi.LevelVersion{Level: level, Version: psaapi.LatestVersion()}, &pod.ObjectMeta, &pod.Spec)
		return psapolicy.AggregateCheckResults(results).Allowed
	}
	policy := compile(t, shippedPolicy(t, "tenant-isolation-ephemeral-containers"))

	const tries = 20_000
	random := rand.New(rand.NewPCG(3, 37))
	asked, passed := make(map[psaapi.Level]int), make(map[psaapi.Level]int)
	for range tries {
		pod := randomPod(random)
		debugged := pod.DeepCopy()
		debugged.Spec.EphemeralContainers = append(debugged.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger", SecurityContext: randomContext(random)},
		})
		if pod.Spec.OS != nil {
			withoutLinux(pod)
			withoutLinux(debugged)
		}
		level := psaapi.LevelPrivileged
		for _, lower := range []psaapi.Level{psaapi.LevelRestricted, psaapi.LevelBaseline} {
			if satisfies(pod, lower) {
				level = lower
				break
			}
		}
		evidence := fmt.Sprintf("tenant=acme,data-class=unclassified,privilege=%s,user-namespace=host,boundary=container", level)
		pod.Annotations = map[string]string{isolation.EvidenceAnnotation: evidence}

		want := satisfies(debugged, level)
		got := policy.ask(t, request{
			operation: apiserver.Update, resource: "pods", subresource: "ephemeralcontainers", object: debugged, old: pod,
		}).allowed()
		if got != want {
			text, _ := yaml.Marshal(debugged.Spec)
			t.Fatalf("a pod placed as %s: the policy allows it: %t, the standards: %t\n%s", level, got, want, text)
		}
		asked[level]++
		if want {
			passed[level]++
		}
	}
	// Otherwise this could agree on nothing but refusals.
	for level, n := range asked {
		if passed[level] == 0 || (level != psaapi.LevelPrivileged && passed[level] == n) {
			t.Errorf("%s: %d of %d passed", level, passed[level], n)
		}
	}
	t.Logf("passed %v of %v", passed, asked)
}

// randomPod makes a pod that is restricted about as often as not.
func randomPod(random *rand.Rand) *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "node-1"}}
	if random.IntN(2) == 0 {
		pod.Spec.HostUsers = new(random.IntN(2) == 0)
	}
	if random.IntN(2) == 0 {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
		if random.IntN(2) == 0 {
			pod.Spec.SecurityContext.RunAsNonRoot = new(random.IntN(4) != 0)
		}
		if random.IntN(2) == 0 {
			pod.Spec.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
		}
	}
	switch random.IntN(8) {
	case 0:
		pod.Spec.OS = &corev1.PodOS{Name: corev1.Windows}
	case 1:
		pod.Spec.HostNetwork = true
	}
	container := corev1.Container{Name: "main"}
	if random.IntN(3) != 0 {
		container.SecurityContext = restrictedContext()
	}
	pod.Spec.Containers = []corev1.Container{container}
	return pod
}

// withoutLinux leaves a Windows pod what the API server accepts in one.
func withoutLinux(pod *corev1.Pod) {
	strip := func(c *corev1.SecurityContext) *corev1.SecurityContext {
		if c == nil {
			return nil
		}
		return &corev1.SecurityContext{RunAsNonRoot: c.RunAsNonRoot, WindowsOptions: c.WindowsOptions}
	}
	if pod.Spec.SecurityContext != nil {
		pod.Spec.SecurityContext.SeccompProfile = nil
	}
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].SecurityContext = strip(pod.Spec.Containers[i].SecurityContext)
	}
	for i := range pod.Spec.EphemeralContainers {
		pod.Spec.EphemeralContainers[i].SecurityContext = strip(pod.Spec.EphemeralContainers[i].SecurityContext)
	}
}

func restrictedContext() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		RunAsNonRoot:             new(true),
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// randomContext begins at a context that every level allows, or at none, and changes a few
// fields: nearly everything that is random in all of them would be refused.
func randomContext(random *rand.Rand) *corev1.SecurityContext {
	context := restrictedContext()
	if random.IntN(3) == 0 {
		context = &corev1.SecurityContext{}
	}
	pick := func(values ...string) string { return values[random.IntN(len(values))] }
	changes := []func(){
		func() { context = &corev1.SecurityContext{} },
		func() { context.Privileged = new(random.IntN(2) == 0) },
		func() { context.AllowPrivilegeEscalation = nil },
		func() { context.AllowPrivilegeEscalation = new(random.IntN(2) == 0) },
		func() { context.RunAsNonRoot = nil },
		func() { context.RunAsNonRoot = new(random.IntN(2) == 0) },
		func() { context.RunAsUser = new(int64(random.IntN(2))) },
		func() { context.SeccompProfile = nil },
		func() {
			context.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileType(pick("RuntimeDefault", "Localhost", "Unconfined"))}
		},
		func() {
			context.AppArmorProfile = &corev1.AppArmorProfile{Type: corev1.AppArmorProfileType(pick("RuntimeDefault", "Localhost", "Unconfined"))}
		},
		func() { context.ProcMount = new(corev1.ProcMountType(pick("Default", "Unmasked"))) },
		func() {
			context.SELinuxOptions = &corev1.SELinuxOptions{
				Type: pick("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t", "spc_t"),
				User: pick("", "", "", "system_u"), Role: pick("", "", "", "sysadm_r"), Level: pick("", "s0:c1,c2"),
			}
		},
		func() {
			context.WindowsOptions = &corev1.WindowsSecurityContextOptions{HostProcess: new(random.IntN(2) == 0)}
		},
		func() { context.Capabilities = nil },
		func() {
			context.Capabilities = &corev1.Capabilities{
				Drop: []corev1.Capability{corev1.Capability(pick("ALL", "ALL", "NET_RAW"))},
				Add: []corev1.Capability{corev1.Capability(pick("NET_BIND_SERVICE", "CHOWN", "AUDIT_WRITE", "DAC_OVERRIDE", "FOWNER",
					"FSETID", "KILL", "MKNOD", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "SYS_PTRACE", "NET_RAW", "ALL"))},
			}
		},
	}
	for range random.IntN(4) {
		changes[random.IntN(len(changes))]()
	}
	if random.IntN(20) == 0 {
		return nil
	}
	return context
}
