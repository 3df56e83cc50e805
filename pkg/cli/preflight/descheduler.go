package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// deschedulerPolicy is what is asked of the descheduler's configuration (descheduler/v1alpha2).
type deschedulerPolicy struct {
	Kind     string `json:"kind"`
	Profiles []struct {
		Name         string `json:"name"`
		PluginConfig []struct {
			Name string `json:"name"`
			Args struct {
				NodeFit                bool  `json:"nodeFit"`
				TopologyBalanceNodeFit *bool `json:"topologyBalanceNodeFit"`
			} `json:"args"`
		} `json:"pluginConfig"`
		Plugins struct {
			Balance struct {
				Enabled []string `json:"enabled"`
			} `json:"balance"`
		} `json:"plugins"`
	} `json:"profiles"`
}

// blindPlugins returns for each profile the plugins that evict pods which have no other node, and the profiles
// that balance the use of nodes and look where an evicted pod could go.
func (p *deschedulerPolicy) blindPlugins() (blind []string, looking []string) {
	for _, profile := range p.Profiles {
		nodeFit, balanceFit := false, true
		for _, config := range profile.PluginConfig {
			nodeFit = nodeFit || config.Args.NodeFit && config.Name == "DefaultEvictor"
			if config.Args.TopologyBalanceNodeFit != nil {
				balanceFit = *config.Args.TopologyBalanceNodeFit
			}
		}
		for _, plugin := range profile.Plugins.Balance.Enabled {
			utilization := plugin == "LowNodeUtilization" || plugin == "HighNodeUtilization"
			switch {
			case nodeFit && utilization:
				looking = append(looking, profile.Name)
			case !nodeFit && (utilization || plugin == "RemovePodsViolatingTopologySpreadConstraint" && !balanceFit):
				blind = append(blind, plugin+" of profile "+profile.Name)
			}
		}
	}
	return blind, slices.Compact(looking)
}

// descheduler finds configurations of the descheduler that evict pods which then come back to the same node.
func (c *Checker) descheduler(ctx context.Context) ([]Result, error) {
	if c.Policy.Dedication.Mode != v1alpha1.ModeEnabled {
		return nil, nil
	}
	bare := c.withoutLabels()
	seen := map[string]bool{}
	var results []Result
	// As its chart and its manifests name and label it.
	for _, which := range []metav1.ListOptions{
		{FieldSelector: "metadata.name=descheduler-policy-configmap"}, {LabelSelector: "app.kubernetes.io/name=descheduler"},
	} {
		maps, err := c.Client.CoreV1().ConfigMaps(metav1.NamespaceAll).List(ctx, which)
		if err != nil {
			return nil, err
		}
		for i := range maps.Items {
			if name := maps.Items[i].Namespace + "/" + maps.Items[i].Name; !seen[name] {
				seen[name] = true
				results = append(results, c.deschedulerConfigured(&maps.Items[i], bare)...)
			}
		}
	}
	return results, nil
}

func (c *Checker) deschedulerConfigured(configMap *v1.ConfigMap, bare int) []Result {
	var results []Result
	for _, text := range configMap.Data {
		policy := &deschedulerPolicy{}
		if err := yaml.Unmarshal([]byte(text), policy); err != nil || policy.Kind != "DeschedulerPolicy" {
			continue
		}
		where := fmt.Sprintf("ConfigMap %s/%s", configMap.Namespace, configMap.Name)
		blind, looking := policy.blindPlugins()
		switch {
		case len(blind) > 0:
			results = append(results, warn(advise("set nodeFit: true in the arguments of DefaultEvictor, in each of these profiles"),
				"%s: %s evicts pods of tenants that fit on no other node: they come back, and are evicted again", where, strings.Join(blind, ", ")))
		case len(looking) > 0 && bare > 0:
			results = append(results, warn(c.changePolicy("unless the Cluster Autoscaler makes these nodes, have all labelled", labelAllNodes()),
				"%s: %d nodes have no node labels, so the descheduler does not see their privilege, user namespace and pods without a tenant, and evicts pods that may not go there",
				where, bare))
		default:
			results = append(results, pass("%s: the descheduler looks where an evicted pod may go", where)...)
		}
	}
	return results
}
