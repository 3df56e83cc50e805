package v1

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// GroupName is kube-scheduler's own group.
const GroupName = config.GroupName

// SchemeGroupVersion is the group and version of the types of this package.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1"}

var (
	// SchemeBuilder collects what AddToScheme adds.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes, addDefaults)
	// AddToScheme adds the types of this package, their defaults and their
	// conversions to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme

	// The generated conversions register themselves under this name.
	localSchemeBuilder = &SchemeBuilder
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &TenantIsolationArgs{})
	return nil
}

func addDefaults(scheme *runtime.Scheme) error {
	scheme.AddTypeDefaultingFunc(&TenantIsolationArgs{}, func(obj any) {
		// The scheme calls it for the type above. Were that ever untrue, arguments
		// without defaults would be worse than a panic at start-up.
		args := obj.(*TenantIsolationArgs) //nolint:errcheck // a panic is wanted
		SetDefaults(args)
	})
	return nil
}
