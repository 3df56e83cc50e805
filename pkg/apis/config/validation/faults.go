package validation

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// each returns the errors of every entry, and an error for each repeated entry.
func each[T ~string](path *field.Path, entries []T, faults func(*field.Path, T) field.ErrorList) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[T]()
	for i, entry := range entries {
		at := path.Index(i)
		if seen.Has(entry) {
			errs = append(errs, duplicate(at, entry, msgRepeated))
			continue
		}
		seen.Insert(entry)
		errs = append(errs, faults(at, entry)...)
	}
	return errs
}

// oneOf returns an error with the supported values if the value is none of them.
func oneOf[T ~string](path *field.Path, value T, supported []T) field.ErrorList {
	if slices.Contains(supported, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, value, supported)}
}

// invalid returns one error from the messages of a Kubernetes validation function.
func invalid(path *field.Path, value, instead string, faults []string) field.ErrorList {
	if len(faults) == 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, instead+": "+strings.Join(faults, "; "))}
}

func duplicate(path *field.Path, value any, instead string) *field.Error {
	err := field.Duplicate(path, value)
	err.Detail = instead
	return err
}
