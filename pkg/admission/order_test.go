package admission_test

import (
	"testing"

	"tenantisolation.dev/scheduler/pkg/admission"
)

// By the answer of tenant-isolation-witness the leader knows that the others are in force: they have to be
// created before.
func TestWitnessComesLast(t *testing.T) {
	all, err := admission.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for i := range all.Mutating {
		names["mutating policies"] = append(names["mutating policies"], all.Mutating[i].Name)
	}
	for i := range all.MutatingBindings {
		names["mutating bindings"] = append(names["mutating bindings"], all.MutatingBindings[i].Name)
	}
	for i := range all.Validating {
		names["validating policies"] = append(names["validating policies"], all.Validating[i].Name)
	}
	for i := range all.ValidatingBindings {
		names["validating bindings"] = append(names["validating bindings"], all.ValidatingBindings[i].Name)
	}
	for kind, of := range names {
		last := ""
		for _, name := range of {
			last = max(last, name)
		}
		if last != "tenant-isolation-witness" {
			t.Errorf("the last of the %s is %s", kind, last)
		}
	}
}
