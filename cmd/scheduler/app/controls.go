package app

import (
	"context"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

type controls struct{}

func newControls(fwk.Handle) controls { return controls{} }

func (controls) Parameter(*v1alpha1.InForce) *v1.ConfigMap {
	return &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "tenant-isolation-policy"}, Data: map[string]string{}}
}

func (controls) Differences(context.Context, *v1alpha1.InForce) ([]string, error) { return nil, nil }

func beside(*v1alpha1.InForce) map[string]string { return nil }
