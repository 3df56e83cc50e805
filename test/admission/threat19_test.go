package admission

import (
	"fmt"
	"testing"
)

func TestThreat19PluginAbsent(t *testing.T) { face(t) }

// pluginAbsent are attacks that leave a pod to a scheduler without the plugin.
func pluginAbsent() threat {
	return threat{"TestThreat19PluginAbsent", []attack{
		{
			name: "a pod that says nothing is left to any scheduler", undone: true,
			run: func(s *scene) error {
				pod, err := s.create(s.managed(dataClass("internal"), privilege("privileged")), scheduledBy(""))
				if err != nil || pod.Spec.SchedulerName != schedulerName {
					return err
				}
				for key, want := range map[string]string{tenantKey: "acme", dataClassKey: "internal", privilegeKey: "privileged"} {
					if got := pod.Labels[key]; got != want {
						return fmt.Errorf("its label %s is %q, want %q", key, got, want)
					}
				}
				return errUndone
			},
		},
	}}
}
