package admission

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// kubectl runs kubectl as a user and returns its error output.
func (s *scene) kubectl(who user, args ...string) error {
	kubeconfig, err := s.plane.WriteKubeconfig(unique("kubectl"), s.users[who])
	s.must(err)
	_, err = s.plane.Kubectl(s.ctx, append([]string{"--kubeconfig", kubeconfig}, args...)...)
	return err
}

// kubectlApply applies a pod from a file as a user.
func (s *scene) kubectlApply(who user, pod *corev1.Pod) error {
	file := filepath.Join(s.tb.TempDir(), "pod.json")
	s.must(os.WriteFile(file, s.marshal(pod), 0o600))
	return s.kubectl(who, "apply", "--filename", file)
}

func TestUseKubectlDebugWithinTheAllowedLevel(t *testing.T) {
	for what, tc := range map[string]struct {
		level, profile string
		refused        bool
	}{
		"a restricted container in a restricted pod": {"restricted", "restricted", false},
		"a restricted container in a baseline pod":   {"baseline", "restricted", false},
		"a baseline container in a baseline pod":     {"baseline", "baseline", false},
		"a powerful container in a privileged pod":   {"privileged", "sysadmin", false},
		"a baseline container in a restricted pod":   {"restricted", "baseline", true},
		"a powerful container in a baseline pod":     {"baseline", "sysadmin", true},
		"an ordinary container in a restricted pod":  {"restricted", "general", true},
	} {
		t.Run(what, func(t *testing.T) {
			s := newScene(t)
			options := []podOption{restricted}
			if tc.level != "restricted" {
				options = nil
			}
			pod := s.bound(s.managed(), evidenceOf(tc.level), options...)
			err := s.kubectl(owner, "debug", pod.Name, "--namespace", pod.Namespace, "--image=none", "--profile="+tc.profile)
			if !tc.refused {
				s.allowed("kubectl debug", err)
				return
			}
			if err == nil {
				t.Fatal("it is allowed")
			}
			if err := helps(err.Error(), []string{tc.level, "kubectl debug --profile=" + tc.level}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUseKubectlDebugOfACopy(t *testing.T) {
	s := newScene(t)
	pod := s.bound(s.managed(dataClass("internal")), evidenceOf("baseline"))
	s.allowed("kubectl debug --copy-to", s.kubectl(editor, "debug", pod.Name, "--namespace", pod.Namespace,
		"--copy-to="+unique("copy"), "--image=none", "--profile=baseline"))
}

func TestUseKubectlDrain(t *testing.T) {
	s := newScene(t)
	pod := s.waiting(s.managed(), only(drainedNode))
	s.bind(pod, drainedNode, evidenceOf("baseline"))
	s.must(poll(s.ctx, func(context.Context) (bool, error) {
		return s.get(pod).Status.Phase == corev1.PodRunning, nil
	}))
	err := s.kubectl(administrator, "drain", drainedNode, "--dry-run=server", "--force", "--ignore-daemonsets", "--grace-period=0")
	s.allowed("an administrator's drain without grace", err)
	s.allowed("kubectl drain", s.kubectl(administrator, "drain", drainedNode,
		"--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=20s"))
	if _, err := s.admin.CoreV1().Pods(pod.Namespace).Get(s.ctx, pod.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the pod after the drain: %v, want it gone", err)
	}
}

func TestUseKubectlDeleteNow(t *testing.T) {
	s := newScene(t)
	pod := running(s, s.managed())
	s.allowed("kubectl delete --now", s.kubectl(editor, "delete", "pod", pod.Name, "--namespace", pod.Namespace, "--now", "--wait=false"))
	err := s.kubectl(editor, "delete", "pod", pod.Name, "--namespace", pod.Namespace, "--force", "--grace-period=0", "--wait=false")
	if err == nil || !strings.Contains(err.Error(), "--grace-period=1") {
		t.Errorf("kubectl delete --force: %v, want a refusal that names a way", err)
	}
}
