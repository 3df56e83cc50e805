package admission

import "testing"

func TestThreat04NodeNameAtCreation(t *testing.T) { face(t) }

func nodeName() threat {
	creates := func(options ...podOption) func(*scene) error {
		return func(s *scene) error {
			_, err := s.create(s.managed(), options...)
			return err
		}
	}
	return threat{"TestThreat04NodeNameAtCreation", []attack{
		{
			name: "a pod names its node", names: []string{"spec.nodeName"},
			run: creates(onNode(attackedNode)),
		},
		{
			name: "a pod names its node, by the namespace's administrator", names: []string{"spec.nodeName"},
			run: func(s *scene) error {
				return s.createAs(namespaceAdmin, s.managed(), onNode(attackedNode))
			},
		},
		{
			name: "a pod names a node that does not exist yet", names: []string{"spec.nodeName"},
			run: creates(onNode("tomorrows-node")),
		},
		{
			name: "a pod names another scheduler", names: []string{"spec.schedulerName", schedulerName},
			run: creates(scheduledBy("another-scheduler")),
		},
		{
			name: "a pod names the cluster's own scheduler", undone: true,
			run: func(s *scene) error {
				pod, err := s.create(s.managed(), scheduledBy("default-scheduler"))
				if err == nil && pod.Spec.SchedulerName == schedulerName {
					err = errUndone
				}
				return err
			},
		},
	}}
}
