package admission

import (
	"fmt"
	"testing"
)

func TestThreat11HostSharing(t *testing.T)  { face(t) }
func TestThreat12HolesInTheVM(t *testing.T) { face(t) }

// hostSharing are the fields that void the virtual machine that a namespace demands.
func hostSharing() threat {
	row := threat{test: "TestThreat11HostSharing"}
	for what, option := range map[string]podOption{
		"the network": hostNetwork, "the processes": hostPID, "the memory segments": hostIPC, "a directory": hostPath,
	} {
		row.attacks = append(row.attacks, attack{
			name: "a pod that has to be in a virtual machine shares " + what + " of its node", names: []string{boundaryKey},
			run: func(s *scene) error {
				_, err := s.create(s.managed(boundary("vm")), runtimeClass(kataClass), option)
				return err
			},
		})
	}
	for _, demanded := range []string{"vm", "sandbox"} {
		for what, options := range map[string][]podOption{
			"no RuntimeClass": nil, "a RuntimeClass that isolates nothing": {runtimeClass(plainClass)},
		} {
			row.attacks = append(row.attacks, attack{
				name:  fmt.Sprintf("a pod that has to be behind the boundary %s names %s", demanded, what),
				names: []string{boundaryKey, "spec.runtimeClassName"},
				run: func(s *scene) error {
					_, err := s.create(s.managed(boundary(demanded)), options...)
					return err
				},
			})
		}
	}
	return row
}

// holesInTheVM are the fields of a pod that give its virtual machine access to the host.
func holesInTheVM() threat {
	row := threat{test: "TestThreat12HolesInTheVM"}
	for what, option := range map[string]podOption{
		"a privileged container": privileged, "a privileged init container": privilegedInit,
	} {
		row.attacks = append(row.attacks, attack{
			name: "a pod that has to be in a virtual machine has " + what, names: []string{boundaryKey},
			run: func(s *scene) error {
				_, err := s.create(s.managed(boundary("vm")), runtimeClass(kataClass), option)
				return err
			},
		})
	}
	row.attacks = append(row.attacks, attack{
		name: "a pod configures its virtual machine", names: []string{kataPath},
		run: func(s *scene) error {
			_, err := s.create(s.managed(), runtimeClass(kataClass), annotated(kataPath, "/bin/sh"))
			return err
		},
	}, attack{
		name: "a pod that waits is changed to configure its virtual machine", names: []string{kataPath},
		run: func(s *scene) error {
			return mergePatch(s, s.waiting(s.managed(), runtimeClass(kataClass)), "annotations", kataPath, "/bin/sh")
		},
	}, attack{
		name: "a pod configures its virtual machine by its status", names: []string{kataPath},
		run: func(s *scene) error {
			return statusPatch(s, s.waiting(s.managed(), runtimeClass(kataClass)), "annotations", kataPath, "/bin/sh")
		},
	}, attack{
		name: "our scheduler's account configures a virtual machine by a Binding", names: []string{kataPath},
		run: func(s *scene) error {
			binding := s.bindingOf(s.waiting(s.managed(), runtimeClass(kataClass)), attackedNode)
			binding.Annotations[evidenceKey], binding.Annotations[kataPath] = evidenceOf("baseline"), "/bin/sh"
			return binders()["pods/binding"](s, ourScheduler, binding)
		},
	})
	return row
}
