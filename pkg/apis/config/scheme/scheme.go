// Package scheme teaches kube-scheduler's own scheme the arguments of the
// TenantIsolation plugin.
//
// Import it, if only for its side effect, wherever a scheduler configuration is
// decoded. Then a typo in the arguments is a strict decoding error that names the
// field, the defaults hold even without pluginConfig, and --write-config-to shows
// them. Without it the arguments reach the plugin as raw bytes, which it refuses.
package scheme

import (
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	kubeschedulerv1 "k8s.io/kube-scheduler/config/v1"
	kubescheduler "k8s.io/kubernetes/pkg/scheduler/apis/config"
	kubescheme "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/apis/config/v1"
)

// Codecs decodes and encodes scheduler configurations with the arguments of the
// TenantIsolation plugin, strictly. It is kube-scheduler's own.
var Codecs = kubescheme.Codecs

func init() {
	// kube-scheduler converts and defaults plugin arguments in a scheme of its own,
	// which it builds from these two on first use; that is after every init.
	kubeschedulerv1.SchemeBuilder.Register(v1.AddToScheme)
	kubescheduler.SchemeBuilder.Register(config.AddToScheme)

	// The scheme that decodes configurations was built before this init ran.
	utilruntime.Must(AddToScheme(kubescheme.Scheme))
}

// AddToScheme adds both forms of the arguments to a scheme, with their defaults and
// the conversion between them.
func AddToScheme(scheme *runtime.Scheme) error {
	builder := runtime.NewSchemeBuilder(config.AddToScheme, v1.AddToScheme)
	return builder.AddToScheme(scheme)
}
