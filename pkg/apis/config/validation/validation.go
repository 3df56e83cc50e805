// Package validation validates the arguments of the TenantIsolation plugin. It is pure: the
// result depends on the arguments alone.
package validation

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// A group of one member has no effect.
const minSharingGroup = 2

// The messages say what to write instead.
const (
	msgRepeated = "write every entry once: remove this one"

	msgLabelKey         = `write a label key, such as "example.com/tenant"`
	msgNameLabel        = "write a label key that only administrators set: every namespace has this label, so all would be managed, even those of the platform"
	msgRepeatedLabelKey = "write another key: each label needs a key of its own"

	msgDataClass    = `write the value of a label, such as "internal"`
	msgUnclassified = `remove "` + config.UnclassifiedDataClass + `": it is the class of pods without a label, below all others`

	msgTenantAxis = `add "` + string(config.AxisTenant) + `": without it different tenants would share kernels`

	msgUnknownClass  = `write a class that dataClasses lists, or "` + config.UnclassifiedDataClass + `"`
	msgSmallGroup    = "remove the group, or add members up to at least "
	msgRepeatedShare = "write it once, in one group only: overlapping groups would share with each other"
	msgSharingAxis   = "remove the groups, or add to separateBy: "

	msgHandler          = `write the handler of a RuntimeClass, such as "kata-qemu"`
	msgContainerHandler = `write "` + string(config.BoundaryContainer) + `", or remove it: this runtime starts containers on the kernel of the node`
	msgMinimumContainer = `write "` + string(config.BoundaryVM) + `", or "` + string(config.BoundarySandbox) + `" if the kernel of a sandbox isolates well enough: ` +
		`every pod has at least the boundary "` + string(config.BoundaryContainer) + `", so all pods could share a kernel`

	msgRuntimeAnnotation   = `write one whole annotation key, such as "` + config.RuntimeAnnotationPrefix + `config.hypervisor.default_vcpus"`
	msgNoRuntimeAnnotation = `remove it, or write an annotation of a container runtime, such as "` + config.RuntimeAnnotationPrefix + `config.hypervisor.default_vcpus": no other voids a boundary`
	msgHostPathProvisioner = `write the provisioner of a StorageClass, such as "rancher.io/local-path"`
)

var (
	axes             = []config.Axis{config.AxisTenant, config.AxisDataClass, config.AxisPrivilege, config.AxisUserNamespace}
	boundaries       = []config.Boundary{config.BoundaryContainer, config.BoundarySandbox, config.BoundaryVM}
	sharedBoundaries = []config.Boundary{config.BoundarySandbox, config.BoundaryVM}
	preemptions      = []config.PreemptionPolicy{config.PreemptionNever, config.PreemptionSameTenant, config.PreemptionAny}
	// The well-known handlers that may only be BoundaryContainer.
	containerRuntimes = sets.New("runc", "crun", "youki", "nvidia", "nvidia-cdi", "nvidia-legacy")
	// The levels of the Pod Security Standards.
	privileges = []string{"restricted", "baseline", "privileged"}
)

// ValidateTenantIsolationArgs returns every error of args, each with its path below path.
// It expects defaulted arguments: an empty label key is an error here.
func ValidateTenantIsolationArgs(path *field.Path, args *config.TenantIsolationArgs) field.ErrorList {
	return slices.Concat(
		validateLabelKeys(path.Child("labelKeys"), args.LabelKeys),
		validateDataClasses(path.Child("dataClasses"), args.DataClasses),
		validateSeparateBy(path.Child("separateBy"), args.SeparateBy),
		validateSharing(path.Child("sharing"), args),
		validateBoundaryByHandler(path.Child("boundaryByHandler"), args.BoundaryByHandler),
		validateMinimumBoundary(path.Child("minimumBoundary"), args.MinimumBoundary),
		validatePlatformNamespaces(path.Child("platformNamespaces"), args.PlatformNamespaces),
		validateAllowedRuntimeAnnotations(path.Child("allowedRuntimeAnnotations"), args.AllowedRuntimeAnnotations),
		validateHostPathProvisioners(path.Child("hostPathProvisioners"), args.HostPathProvisioners),
		oneOf(path.Child("preemption"), args.Preemption, preemptions),
		oneOf(path.Child("enforcement"), args.Enforcement, enforcements),
		validateClaims(path.Child("claims"), args),
		validateAudit(path.Child("audit"), args),
	)
}

func validateLabelKeys(path *field.Path, keys config.LabelKeys) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for _, label := range []struct{ name, key string }{
		{"tenant", keys.Tenant},
		{"dataClass", keys.DataClass},
		{"privilege", keys.Privilege},
		{"boundary", keys.Boundary},
		{"runtimeClass", keys.RuntimeClass},
	} {
		at := path.Child(label.name)
		if seen.Has(label.key) {
			errs = append(errs, duplicate(at, label.key, msgRepeatedLabelKey))
			continue
		}
		seen.Insert(label.key)
		if label.key == corev1.LabelMetadataName {
			errs = append(errs, field.Invalid(at, label.key, msgNameLabel))
			continue
		}
		errs = append(errs, invalid(at, label.key, msgLabelKey, utilvalidation.IsQualifiedName(label.key))...)
	}
	return errs
}

