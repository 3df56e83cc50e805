package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// injector gives each pod of some namespaces an init container with rights on the network of its node.
const injector = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: proxy-injector}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {inject: proxy}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  matchConditions:
  - {name: wanted, expression: 'object.metadata.?labels[?"inject"].orValue("") != "none"'}
  mutations:
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        [JSONPatch{op: "add", path: "/spec/initContainers", value: [Object.spec.initContainers{
          name: "proxy-rules", image: "example.com/rules", securityContext: Object.spec.initContainers.securityContext{
            capabilities: Object.spec.initContainers.securityContext.capabilities{add: ["NET_ADMIN"]}}}]}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: proxy-injector}
spec: {policyName: proxy-injector}
`

// injected are two workloads, one of which asks the injector to leave it alone.
const injected = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: injected}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      nodeSelector: {kubernetes.io/os: linux}
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: app
        image: example.com/app
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        resources: {requests: {cpu: 100m, memory: 64Mi}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: load, namespace: injected}
spec:
  template:
    metadata: {labels: {inject: none}}
    spec:
      restartPolicy: Never
      nodeSelector: {kubernetes.io/os: linux}
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: app
        image: example.com/app
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
        resources: {requests: {cpu: 100m, memory: 64Mi}}
`

// This file comes after that of the installation, which wants none before: the policies stay.

// What an injector does to a pod counts before the pod is made: the API server is asked what it would make of it.
func TestWhatAnInjectorDoesCounts(t *testing.T) {
	w := newEnvironment(t)
	w.node(t, "injected-1")
	w.kubectl(t, "label", "node", "injected-1", "kubernetes.io/os=linux")
	if _, err := w.plane.Kubectl(t.Context(), "get", "isolationpolicy", "default"); err != nil {
		w.install(t, "default") // the test of the installation did not run
	}
	w.namespace(t, "injected", "acme")
	w.kubectl(t, "label", "namespace", "injected", "inject=proxy")
	folder := t.TempDir()
	for name, text := range map[string]string{"injector.yaml": injector, "injected.yaml": injected} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.kubectl(t, "apply", "-f", filepath.Join(folder, "injector.yaml"))
	t.Cleanup(func() {
		if _, err := w.plane.Kubectl(testContext(), "delete", "-f", filepath.Join(folder, "injector.yaml")); err != nil {
			t.Error(err)
		}
	})
	w.awaitInjector(t)
	manifest := filepath.Join(folder, "injected.yaml")
	explained := w.run(t, w.plane.AdminKubeconfig(), "explain", "-f", manifest)
	says := unfolded(explained.out)
	for _, want := range []string{
		"tenant=acme,data-class=unclassified,privilege=privileged", "init container proxy-rules",
		"job/load", "tenant=acme,data-class=unclassified,privilege=restricted",
	} {
		if !strings.Contains(says, want) {
			t.Errorf("explain does not say %q: status %d\n%s%s", want, explained.status, explained.out, explained.errOut)
		}
	}
	if strings.Contains(says, "would be refused") {
		t.Errorf("explain says that a pod would be refused:\n%s", explained.out)
	}
	planned := w.run(t, w.plane.AdminKubeconfig(), "plan", "-f", manifest)
	says = strings.Join(strings.Fields(planned.out), " ")
	for _, want := range []string{"privilege=privileged,user-namespace=host: 3 pods", "privilege=restricted,user-namespace=host: 1 pod"} {
		if !strings.Contains(says, want) {
			t.Errorf("plan does not say %q: status %d\n%s%s", want, planned.status, planned.out, planned.errOut)
		}
	}
	if planned.status != 0 || strings.Contains(planned.errOut, "refused") {
		t.Errorf("plan: status %d\n%s%s", planned.status, planned.out, planned.errOut)
	}
	pods, err := w.api.CoreV1().Pods("injected").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) > 0 {
		t.Errorf("pods were made: %v %v", pods, err)
	}
}

// awaitInjector returns once the API server follows the injector.
func (w *environment) awaitInjector(t *testing.T) {
	t.Helper()
	try := 0
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		try++
		pod := plainPod("injected", fmt.Sprintf("try-%d", try), "")
		made, err := w.api.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && hasInit(made), nil
	}); err != nil {
		t.Fatal(err)
	}
}

func hasInit(pod *corev1.Pod) bool { return len(pod.Spec.InitContainers) > 0 }
