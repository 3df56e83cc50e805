package policy

import (
	"encoding/json"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

const (
	tenantLabel  = "tenantisolation.dev/tenant"
	capsuleLabel = "capsule.clastix.io/tenant"
	// byWebhook is in the names of namespaces to which the webhook gives this project's label too.
	byWebhook = "by-webhook"
)

// TestNamespacesOfCapsule plays the webhook of Capsule, which gives the namespaces of a tenant's owner the label of
// the tenant. The owner may create namespaces, and no more.
func TestNamespacesOfCapsule(t *testing.T) {
	c := install(t)
	c.capsule(map[string]string{"alice": "acme"})
	owner, stranger := c.creator("alice"), c.creator("bob")

	// Without tenantFrom nobody's webhook says which tenant a namespace is of.
	c.within(soon, "labelled by the webhook", func() (bool, string) {
		ns, err := create(c, owner, c.name("early"), nil)
		return err == nil && ns.Labels[capsuleLabel] == "acme" && ns.Labels[tenantLabel] == "", labelsOf(ns, err)
	})
	refused := func(what string, namespaces corev1.NamespaceInterface, name string, labels map[string]string) {
		t.Helper()
		if ns, err := create(c, namespaces, name, labels); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tenantLabel) {
			t.Errorf("%s: %s, want it refused with the label's name", what, labelsOf(ns, err))
		}
	}
	refused("without tenantFrom, the label by the webhook", owner, c.name(byWebhook), nil)
	refused("without tenantFrom, the label by the owner", owner, c.name("ns"), map[string]string{tenantLabel: "acme"})

	c.mustChange(map[string]any{"tenantFrom": map[string]any{"namespaceLabel": capsuleLabel}})
	c.inForce()
	c.within(soon, "given its tenant", func() (bool, string) {
		ns, err := create(c, owner, c.name("ns"), nil)
		return err == nil && ns.Labels[tenantLabel] == "acme", labelsOf(ns, err)
	})
	for what, labels := range map[string]map[string]string{
		"this project's label":  {tenantLabel: "globex"},
		"Capsule's label":       {capsuleLabel: "globex"},
		"both with one another": {tenantLabel: "globex", capsuleLabel: "globex"},
	} {
		ns, err := create(c, owner, c.name("ns"), labels)
		if err != nil || ns.Labels[tenantLabel] != "acme" || ns.Labels[capsuleLabel] != "acme" {
			t.Errorf("an owner who forges %s: %s, want the own tenant instead", what, labelsOf(ns, err))
		}
	}
	refused("the label by somebody who owns no tenant", stranger, c.name("ns"), map[string]string{tenantLabel: "acme"})
}

func create(c *installation, namespaces corev1.NamespaceInterface, name string, labels map[string]string) (*v1.Namespace, error) {
	return namespaces.Create(c.Context(), &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
}

func labelsOf(ns *v1.Namespace, err error) string {
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(ns.Labels)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// creator is a user who may create namespaces.
func (c *installation) creator(name string) corev1.NamespaceInterface {
	c.Helper()
	config, err := c.plane.AddUser(name)
	c.must(err)
	client, err := kubernetes.NewForConfig(config)
	c.must(err)
	_, err = c.api.RbacV1().ClusterRoles().Create(c.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"create"}}},
	}, metav1.CreateOptions{})
	c.must(err)
	_, err = c.api.RbacV1().ClusterRoleBindings().Create(c.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}, metav1.CreateOptions{})
	c.must(err)
	return client.CoreV1().Namespaces()
}

// capsule has the webhook called for new namespaces.
func (c *installation) capsule(tenantOf map[string]string) {
	c.Helper()
	controlplanetest.Webhooks(c, c.api, &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "capsule"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "namespaces.capsule.clastix.io",
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"namespaces"}},
			}},
		}},
	}, func(_ string, request *admissionv1.AdmissionRequest) ([]controlplanetest.Patch, error) {
		ns := &v1.Namespace{}
		if err := json.Unmarshal(request.Object.Raw, ns); err != nil {
			return nil, err
		}
		return label(ns, tenantOf[request.UserInfo.Username]), nil
	})
}

// label gives a namespace the labels of its creator's tenant, if there is one.
func label(ns *v1.Namespace, tenant string) []controlplanetest.Patch {
	if tenant == "" {
		return nil
	}
	labels := map[string]string{capsuleLabel: tenant}
	for key, value := range ns.Labels {
		if key != capsuleLabel {
			labels[key] = value
		}
	}
	if strings.Contains(ns.Name, byWebhook) {
		labels[tenantLabel] = tenant
	}
	return []controlplanetest.Patch{{Op: "add", Path: "/metadata/labels", Value: labels}}
}
