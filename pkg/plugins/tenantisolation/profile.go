package tenantisolation

import (
	"fmt"
	"sync"

	"k8s.io/client-go/tools/cache"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// profiled is the part of a framework that tells which plugins run when. fwk.Handle does
// not offer it; the scheduler's implementation does.
type profiled interface {
	ListPlugins() *schedulerconfig.Plugins
}

// profile is what the plugin has to know of its place among the others. It is read at the
// first use: while a framework makes its plugins, it cannot tell.
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
// trust domain, whatever the preemption argument says. And whoever binds before this
// plugin leaves no evidence and does not ask whether the pod has changed.
func misplaced(plugins *schedulerconfig.Plugins) error {
	for _, point := range []struct {
		name    string
		enabled []schedulerconfig.Plugin
	}{
		{"filter", plugins.Filter.Enabled},
		{"bind", plugins.Bind.Enabled},
	} {
		if len(point.enabled) == 0 || point.enabled[0].Name != Name {
			return fmt.Errorf("profile is configured wrongly: %s has to be the first of the %s plugins, list it in plugins.%s.enabled besides plugins.multiPoint.enabled",
				Name, point.name, point.name)
		}
	}
	return nil
}

// dedicating is an index without entries: it tells the plugins of other profiles, which have
// the informer in common, that one of them dedicates nodes.
const dedicating = "tenantisolation.dev/dedicating"

// onlyOne returns an error if another profile has the plugin too and one of them dedicates
// nodes: there is one table of dedicated nodes, and of what one scheduler process leases to its pods
// in memory only one plugin knows.
func (pl *Plugin) onlyOne(pods cache.SharedIndexInformer) error {
	indexers := pods.GetIndexer().GetIndexers()
	_, second := indexers[byNode]
	_, dedicates := indexers[dedicating]
	if second && (dedicates || pl.dedicated != nil) {
		return fmt.Errorf("claims.mode: with %s the plugin %s is for one profile only: take it out of the others, or disable dedication in all of them",
			config.ModeEnabled, Name)
	}
	if pl.dedicated == nil {
		return nil
	}
	return addIndexers(pods, cache.Indexers{dedicating: func(any) ([]string, error) { return nil, nil }})
}
