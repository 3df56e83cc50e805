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
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme adds the types of this package and their conversions to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme

	// The generated conversions register themselves under this name.
	localSchemeBuilder = &SchemeBuilder
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &TenantIsolationArgs{})
	return nil
}
