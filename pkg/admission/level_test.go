package admission_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiserver "k8s.io/apiserver/pkg/admission"
	psaapi "k8s.io/pod-security-admission/api"
	psapolicy "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/admission"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// leveller tells the level that the policies find, and the one of the standards' own code.
type leveller struct {
	policy    *evaluator
	standards psapolicy.Evaluator
	request   request
}

func newLeveller(t *testing.T) *leveller {
	t.Helper()
	policy := shippedPolicy(t, "tenant-isolation-pods").DeepCopy()
	policy.Spec.Validations = []admissionregistrationv1.Validation{
		{Expression: "variables.level <= 2"}, {Expression: "variables.level <= 1"}, {Expression: "variables.level <= 0"},
	}
	standards, err := psapolicy.NewEvaluator(psapolicy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &leveller{compile(t, policy), standards, request{
		operation: apiserver.Create, resource: "pods", params: parametersOf(inForce()),
		namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{isolation.TenantLabel: "acme"}}},
	}}
}

func (l *leveller) compare(t *testing.T, pod *corev1.Pod) psaapi.Level {
	t.Helper()
	want := psaapi.LevelPrivileged
	for _, lower := range []psaapi.Level{psaapi.LevelRestricted, psaapi.LevelBaseline} {
		results := l.standards.EvaluatePod(psaapi.LevelVersion{Level: lower, Version: psaapi.LatestVersion()}, &pod.ObjectMeta, &pod.Spec)
		if psapolicy.AggregateCheckResults(results).Allowed {
			want = lower
			break
		}
	}
	l.request.object = pod
	got := psaapi.Level("unknown")
	for i, holds := range l.policy.ask(t, l.request).holds {
		if holds {
			got = []psaapi.Level{psaapi.LevelPrivileged, psaapi.LevelBaseline, psaapi.LevelRestricted}[i]
		}
	}
	if got != want {
		text, _ := yaml.Marshal(pod)
		t.Errorf("the policies say %s, the standards %s:\n%s", got, want, text)
	}
	return want
}

// The standards' own test data, of all versions.
func TestLevelOfTheStandardsTestData(t *testing.T) {
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/pod-security-admission").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(module)), "test", "testdata", "*", "*", "*", "*.yaml"))
	if err != nil || len(files) < 1000 {
		t.Fatalf("%d pods: %v", len(files), err)
	}
	l, seen, levels := newLeveller(t), map[string]bool{}, map[psaapi.Level]int{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(text)] {
			continue
		}
		seen[string(text)] = true
		pod := &corev1.Pod{}
		if err := yaml.UnmarshalStrict(text, pod); err != nil {
			t.Fatal(err)
		}
		levels[l.compare(t, pod)]++
		if t.Failed() {
			t.Fatal(name)
		}
	}
	if len(levels) != 3 {
		t.Errorf("levels %v", levels)
	}
	t.Logf("%v", levels)
}

func TestLevelOfRandomPods(t *testing.T) {
	l, levels := newLeveller(t), map[psaapi.Level]int{}
	random := rand.New(rand.NewPCG(seed, 5))
	for range 8000 {
		pod := randomPod(random)
		pod.Spec.Containers[0].SecurityContext = randomContext(random)
		for range random.IntN(2) {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: "init", SecurityContext: randomContext(random)})
		}
		for range random.IntN(3) {
			pick(random, partsOfPods(random, pod)...)()
		}
		levels[l.compare(t, pod)]++
		if t.Failed() {
			break
		}
	}
	if len(levels) != 3 {
		t.Errorf("levels %v", levels)
	}
	t.Logf("%v", levels)
}

