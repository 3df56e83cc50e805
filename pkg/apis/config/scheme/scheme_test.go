package scheme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	kubescheduler "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/apis/config/v1"
)

// header enables the plugin without arguments. The indented lines of arguments
// follow it.
const header = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: tenant-isolation-scheduler
  plugins:
    multiPoint:
      enabled:
      - name: TenantIsolation
`

// configuration returns a scheduler configuration with these arguments in YAML.
func configuration(args string) string {
	var b strings.Builder
	b.WriteString(header + "  pluginConfig:\n  - name: TenantIsolation\n    args:\n")
	for line := range strings.Lines(strings.TrimLeft(args, "\n")) {
		b.WriteString("      " + line)
	}
	return b.String()
}

// decode reads a configuration as kube-scheduler reads the file of --config.
func decode(data string) (*kubescheduler.KubeSchedulerConfiguration, error) {
	obj, _, err := Codecs.UniversalDecoder().Decode([]byte(data), nil, nil)
	if err != nil {
		return nil, err
	}
	cfg, ok := obj.(*kubescheduler.KubeSchedulerConfiguration)
	if !ok {
		return nil, fmt.Errorf("want a scheduler configuration, got %T", obj)
	}
	return cfg, nil
}

// decodedArgs returns the arguments that the plugin of the only profile would get.
func decodedArgs(t *testing.T, data string) *config.TenantIsolationArgs {
	t.Helper()
	cfg, err := decode(data)
	if err != nil {
		t.Fatalf("cannot decode the configuration: %v\n%s", err, data)
	}
	for _, pluginConfig := range cfg.Profiles[0].PluginConfig {
		if pluginConfig.Name != "TenantIsolation" {
			continue
		}
		args, ok := pluginConfig.Args.(*config.TenantIsolationArgs)
		if !ok {
			t.Fatalf("want arguments of type %T, got %T", args, pluginConfig.Args)
		}
		return args
	}
	t.Fatal("the configuration has no arguments for TenantIsolation")
	return nil
}

// written returns the configuration in the words of --write-config-to, which uses
// the same encoder as the log line that is caught here but ends the process.
func written(t *testing.T, cfg *kubescheduler.KubeSchedulerConfiguration) string {
	t.Helper()
	var logged struct{ Config string }
	logger := funcr.NewJSON(func(line string) {
		if err := json.Unmarshal([]byte(line), &logged); err != nil {
			t.Errorf("cannot read the log line: %v\n%s", err, line)
		}
	}, funcr.Options{Verbosity: 2})
	if err := options.LogOrWriteConfig(logger, "", cfg, cfg.Profiles); err != nil {
		t.Fatalf("cannot write the configuration: %v", err)
	}
	if logged.Config == "" {
		t.Fatal("no configuration was written")
	}
	return logged.Config
}

// changed returns the default arguments after one change.
func changed(change func(*config.TenantIsolationArgs)) *config.TenantIsolationArgs {
	args := v1.New()
	change(args)
	return args
}

// ignoreTypeMeta leaves out what the scheme writes into decoded objects.
var ignoreTypeMeta = cmp.Transformer("TypeMeta", func(metav1.TypeMeta) string { return "" })

func TestDecode(t *testing.T) {
	tests := map[string]struct {
		data string
		want *config.TenantIsolationArgs
	}{
		"without pluginConfig the plugin gets the defaults": {
			data: header,
			want: v1.New(),
		},
		"with empty arguments the plugin gets the defaults": {
			data: configuration("{}"),
			want: v1.New(),
		},
		"null is the default": {
			data: configuration("dataClasses: null\nseparateBy:\nboundaryByHandler: null\nhostPathProvisioners:\nsharing: null\n"),
			want: v1.New(),
		},
		"one argument leaves the others at their defaults": {
			data: configuration("minimumBoundary: sandbox\n"),
			want: changed(func(args *config.TenantIsolationArgs) { args.MinimumBoundary = config.BoundarySandbox }),
		},
		"an empty map of handlers replaces the default": {
			data: configuration("boundaryByHandler: {}\n"),
			want: changed(func(args *config.TenantIsolationArgs) { args.BoundaryByHandler = map[string]config.Boundary{} }),
		},
		"apiVersion and kind may be written": {
			data: configuration("apiVersion: kubescheduler.config.k8s.io/v1\nkind: TenantIsolationArgs\npreemption: Any\n"),
			want: changed(func(args *config.TenantIsolationArgs) { args.Preemption = config.PreemptionAny }),
		},
		"every argument reaches the plugin": {
			data: configuration(everyArgument),
			want: everyArgumentDecoded,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, decodedArgs(t, tc.data), ignoreTypeMeta); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

const everyArgument = `
labelKeys:
  tenant: example.com/customer
  dataClass: example.com/class
  privilege: example.com/level
  boundary: example.com/wall
  runtimeClass: example.com/runtime
