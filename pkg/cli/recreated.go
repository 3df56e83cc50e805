package cli

import (
	"fmt"
	"maps"
	"slices"

	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// recreated returns the pods of findings that count as containers only because their RuntimeClass was made
// again after they had been started, by class: by which handler they run is unknown until they are restarted.
func (c *judgedCluster) recreated(findings []audit.Finding) map[string][]string {
	all := map[string][]string{}
	for i := range findings {
		for class, pods := range c.recreatedIn(&findings[i]) {
			all[class] = append(all[class], pods...)
		}
	}
	for class := range all {
		slices.Sort(all[class])
		all[class] = slices.Compact(all[class])
	}
	return all
}

func (c *judgedCluster) recreatedIn(f *audit.Finding) map[string][]string {
	all := map[string][]string{}
	for i := range f.Parties {
		for _, of := range f.Parties[i].Pods {
			pod, known := c.store.Pod(of.Namespace, of.Name)
			if !known || pod.Status.StartTime == nil {
				continue
			}
			name := podfacts.RuntimeClassName(pod)
			class, known := c.store.RuntimeClass(name)
			if known && pod.Status.StartTime.Before(&class.Created) && c.rules.BoundaryOf(class.Handler) > f.Parties[i].Subject.Boundary() {
				all[name] = append(all[name], of.String())
			}
		}
	}
	return all
}

// sentencesOfRecreated say what to restart.
func sentencesOfRecreated(recreated map[string][]string) []string {
	var all []string
	for _, class := range slices.Sorted(maps.Keys(recreated)) {
		all = append(all, fmt.Sprintf("RuntimeClass %s was made again after %s had been started, so it is unknown by which handler they run, and they count as containers: restart them",
			class, fewOf(recreated[class])))
	}
	return all
}
