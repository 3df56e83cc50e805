package v1

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// defaults are written out, handlers apart, so that a change of what an
// administrator gets unasked is a change of this test.
func defaults() *TenantIsolationArgs {
	return &TenantIsolationArgs{
		LabelKeys: LabelKeys{
			Tenant:       "tenantisolation.dev/tenant",
			DataClass:    "tenantisolation.dev/data-class",
			Privilege:    "tenantisolation.dev/privilege",
			Boundary:     "tenantisolation.dev/boundary",
			RuntimeClass: "tenantisolation.dev/runtime-class",
		},
		DataClasses:       []string{"public", "internal", "confidential", "restricted"},
		SeparateBy:        []Axis{"tenant", "data-class", "privilege", "user-namespace"},
		Sharing:           Sharing{DataClasses: [][]string{}, Privileges: [][]string{}},
		BoundaryByHandler: boundaryByKnownHandler,
		MinimumBoundary:   "vm",
		PlatformNamespaces: PlatformNamespaces{
			Names: []string{"kube-system", "tenant-isolation-system"},
		},
		AllowedRuntimeAnnotations: []string{},
		HostPathProvisioners: []string{
			"docker.io/hostpath",
			"hostpath.csi.k8s.io",
			"k8s.io/minikube-hostpath",
			"kubernetes.io/host-path",
			"kubernetes.io/no-provisioner",
			"kubevirt.io.hostpath-provisioner",
			"kubevirt.io/hostpath-provisioner",
			"microk8s.io/hostpath",
			"openebs.io/local",
			"rancher.io/local-path",
		},
		Preemption:  "Never",
		Enforcement: "Enforce",
		Claims: Claims{
			Mode:              "Disabled",
			TaintEffect:       "NoSchedule",
			SettleTime:        &metav1.Duration{Duration: time.Second},
			ReleaseAfter:      &metav1.Duration{Duration: 30 * time.Second},
			MaxNodesPerTenant: ptr.To(intstr.FromString("50%")),
			NodeReuse:         "Immediately",
		},
		Audit: Audit{Mode: "Enabled", Remediation: "None", EvictionsPerMinute: ptr.To[int32](6)},
	}
}

// changed returns the defaults after one change.
func changed(change func(*TenantIsolationArgs)) *TenantIsolationArgs {
	args := defaults()
	change(args)
	return args
}

