package admit

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// DryRun asks an API server what it would make of a pod. ok is false if it cannot be asked, for want of the
// right to create pods or of the namespace; then why says so.
func DryRun(ctx context.Context, client kubernetes.Interface, of *corev1.Pod) (made *Pod, ok bool, why string, err error) {
	may, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: of.Namespace, Verb: "create", Resource: "pods",
		}},
	}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return nil, false, "", err
	case !may.Status.Allowed:
		return nil, false, fmt.Sprintf("no right to create pods in namespace %s", of.Namespace), nil
	}
	// Another name: a pod of this one may exist.
	pod := of.DeepCopy()
	pod.ObjectMeta = metav1.ObjectMeta{
		Namespace: of.Namespace, GenerateName: strings.TrimRight(of.Name, "*0123456789-") + "-", Labels: of.Labels, Annotations: of.Annotations,
	}
	pod.Status = corev1.PodStatus{}
	answer, err := client.CoreV1().Pods(of.Namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case err == nil:
		answer.Name, answer.GenerateName, answer.UID = of.Name, of.GenerateName, of.UID
		return &Pod{Pod: answer}, true, "", nil
	case apierrors.IsNotFound(err):
		return nil, false, fmt.Sprintf("namespace %s is not in the cluster", of.Namespace), nil
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return &Pod{Pod: of.DeepCopy(), Refused: []string{refusal(err)}}, true, "", nil
	}
	return nil, false, "", fmt.Errorf("asking the API server what it would make of pod %s/%s: %w", of.Namespace, of.Name, err)
}

// refusal is the text of an API server without the generated name.
func refusal(err error) string {
	text := err.Error()
	if _, after, found := strings.Cut(text, "is forbidden: "); found {
		return after
	}
	return text
}