// partsOfPods each set what no container's context has.
func partsOfPods(random *rand.Rand, pod *corev1.Pod) []func() {
	context := func() *corev1.PodSecurityContext {
		if pod.Spec.SecurityContext == nil {
			pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
		}
		return pod.Spec.SecurityContext
	}
	main := &pod.Spec.Containers[0]
	host := func() string { return pick(random, "", "127.0.0.1") }
	probe := func() *corev1.Probe {
		return pick(random, &corev1.Probe{}, &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Host: host()}}},
			&corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Host: host()}}})
	}
	handler := func() *corev1.LifecycleHandler {
		return pick(random, nil, &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Host: host()}},
			&corev1.LifecycleHandler{TCPSocket: &corev1.TCPSocketAction{Host: host()}}, &corev1.LifecycleHandler{Exec: &corev1.ExecAction{}})
	}
	volume := func() corev1.VolumeSource {
		return pick(random, corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}},
			corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}, corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}},
			corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}, corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{}},
			corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{}}, corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}},
			corev1.VolumeSource{Image: &corev1.ImageVolumeSource{}}, corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}},
			corev1.VolumeSource{FlexVolume: &corev1.FlexVolumeSource{}}, corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}, corev1.VolumeSource{})
	}
	return []func(){
		func() { pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "v", VolumeSource: volume()}) },
		func() { pod.Spec.HostPID = true },
		func() { pod.Spec.HostIPC = true },
		func() {
			main.Ports = append(main.Ports, corev1.ContainerPort{ContainerPort: 80, HostPort: pick(random, int32(0), 80)})
		},
		func() { main.LivenessProbe = probe() },
		func() { main.ReadinessProbe = probe() },
		func() { main.StartupProbe = probe() },
		func() { main.Lifecycle = &corev1.Lifecycle{PostStart: handler()} },
		func() { main.Lifecycle = &corev1.Lifecycle{PreStop: handler()} },
		func() { context().RunAsUser = new(int64(random.IntN(2))) },
		func() { context().RunAsNonRoot = new(random.IntN(2) == 0) },
		func() {
			context().SeccompProfile = &corev1.SeccompProfile{Type: pick(random, "", corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeUnconfined)}
		},
		func() {
			context().AppArmorProfile = &corev1.AppArmorProfile{Type: pick(random, "", corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeUnconfined)}
		},
		func() {
			context().SELinuxOptions = &corev1.SELinuxOptions{Type: pick(random, "", "container_t", "spc_t"), User: pick(random, "", "u"), Role: pick(random, "", "r")}
		},
		func() {
			context().WindowsOptions = &corev1.WindowsSecurityContextOptions{HostProcess: pick(random, nil, new(true), new(false))}
		},
		func() {
			context().Sysctls = []corev1.Sysctl{{Name: pick(random, "kernel.shm_rmid_forced", "net.ipv4.tcp_rmem", "net.ipv4.tcp_notsent_lowat", "kernel.msgmax")}}
		},
		func() {
			pod.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/main": pick(random, "", "runtime/default", "localhost/x", "unconfined")}
		},
	}
}

// Four expressions tell the level of a pod, as none can name another's.
func TestLevelIsTheSameEverywhere(t *testing.T) {
	words := func(text string) string { return strings.Join(strings.Fields(text), " ") }
	level := func(variables []admissionregistrationv1.Variable) string {
		for _, v := range variables {
			if v.Name == "level" {
				return words(v.Expression)
			}
		}
		return "none"
	}
	all, err := admission.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	pods := named(t, all.Mutating, "tenant-isolation-pods")
	want := level(pods.Spec.Variables)
	template := strings.NewReplacer("object.spec.", "object.spec.template.spec.", "object.metadata.annotations", "object.spec.template.metadata.annotations",
		"object.metadata.?", "object.spec.template.?metadata.?").Replace(want)
	for name, got := range map[string]string{
		"the validating policy": level(shippedPolicy(t, "tenant-isolation-pods").Spec.Variables),
		"that of templates":     strings.ReplaceAll(level(named(t, all.Mutating, "tenant-isolation-daemonsets").Spec.Variables), template, want),
	} {
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	if condition := words(pods.Spec.MatchConditions[0].Expression); !strings.Contains(condition, fmt.Sprintf("string( %s )", want)) {
		t.Errorf("the condition has no\n%s\nin\n%s", want, condition)
	}
}
