package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestThreat06EphemeralContainerRaisesPrivilege(t *testing.T) { face(t) }

func ephemeralContainers() threat {
	row := threat{test: "TestThreat06EphemeralContainerRaisesPrivilege"}
	above := func(level string, pod podOption, contexts map[string]*corev1.SecurityContext) {
		for what, context := range contexts {
			row.attacks = append(row.attacks, attack{
				name: "a debug container " + what + " in a pod placed as " + level, names: []string{level},
				run: func(s *scene) error {
					return s.debug(s.bound(s.managed(), evidenceOf(level), pod), context)
				},
			})
		}
	}
	adding := func(c corev1.Capability) *corev1.SecurityContext {
		return &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{c}}}
	}
	above("baseline", func(*corev1.Pod) {}, map[string]*corev1.SecurityContext{
		"is privileged":                    {Privileged: ptr.To(true)},
		"adds SYS_ADMIN":                   adding("SYS_ADMIN"),
		"adds NET_RAW":                     adding("NET_RAW"),
		"adds every capability":            adding("ALL"),
		"adds a capability in small print": adding("cap_sys_admin"),
		"runs without seccomp":             {SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}},
		"runs without AppArmor":            {AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}},
		"has an SELinux type of its own":   {SELinuxOptions: &corev1.SELinuxOptions{Type: "spc_t"}},
		"has an SELinux user of its own":   {SELinuxOptions: &corev1.SELinuxOptions{User: "system_u"}},
		"has an SELinux role of its own":   {SELinuxOptions: &corev1.SELinuxOptions{Role: "sysadm_r"}},
	})
	changed := func(change func(c *corev1.SecurityContext)) *corev1.SecurityContext {
		context := restrictedContainer()
		change(context)
		return context
	}
	above("restricted", restricted, map[string]*corev1.SecurityContext{
		"says nothing":        nil,
		"is privileged":       {Privileged: ptr.To(true)},
		"may gain privileges": changed(func(c *corev1.SecurityContext) { c.AllowPrivilegeEscalation = ptr.To(true) }),
		"keeps capabilities":  changed(func(c *corev1.SecurityContext) { c.Capabilities = nil }),
		"adds a harmless one": changed(func(c *corev1.SecurityContext) { c.Capabilities.Add = []corev1.Capability{"CHOWN"} }),
		"may run as root":     changed(func(c *corev1.SecurityContext) { c.RunAsNonRoot = ptr.To(false) }),
		"runs as root":        changed(func(c *corev1.SecurityContext) { c.RunAsUser = ptr.To[int64](0) }),
		"runs without seccomp": changed(func(c *corev1.SecurityContext) {
			c.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}
		}),
	})
	row.attacks = append(row.attacks, attack{
		name: "a privileged debug container in a virtual machine", names: []string{"ephemeralContainers"},
		run: func(s *scene) error {
			evidence := "tenant=acme,data-class=unclassified,privilege=privileged,user-namespace=host,boundary=vm"
			pod := s.bound(s.managed(), evidence, runtimeClass(kataClass))
			return s.debug(pod, &corev1.SecurityContext{Privileged: ptr.To(true)})
		},
	}, attack{
		name: "a debug container in a pod that waits to be judged", names: []string{"ephemeral"},
		run: func(s *scene) error {
			return s.debug(s.waiting(s.managed()), nil)
		},
	}, attack{
		name: "a privileged debug container in a pod placed before its namespace had a tenant", names: []string{evidenceKey},
		run: func(s *scene) error {
			namespace := s.namespace(nil)
			pod := s.waiting(namespace)
			s.must(s.quietly(administrator).CoreV1().Pods(namespace).Bind(s.ctx, plainBindingOf(pod, freeNode), metav1.CreateOptions{}))
			s.relabel(namespace, tenant("acme"))
			return s.debug(s.get(pod), &corev1.SecurityContext{Privileged: ptr.To(true)})
		},
	}, attack{
		name: "a debug container that raises privilege beside one that does not", names: []string{"baseline"},
		run: func(s *scene) error {
			pod := s.bound(s.managed(), evidenceOf("baseline"))
			s.must(s.debug(pod, nil))
			return s.debug(s.get(pod), &corev1.SecurityContext{Privileged: ptr.To(true)})
		},
	})
	return row
}

// debug adds an ephemeral container to a pod as kubectl debug does. The role edit does not
// allow it.
func (s *scene) debug(pod *corev1.Pod, context *corev1.SecurityContext) error {
	changed := pod.DeepCopy()
	changed.Spec.EphemeralContainers = append(changed.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: unique("debugger"), Image: "none", SecurityContext: context,
			TerminationMessagePolicy: corev1.TerminationMessageReadFile, ImagePullPolicy: corev1.PullIfNotPresent,
		},
	})
	_, err := s.as(owner).CoreV1().Pods(pod.Namespace).UpdateEphemeralContainers(s.ctx, pod.Name, changed, metav1.UpdateOptions{})
	return err
}