func validateDataClasses(path *field.Path, classes []string) field.ErrorList {
	return each(path, classes, func(at *field.Path, class string) field.ErrorList {
		switch class {
		case "": // a valid label value, but the same as no class
			return field.ErrorList{field.Required(at, msgDataClass)}
		case config.UnclassifiedDataClass:
			return field.ErrorList{field.Invalid(at, class, msgUnclassified)}
		}
		return invalid(at, class, msgDataClass, utilvalidation.IsValidLabelValue(class))
	})
}

func validateSeparateBy(path *field.Path, separateBy []config.Axis) field.ErrorList {
	errs := each(path, separateBy, func(at *field.Path, axis config.Axis) field.ErrorList {
		return oneOf(at, axis, axes)
	})
	if !slices.Contains(separateBy, config.AxisTenant) {
		errs = append(errs, field.Required(path, msgTenantAxis))
	}
	return errs
}

func validateSharing(path *field.Path, args *config.TenantIsolationArgs) field.ErrorList {
	return slices.Concat(
		validateGroups(path.Child("dataClasses"), args.Sharing.DataClasses, config.AxisDataClass, args.SeparateBy,
			func(at *field.Path, class string) field.ErrorList {
				if class == config.UnclassifiedDataClass || slices.Contains(args.DataClasses, class) {
					return nil
				}
				return field.ErrorList{field.Invalid(at, class, msgUnknownClass)}
			}),
		validateGroups(path.Child("privileges"), args.Sharing.Privileges, config.AxisPrivilege, args.SeparateBy,
			func(at *field.Path, level string) field.ErrorList {
				return oneOf(at, level, privileges)
			}),
	)
}

// validateGroups validates the sharing groups of one axis. All groups have one set of seen
// members, so that no two groups overlap.
func validateGroups(path *field.Path, groups [][]string, axis config.Axis, separateBy []config.Axis,
	memberFaults func(*field.Path, string) field.ErrorList,
) field.ErrorList {
	var errs field.ErrorList
	if len(groups) > 0 && !slices.Contains(separateBy, axis) {
		errs = append(errs, field.Forbidden(path, msgSharingAxis+string(axis)))
	}
	seen := sets.New[string]()
	for i, group := range groups {
		if len(group) < minSharingGroup {
			errs = append(errs, field.Invalid(path.Index(i), group, msgSmallGroup+strconv.Itoa(minSharingGroup)))
		}
		for j, member := range group {
			at := path.Index(i).Index(j)
			if seen.Has(member) {
				errs = append(errs, duplicate(at, member, msgRepeatedShare))
				continue
			}
			seen.Insert(member)
			errs = append(errs, memberFaults(at, member)...)
		}
	}
	return errs
}

func validateBoundaryByHandler(path *field.Path, boundaryByHandler map[string]config.Boundary) field.ErrorList {
	var errs field.ErrorList
	for _, handler := range slices.Sorted(maps.Keys(boundaryByHandler)) {
		at := path.Key(handler)
		errs = append(errs, invalid(at, handler, msgHandler, utilvalidation.IsDNS1123Label(handler))...)
		errs = append(errs, oneOf(at, boundaryByHandler[handler], boundaries)...)
		if containerRuntimes.Has(handler) && boundaryByHandler[handler] != config.BoundaryContainer {
			errs = append(errs, field.Invalid(at, boundaryByHandler[handler], msgContainerHandler))
		}
	}
	return errs
}

func validateMinimumBoundary(path *field.Path, boundary config.Boundary) field.ErrorList {
	if boundary == config.BoundaryContainer {
		return field.ErrorList{field.Invalid(path, boundary, msgMinimumContainer)}
	}
	return oneOf(path, boundary, sharedBoundaries)
}

func validateAllowedRuntimeAnnotations(path *field.Path, keys []string) field.ErrorList {
	return each(path, keys, func(at *field.Path, key string) field.ErrorList {
		if !isolation.ReconfiguresRuntime(key) {
			return field.ErrorList{field.Invalid(at, key, msgNoRuntimeAnnotation)}
		}
		// The API server validates annotation keys in lower case.
		return invalid(at, key, msgRuntimeAnnotation, utilvalidation.IsQualifiedName(strings.ToLower(key)))
	})
}

func validateHostPathProvisioners(path *field.Path, provisioners []string) field.ErrorList {
	return each(path, provisioners, func(at *field.Path, provisioner string) field.ErrorList {
		return invalid(at, provisioner, msgHostPathProvisioner, utilvalidation.IsQualifiedName(strings.ToLower(provisioner)))
	})
}