dataClasses: [low, high]
separateBy: [tenant, data-class, privilege]
sharing:
  dataClasses: [[unclassified, low]]
  privileges: [[restricted, baseline]]
boundaryByHandler:
  kata-ours: vm
  runsc: sandbox
  runc: container
minimumBoundary: sandbox
platformNamespaces:
  names: [kube-system]
  selector:
    matchLabels:
      example.com/platform: "true"
allowedRuntimeAnnotations: [io.katacontainers.config.hypervisor.default_vcpus]
hostPathProvisioners: [example.com/host-directory]
preemption: SameTenant
enforcement: Audit
claims:
  mode: Enabled
  taintEffect: NoExecute
  settleTime: 2500ms
  releaseAfter: 5m
  maxNodesPerTenant: 12
  nodeReuse: AfterReboot
audit:
  mode: Disabled
  remediation: Evict
  evictionsPerMinute: 1
`

var everyArgumentDecoded = &config.TenantIsolationArgs{
	LabelKeys: config.LabelKeys{
		Tenant:       "example.com/customer",
		DataClass:    "example.com/class",
		Privilege:    "example.com/level",
		Boundary:     "example.com/wall",
		RuntimeClass: "example.com/runtime",
	},
	DataClasses: []string{"low", "high"},
	SeparateBy:  []config.Axis{config.AxisTenant, config.AxisDataClass, config.AxisPrivilege},
	Sharing: config.Sharing{
		DataClasses: [][]string{{"unclassified", "low"}},
		Privileges:  [][]string{{"restricted", "baseline"}},
	},
	BoundaryByHandler: map[string]config.Boundary{
		"kata-ours": config.BoundaryVM,
		"runsc":     config.BoundarySandbox,
		"runc":      config.BoundaryContainer,
	},
	MinimumBoundary: config.BoundarySandbox,
	PlatformNamespaces: config.PlatformNamespaces{
		Names:    []string{"kube-system"},
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"example.com/platform": "true"}},
	},
	AllowedRuntimeAnnotations: []string{"io.katacontainers.config.hypervisor.default_vcpus"},
	HostPathProvisioners:      []string{"example.com/host-directory"},
	Preemption:                config.PreemptionSameTenant,
	Enforcement:               config.EnforcementAudit,
	Claims: config.Claims{
		Mode:              config.ModeEnabled,
		TaintEffect:       config.TaintEffectNoExecute,
		SettleTime:        &metav1.Duration{Duration: 2500 * time.Millisecond},
		ReleaseAfter:      &metav1.Duration{Duration: 5 * time.Minute},
		MaxNodesPerTenant: ptr.To(intstr.FromInt32(12)),
		NodeReuse:         config.NodeReuseAfterReboot,
	},
	Audit: config.Audit{Mode: config.ModeDisabled, Remediation: config.RemediationEvict, EvictionsPerMinute: ptr.To[int32](1)},
}

func TestDecodeErrors(t *testing.T) {
	tests := map[string]struct {
		args string
		want []string // parts of the error
	}{
		"a misspelled field is named": {
			args: "minimumBoundry: vm\n",
			want: []string{"strict decoding error", "TenantIsolation", `unknown field "minimumBoundry"`},
		},
		"a misspelled field within a field is named": {
			args: "labelKeys:\n  tenent: example.com/customer\n",
			want: []string{"strict decoding error", `unknown field "labelKeys.tenent"`},
		},
		"a field in the wrong case is named": {
			args: "DataClasses: [low]\n",
			want: []string{"strict decoding error", `unknown field "DataClasses"`},
		},
		"every misspelled field is named": {
			args: "preemtion: Never\nsharing:\n  dataclasses: []\n",
			want: []string{`unknown field "preemtion"`, `unknown field "sharing.dataclasses"`},
		},
		"a field of the selector that does not exist is named": {
			args: "platformNamespaces:\n  selector:\n    matchLabel: {a: b}\n",
			want: []string{`unknown field "platformNamespaces.selector.matchLabel"`},
		},
		"a repeated field is named": {
			args: "preemption: Never\npreemption: Any\n",
			want: []string{"strict decoding error", `key "preemption" already set`},
		},
		"a repeated handler is named": {
			args: "boundaryByHandler:\n  kata: vm\n  kata: container\n",
			want: []string{`key "kata" already set`},
		},
		"a list of the wrong type is named": {
			args: "dataClasses: public\n",
			want: []string{"dataClasses"},
		},
		"a time without its unit is refused": {
			args: "claims:\n  settleTime: 5\n",
			want: []string{"claims.settleTime"},
		},
		"a misspelled field of the claims is named": {
			args: "claims:\n  settletime: 5s\n",
			want: []string{`unknown field "claims.settletime"`},
		},
		"another kind of arguments is refused": {
			args: "apiVersion: kubescheduler.config.k8s.io/v1\nkind: NodeAffinityArgs\n",
			want: []string{"TenantIsolationArgs", "NodeAffinityArgs"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := decode(configuration(tc.args))
			if err == nil {
				t.Fatal("want an error, got none")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want an error that contains %q, got: %v", want, err)
				}
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	tests := map[string]struct {
		data string
		want *config.TenantIsolationArgs
	}{
		"the defaults, unasked": {
			data: header,
			want: v1.New(),
		},
		"every argument": {
			data: configuration(everyArgument),
			want: everyArgumentDecoded,
		},
		"lists and maps that are empty on purpose": {
			data: configuration(`
