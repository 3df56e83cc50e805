package v1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

func TestConvertToInternalAndBack(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{config.AddToScheme, AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatalf("cannot build the scheme: %v", err)
		}
	}
	for _, want := range []*TenantIsolationArgs{
		{},
		{PolicyName: "default"},
		{Policy: &runtime.RawExtension{Raw: []byte(`{"enforcement":"Audit"}`)}},
	} {
		internal, got := &config.TenantIsolationArgs{}, &TenantIsolationArgs{}
		if err := scheme.Convert(want.DeepCopy(), internal, nil); err != nil {
			t.Fatalf("cannot convert %+v to internal: %v", want, err)
		}
		if err := scheme.Convert(internal, got, nil); err != nil {
			t.Fatalf("cannot convert %+v to v1: %v", internal, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("v1 -> internal -> v1 (-want +got):\n%s", diff)
		}
	}
}
