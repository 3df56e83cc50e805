package v1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

const fuzzRounds = 2000

// newFiller makes random arguments in which a list or map is missing, empty or
// full: the three mean different things.
func newFiller(seed int64) *randfill.Filler {
	return randfill.NewWithSeed(seed).NilChance(0.3).NumElements(0, 3).MaxDepth(12).Funcs(
		// Conversion leaves apiVersion and kind to the scheme.
		func(meta *metav1.TypeMeta, _ randfill.Continue) { *meta = metav1.TypeMeta{} },
	)
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{config.AddToScheme, AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatalf("cannot build the scheme: %v", err)
		}
	}
	return scheme
}

func TestConvertToInternalAndBack(t *testing.T) {
	scheme := newScheme(t)
	filler := newFiller(1)
	for range fuzzRounds {
		want := &TenantIsolationArgs{}
		filler.Fill(want)

		internal, got := &config.TenantIsolationArgs{}, &TenantIsolationArgs{}
		if err := scheme.Convert(want.DeepCopy(), internal, nil); err != nil {
			t.Fatalf("cannot convert %+v to internal: %v", want, err)
		}
		if err := scheme.Convert(internal, got, nil); err != nil {
			t.Fatalf("cannot convert %+v to v1: %v", internal, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("v1 -> internal -> v1 (-want +got):\n%s", diff)
		}
	}
}

func TestConvertFromInternalAndBack(t *testing.T) {
	scheme := newScheme(t)
	filler := newFiller(2)
	for range fuzzRounds {
		want := &config.TenantIsolationArgs{}
		filler.Fill(want)

		versioned, got := &TenantIsolationArgs{}, &config.TenantIsolationArgs{}
		if err := scheme.Convert(want.DeepCopy(), versioned, nil); err != nil {
			t.Fatalf("cannot convert %+v to v1: %v", want, err)
		}
		if err := scheme.Convert(versioned, got, nil); err != nil {
			t.Fatalf("cannot convert %+v to internal: %v", versioned, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("internal -> v1 -> internal (-want +got):\n%s", diff)
		}
	}
}

func TestSetDefaultsIsIdempotent(t *testing.T) {
	filler := newFiller(3)
	for range fuzzRounds {
		want := &TenantIsolationArgs{}
		filler.Fill(want)
		SetDefaults(want)

		got := want.DeepCopy()
		SetDefaults(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("arguments after the second defaulting (-want +got):\n%s", diff)
		}
	}
}

func TestConstantsAgree(t *testing.T) {
	want := []string{
		string(config.AxisTenant), string(config.AxisDataClass), string(config.AxisPrivilege), string(config.AxisUserNamespace),
		string(config.BoundaryContainer), string(config.BoundarySandbox), string(config.BoundaryVM),
		string(config.PreemptionNever), string(config.PreemptionSameTenant), string(config.PreemptionAny),
		string(config.ModeDisabled), string(config.ModeEnabled),
		string(config.EnforcementEnforce), string(config.EnforcementAudit),
		string(config.TaintEffectNoSchedule), string(config.TaintEffectNoExecute),
		string(config.NodeReuseImmediately), string(config.NodeReuseAfterReboot),
		string(config.RemediationNone), string(config.RemediationEvict),
	}
	got := []string{
		string(AxisTenant), string(AxisDataClass), string(AxisPrivilege), string(AxisUserNamespace),
		string(BoundaryContainer), string(BoundarySandbox), string(BoundaryVM),
		string(PreemptionNever), string(PreemptionSameTenant), string(PreemptionAny),
		string(ModeDisabled), string(ModeEnabled),
		string(EnforcementEnforce), string(EnforcementAudit),
		string(TaintEffectNoSchedule), string(TaintEffectNoExecute),
		string(NodeReuseImmediately), string(NodeReuseAfterReboot),
		string(RemediationNone), string(RemediationEvict),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("constants of config and of v1 (-config +v1):\n%s", diff)
	}
}