dataClasses: []
separateBy: []
sharing:
  dataClasses: []
  privileges: [[]]
boundaryByHandler: {}
platformNamespaces:
  names: []
  selector: {}
allowedRuntimeAnnotations: []
hostPathProvisioners: []
`),
			want: changed(func(args *config.TenantIsolationArgs) {
				args.DataClasses = []string{}
				args.SeparateBy = []config.Axis{}
				args.Sharing.Privileges = [][]string{{}}
				args.BoundaryByHandler = map[string]config.Boundary{}
				args.PlatformNamespaces = config.PlatformNamespaces{Names: []string{}, Selector: &metav1.LabelSelector{}}
				args.HostPathProvisioners = []string{}
			}),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cfg, err := decode(tc.data)
			if err != nil {
				t.Fatalf("cannot decode the configuration: %v", err)
			}
			once := written(t, cfg)
			if diff := cmp.Diff(tc.want, decodedArgs(t, once), ignoreTypeMeta); diff != "" {
				t.Errorf("arguments that were written and read (-want +got):\n%s\nwritten:\n%s", diff, once)
			}

			again, err := decode(once)
			if err != nil {
				t.Fatalf("cannot decode what was written: %v", err)
			}
			if diff := cmp.Diff(once, written(t, again)); diff != "" {
				t.Errorf("configuration that was written twice (-first +second):\n%s", diff)
			}
		})
	}
}

func TestEncodeDefaults(t *testing.T) {
	cfg, err := decode(header)
	if err != nil {
		t.Fatalf("cannot decode the configuration: %v", err)
	}
	got := written(t, cfg)
	for _, want := range []string{"kind: TenantIsolationArgs", "kata-qemu: vm", "preemption: Never", "allowedRuntimeAnnotations: []"} {
		if !strings.Contains(got, want) {
			t.Errorf("want a configuration that contains %q, got:\n%s", want, got)
		}
	}
}

func TestRoundTripRandom(t *testing.T) {
	info, ok := runtime.SerializerInfoForMediaType(Codecs.SupportedMediaTypes(), runtime.ContentTypeYAML)
	if !ok {
		t.Fatal("the codec cannot write YAML")
	}
	encoder := Codecs.EncoderForVersion(info.Serializer, v1.SchemeGroupVersion)
	filler := randfill.NewWithSeed(4).NilChance(0.3).NumElements(0, 3).MaxDepth(12).Funcs(
		func(meta *metav1.TypeMeta, _ randfill.Continue) { *meta = metav1.TypeMeta{} },
		// Only what is chosen by its type is written.
		func(value *intstr.IntOrString, c randfill.Continue) { *value = intstr.FromInt32(c.Int31()) },
		randfill.UnicodeRanges{{First: ' ', Last: '~'}}.CustomStringFillFunc(20),
	)
	for range 200 {
		versioned, want := &v1.TenantIsolationArgs{}, &config.TenantIsolationArgs{}
		filler.Fill(versioned)
		v1.SetDefaults(versioned)
		// A group of nil is a group of none, and JSON has one word for an absent
		// list of the selector: what is compared is what can be written.
		withoutNil(versioned)
		if err := v1.Convert_v1_TenantIsolationArgs_To_config_TenantIsolationArgs(versioned, want, nil); err != nil {
			t.Fatalf("cannot convert: %v", err)
		}

		var data bytes.Buffer
		if err := encoder.Encode(want, &data); err != nil {
			t.Fatalf("cannot encode %+v: %v", want, err)
		}
		got, _, err := Codecs.UniversalDecoder().Decode(data.Bytes(), nil, nil)
		if err != nil {
			t.Fatalf("cannot decode: %v\n%s", err, data.String())
		}
		if diff := cmp.Diff(runtime.Object(want), got, ignoreTypeMeta); diff != "" {
			t.Fatalf("arguments after the codec (-want +got):\n%s\nwritten:\n%s", diff, data.String())
		}
	}
}

// withoutNil replaces values that are equal in JSON.
func withoutNil(args *v1.TenantIsolationArgs) {
	for _, groups := range [][][]string{args.Sharing.DataClasses, args.Sharing.Privileges} {
		for i := range groups {
			if groups[i] == nil {
				groups[i] = []string{}
			}
		}
	}
	selector := args.PlatformNamespaces.Selector
	if selector == nil {
		return
	}
	if len(selector.MatchLabels) == 0 {
		selector.MatchLabels = nil
	}
	if len(selector.MatchExpressions) == 0 {
		selector.MatchExpressions = nil
	}
	for i := range selector.MatchExpressions {
		if len(selector.MatchExpressions[i].Values) == 0 {
			selector.MatchExpressions[i].Values = nil
		}
	}
}

func TestKindIsRegistered(t *testing.T) {
	if diff := cmp.Diff(kubescheduler.SchemeGroupVersion, config.SchemeGroupVersion); diff != "" {
		t.Errorf("internal group and version (-kube-scheduler +ours):\n%s", diff)
	}
	want := v1.SchemeGroupVersion.WithKind("TenantIsolationArgs")
	obj, got, err := Codecs.UniversalDecoder(v1.SchemeGroupVersion).Decode([]byte(`{"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "TenantIsolationArgs"}`), nil, nil)
	if err != nil {
		t.Fatalf("cannot decode the arguments alone: %v", err)
	}
	if _, ok := obj.(*v1.TenantIsolationArgs); !ok || *got != want {
		t.Errorf("want a *v1.TenantIsolationArgs of %v, got %T of %v", want, obj, got)
	}
}