func TestSetDefaults(t *testing.T) {
	tests := map[string]struct {
		args *TenantIsolationArgs
		want *TenantIsolationArgs
	}{
		"no arguments at all become the defaults": {
			args: &TenantIsolationArgs{},
			want: defaults(),
		},
		"defaults stay as they are": {
			args: defaults(),
			want: defaults(),
		},
		"one label key leaves the other keys at their defaults": {
			args: &TenantIsolationArgs{LabelKeys: LabelKeys{Privilege: "example.com/level"}},
			want: changed(func(args *TenantIsolationArgs) { args.LabelKeys.Privilege = "example.com/level" }),
		},
		"empty lists and an empty map mean none and stay empty": {
			args: &TenantIsolationArgs{
				DataClasses:               []string{},
				SeparateBy:                []Axis{},
				Sharing:                   Sharing{DataClasses: [][]string{}, Privileges: [][]string{}},
				BoundaryByHandler:         map[string]Boundary{},
				PlatformNamespaces:        PlatformNamespaces{Names: []string{}},
				AllowedRuntimeAnnotations: []string{},
				HostPathProvisioners:      []string{},
			},
			want: changed(func(args *TenantIsolationArgs) {
				args.DataClasses = []string{}
				args.SeparateBy = []Axis{}
				args.BoundaryByHandler = map[string]Boundary{}
				args.PlatformNamespaces.Names = []string{}
				args.HostPathProvisioners = []string{}
			}),
		},
		"a list or map that is written replaces the default": {
			args: &TenantIsolationArgs{
				DataClasses:          []string{"low", "high"},
				SeparateBy:           []Axis{AxisTenant},
				BoundaryByHandler:    map[string]Boundary{"kata-ours": BoundaryVM},
				PlatformNamespaces:   PlatformNamespaces{Names: []string{"kube-system"}},
				HostPathProvisioners: []string{"example.com/disk"},
			},
			want: changed(func(args *TenantIsolationArgs) {
				args.DataClasses = []string{"low", "high"}
				args.SeparateBy = []Axis{AxisTenant}
				args.BoundaryByHandler = map[string]Boundary{"kata-ours": BoundaryVM}
				args.PlatformNamespaces.Names = []string{"kube-system"}
				args.HostPathProvisioners = []string{"example.com/disk"}
			}),
		},
		"a selector is added to the default names, and its emptiness is kept for validation": {
			args: &TenantIsolationArgs{PlatformNamespaces: PlatformNamespaces{Selector: &metav1.LabelSelector{}}},
			want: changed(func(args *TenantIsolationArgs) { args.PlatformNamespaces.Selector = &metav1.LabelSelector{} }),
		},
		"a time or number of zero is kept for validation: it was not left out": {
			args: &TenantIsolationArgs{
				Claims: Claims{
					SettleTime:        &metav1.Duration{},
					ReleaseAfter:      &metav1.Duration{},
					MaxNodesPerTenant: ptr.To(intstr.FromInt32(0)),
				},
				Audit: Audit{EvictionsPerMinute: ptr.To[int32](0)},
			},
			want: changed(func(args *TenantIsolationArgs) {
				args.Claims.SettleTime = &metav1.Duration{}
				args.Claims.ReleaseAfter = &metav1.Duration{}
				args.Claims.MaxNodesPerTenant = ptr.To(intstr.FromInt32(0))
				args.Audit.EvictionsPerMinute = ptr.To[int32](0)
			}),
		},
		"a choice other than the default is kept": {
			args: &TenantIsolationArgs{MinimumBoundary: BoundarySandbox, Preemption: PreemptionAny},
			want: changed(func(args *TenantIsolationArgs) {
				args.MinimumBoundary = BoundarySandbox
				args.Preemption = PreemptionAny
			}),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			SetDefaults(tc.args)
			if diff := cmp.Diff(tc.want, tc.args); diff != "" {
				t.Errorf("arguments after defaulting (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultHandlers(t *testing.T) {
	handlers := New().BoundaryByHandler
	for _, handler := range []string{
		"kata", "kata-clh", "kata-cloud-hypervisor", "kata-dragonball", "kata-fc", "kata-qemu", "kata-qemu-cca",
		"kata-qemu-coco-dev", "kata-qemu-coco-dev-runtime-rs", "kata-qemu-nvidia-gpu", "kata-qemu-nvidia-gpu-snp",
		"kata-qemu-nvidia-gpu-tdx", "kata-qemu-runtime-rs", "kata-qemu-se", "kata-qemu-se-runtime-rs",
		"kata-qemu-sev", "kata-qemu-snp", "kata-qemu-tdx", "kata-remote", "kata-stratovirt",
	} {
		if got := handlers[handler]; got != config.BoundaryVM {
			t.Errorf("handler %s: want %q, got %q", handler, config.BoundaryVM, got)
		}
	}
	for handler, got := range handlers {
		want := config.BoundaryVM
		if !strings.HasPrefix(handler, "kata") {
			want = config.BoundarySandbox
		}
		if got != want {
			t.Errorf("handler %s: want %q, got %q", handler, want, got)
		}
	}
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(handlers)), func(handler string) bool { return strings.HasPrefix(handler, "kata") })
	if diff := cmp.Diff([]string{"gvisor", "runsc"}, others); diff != "" {
		t.Errorf("handlers that are not Kata's (-want +got):\n%s", diff)
	}
}

func TestDefaultsAreCopies(t *testing.T) {
	first := New()
	first.BoundaryByHandler["runc"] = config.BoundaryVM
	first.DataClasses[0] = "changed"
	first.HostPathProvisioners[0] = "changed"

	second := &TenantIsolationArgs{}
	SetDefaults(second)
	if diff := cmp.Diff(defaults(), second); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if _, ok := second.BoundaryByHandler["runc"]; ok {
		t.Error("a handler that one caller added reached the next")
	}
}

// An empty list under omitempty is not written out, and what is not written out is
// defaulted when it is read again.
func TestEmptyIsWritten(t *testing.T) {
	var visit func(path string, typ reflect.Type)
	visit = func(path string, typ reflect.Type) {
		for field := range typ.Fields() {
			at := path + "." + field.Name
			tag := field.Tag.Get("json")
			switch field.Type.Kind() {
			case reflect.Slice, reflect.Map:
				if strings.Contains(tag, ",omit") {
					t.Errorf("%s: want a json tag that keeps an empty value, got %q", at, tag)
				}
			case reflect.Struct:
				visit(at, field.Type)
			}
		}
	}
	visit("TenantIsolationArgs", reflect.TypeFor[TenantIsolationArgs]())
}
