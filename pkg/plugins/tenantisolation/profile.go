package tenantisolation

import (
	"fmt"
	"sync"

	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
)

// profile is what the plugin has to know of its place among the others. It is read at the
// first use: a framework that is still making its plugins does not know.
type profile struct {
	once sync.Once
	// fault is why no pod may be placed by this profile.
	fault error
	// focusable: see focus.
	focusable bool
}

func (pl *Plugin) readProfile() *profile {
	p := &pl.profile
	p.once.Do(func() {
		framework, ok := pl.handle.(profiled)
		if !ok {
			return
		}
		plugins := framework.ListPlugins()
		p.fault = misplaced(plugins)
		p.focusable = pl.focusable(plugins)
	})
	return p
}

// misplaced returns what is wrong with the plugin's place.
//
// Preemption looks at every node that the first filter to refuse it calls Unschedulable. If
// that is another one, for want of memory say, preemption may empty a node of another
// trust domain, whatever the preemption argument says. And a plugin that binds before this one
// leaves no evidence and does not ask whether the pod has changed.
func misplaced(plugins *schedulerconfig.Plugins) error {
	for _, point := range []struct {
		name    string
		enabled []schedulerconfig.Plugin
	}{
		{"filter", plugins.Filter.Enabled},
		{"bind", plugins.Bind.Enabled},
	} {
		if len(point.enabled) == 0 || point.enabled[0].Name != Name {
			return fmt.Errorf("profile is configured wrongly: %s has to be the first of the %s plugins, list it in plugins.%s.enabled as well as in plugins.multiPoint.enabled",
				Name, point.name, point.name)
		}
	}
	return nil
}
