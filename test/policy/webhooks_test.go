package policy

import (
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/admission"
)

// TestWebhooksOnPods: a webhook that may change new pods has the policies look twice at the affinity that they wrote. It
// is never reached here, and its failure is ignored: that it is there counts.
func TestWebhooksOnPods(t *testing.T) {
	c := install(t)
	mutators := func(want string) {
		t.Helper()
		c.within(soon, "who changes pods", func() (bool, string) {
			parameter, err := c.api.CoreV1().ConfigMaps(admission.Namespace).Get(c.Context(), admission.ParametersName, metav1.GetOptions{})
			c.must(err)
			return parameter.Data[admission.PodMutatorsKey] == want, parameter.Data[admission.PodMutatorsKey]
		})
	}
	c.inForce()
	mutators(admission.PodMutatorsNone)
	webhooks := c.api.AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := webhooks.Create(c.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "injector"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "pods.example.com", AdmissionReviewVersions: []string{"v1"},
			ClientConfig:  admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1")},
			FailurePolicy: new(admissionregistrationv1.Ignore), SideEffects: new(admissionregistrationv1.SideEffectClassNone),
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}, metav1.CreateOptions{})
	c.must(err)
	mutators("")
	c.must(webhooks.Delete(c.Context(), "injector", metav1.DeleteOptions{}))
	mutators(admission.PodMutatorsNone)
}
