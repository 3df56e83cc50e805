package app

import (
	"context"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
)

// controls are the admission policies of the cluster, as informers have them.
type controls struct {
	factory       informers.SharedInformerFactory
	schedulerName string
}

func newControls(handle fwk.Handle) controls {
	return controls{factory: handle.SharedInformerFactory(), schedulerName: handle.ProfileName()}
}

// Parameter returns the ConfigMap that the policies read.
func (c controls) Parameter(inForce *v1alpha1.InForce) *v1.ConfigMap {
	parameter := admission.Parameters(inForce, []string{c.schedulerName})
	if !c.othersChangePods() {
		parameter.Data[admission.PodMutatorsKey] = admission.PodMutatorsNone
	}
	return parameter
}

// othersChangePods reports whether webhooks or policies of others may change new pods; also if that is not known.
func (c controls) othersChangePods() bool {
	api := c.factory.Admissionregistration().V1()
	webhooks, err := api.MutatingWebhookConfigurations().Lister().List(labels.Everything())
	if err != nil {
		return true
	}
	policies, err := api.MutatingAdmissionPolicies().Lister().List(labels.Everything())
	if err != nil {
		return true
	}
	others, err := admission.OthersChangePods(webhooks, policies)
	return others || err != nil
}

// Differences compares the policies of the cluster with the shipped ones.
func (c controls) Differences(_ context.Context, inForce *v1alpha1.InForce) ([]string, error) {
	live, err := c.live()
	if err != nil {
		return nil, err
	}
	differences, err := admission.Differences(live, inForce.Spec.Enforcement)
	sentences := make([]string, 0, len(differences))
	for i := range differences {
		sentences = append(sentences, differences[i].Message)
	}
	return sentences, err
}

func (c controls) live() (*admission.Policies, error) {
	api := c.factory.Admissionregistration().V1()
	validating, err := api.ValidatingAdmissionPolicies().Lister().List(labels.Everything())
	if err != nil {
		return nil, err
	}
	validatingBindings, err := api.ValidatingAdmissionPolicyBindings().Lister().List(labels.Everything())
	if err != nil {
		return nil, err
	}
	mutating, err := api.MutatingAdmissionPolicies().Lister().List(labels.Everything())
	if err != nil {
		return nil, err
	}
	mutatingBindings, err := api.MutatingAdmissionPolicyBindings().Lister().List(labels.Everything())
	if err != nil {
		return nil, err
	}
	return &admission.Policies{
		Validating: values(validating), ValidatingBindings: values(validatingBindings),
		Mutating: values(mutating), MutatingBindings: values(mutatingBindings),
	}, nil
}

func values[T any](pointers []*T) []T {
	all := make([]T, 0, len(pointers))
	for _, p := range pointers {
		all = append(all, *p)
	}
	return all
}

// beside is what the fence reads of the policy, in the table of dedicated nodes.
func beside(inForce *v1alpha1.InForce) map[string]string { return admission.PlatformEntries(inForce) }
