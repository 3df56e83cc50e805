package controlplanetest

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Patch is one operation of a JSON patch.
type Patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Webhooks serves mutating webhooks for the length of a test. The API server asks answer, with the name of the
// webhook; what the configuration lacks to reach the server is filled in.
func Webhooks(
	tb testing.TB, api kubernetes.Interface, configuration *admissionregistrationv1.MutatingWebhookConfiguration,
	answer func(webhook string, request *admissionv1.AdmissionRequest) ([]Patch, error),
) {
	tb.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		review := &admissionv1.AdmissionReview{}
		if err := json.NewDecoder(r.Body).Decode(review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		patch, err := answer(strings.TrimPrefix(r.URL.Path, "/"), review.Request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
		if len(patch) > 0 {
			review.Response.PatchType = new(admissionv1.PatchTypeJSONPatch)
			review.Response.Patch, err = json.Marshal(patch)
		}
		if err == nil {
			err = json.NewEncoder(w).Encode(review)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	tb.Cleanup(server.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for i := range configuration.Webhooks {
		webhook := &configuration.Webhooks[i]
		webhook.ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: new(server.URL + "/" + webhook.Name), CABundle: authority}
		webhook.AdmissionReviewVersions = []string{"v1"}
		webhook.FailurePolicy = new(admissionregistrationv1.Fail)
		webhook.SideEffects = new(admissionregistrationv1.SideEffectClassNone)
	}
	configurations := api.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := configurations.Create(tb.Context(), configuration, metav1.CreateOptions{}); err != nil {
		tb.Fatal(err)
	}
	// Before the server ends: the control plane may be of other tests as well.
	tb.Cleanup(func() {
		if err := configurations.Delete(context.WithoutCancel(tb.Context()), configuration.Name, metav1.DeleteOptions{}); err != nil {
			tb.Error(err)
		}
	})
}
