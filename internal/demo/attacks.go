package demo

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
)

// The attacker owns a namespace of the embedded workload, and may do all there that RBAC can
// give; the victim is another tenant.
const (
	attackersNamespace = "globex-api"
	attackersTenant    = "globex"
	victimsNamespace   = "acme-shop"
	victimsTenant      = "acme"
)

// attack is a request that would bring the attacker onto the victim's kernel. RBAC allows it, so
// admission has to refuse it.
type attack struct {
	what    string
	attempt func(ctx context.Context, client kubernetes.Interface) error
	refusal string
}

// attacks returns the attacks, built from where the pods are now.
func attacks(pods []*corev1.Pod) ([]*attack, error) {
	running := func(namespace string) *corev1.Pod {
		for _, pod := range pods {
			if pod.Namespace == namespace && placed(pod) {
				return pod
			}
		}
		return nil
	}
	own, victim := running(attackersNamespace), running(victimsNamespace)
	if own == nil || victim == nil {
		return nil, fmt.Errorf("no pod runs in %s or %s", attackersNamespace, victimsNamespace)
	}
	intruder := func() *corev1.Pod {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "intruder", Namespace: attackersNamespace}, Spec: *own.Spec.DeepCopy()}
		pod.Spec.NodeName, pod.Spec.Volumes, pod.Spec.Tolerations, pod.Spec.Priority = "", nil, nil, nil
		for i := range pod.Spec.Containers {
			pod.Spec.Containers[i].VolumeMounts = nil
		}
		return pod
	}
	patch := func(kind types.PatchType, text string) func(context.Context, kubernetes.Interface) error {
		return func(ctx context.Context, client kubernetes.Interface) error {
			_, err := client.CoreV1().Pods(own.Namespace).Patch(ctx, own.Name, kind, []byte(text), metav1.PatchOptions{})
			return err
		}
	}
	return []*attack{
		{
			what: fmt.Sprintf("create a pod with spec.nodeName: %s, where %s runs", victim.Spec.NodeName, victimsTenant),
			attempt: func(ctx context.Context, client kubernetes.Interface) error {
				pod := intruder()
				pod.Spec.NodeName = victim.Spec.NodeName
				_, err := client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
				return err
			},
		},
		{
			what: "bind a pod there, past the scheduler",
			attempt: func(ctx context.Context, client kubernetes.Interface) error {
				pod := intruder()
				// Gated, so that no scheduler binds it first.
				pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
				if _, err := client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
					return fmt.Errorf("creating the pod to bind: %w", err)
				}
				err := client.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
					ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
					Target:     corev1.ObjectReference{Kind: "Node", Name: victim.Spec.NodeName},
				}, metav1.CreateOptions{})
				deleteErr := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{})
				if deleteErr != nil && !apierrors.IsNotFound(deleteErr) {
					return deleteErr
				}
				return err
			},
		},
		{
			what: "give its namespace the label of tenant " + victimsTenant,
			attempt: func(ctx context.Context, client kubernetes.Interface) error {
				text := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, tenantLabel, victimsTenant)
				_, err := client.CoreV1().Namespaces().Patch(ctx, attackersNamespace, types.MergePatchType, []byte(text), metav1.PatchOptions{})
				return err
			},
		},
		{
			what:    "label a running pod as tenant " + victimsTenant,
			attempt: patch(types.MergePatchType, fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, tenantLabel, victimsTenant)),
		},
		{
			what: "add a privileged ephemeral container to a running pod",
			attempt: func(ctx context.Context, client kubernetes.Interface) error {
				pod, err := client.CoreV1().Pods(own.Namespace).Get(ctx, own.Name, metav1.GetOptions{})
				if err != nil {
					return err
				}
				pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
					EphemeralContainerCommon: corev1.EphemeralContainerCommon{
						Name: "escape", Image: "example.com/escape:1",
						SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)},
					},
				})
				_, err = client.CoreV1().Pods(pod.Namespace).UpdateEphemeralContainers(ctx, pod.Name, pod, metav1.UpdateOptions{})
				return err
			},
		},
	}, nil
}

// attack makes the attacks and returns those that were not refused by a policy.
func (d *demo) attack(ctx context.Context, pods []*corev1.Pod) (made []*attack, wrong []string, err error) {
	const user = "owner-of-" + attackersNamespace
	config, err := d.plane.AddUser(user)
	if err != nil {
		return nil, nil, err
	}
	// A refused request may also get a warning; the refusal is printed below.
	config.WarningHandler = rest.NoWarnings{}
	attacker, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, err
	}
	// All rights in its own namespace, subresources and the namespace itself included: what
	// is refused now is refused by the policies.
	_, err = d.client.RbacV1().RoleBindings(attackersNamespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, nil, err
	}
	if made, err = attacks(pods); err != nil {
		return nil, nil, err
	}
	d.say("letting the owner of namespace %s attack tenant %s", attackersNamespace, victimsTenant)
	for _, a := range made {
		// RBAC takes a moment to know the new user.
		err := d.until(ctx, func(ctx context.Context) (bool, error) {
			err := a.attempt(ctx, attacker)
			if err != nil {
				a.refusal = err.Error()
			}
			return !apierrors.IsForbidden(err) || refusedByPolicy(err), nil
		})
		switch {
		case err != nil:
			return nil, nil, err
		case a.refusal == "":
			wrong = append(wrong, "attack: "+a.what+": succeeded")
		case !strings.Contains(a.refusal, policyMark):
			wrong = append(wrong, "attack: "+a.what+": failed, though not because of a policy: "+a.refusal)
		}
	}
	return made, wrong, nil
}

// policyMark is how kube-apiserver begins what a ValidatingAdmissionPolicy says.
const policyMark = "ValidatingAdmissionPolicy"

func refusedByPolicy(err error) bool { return err != nil && strings.Contains(err.Error(), policyMark) }

// words is the policy's message without what kube-apiserver puts before it.
func words(refusal string) string {
	if _, after, found := strings.Cut(refusal, "denied request: "); found {
		return after
	}
	return refusal
}
