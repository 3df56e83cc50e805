package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// nodePool is what is asked of a NodePool of Karpenter (karpenter.sh/v1).
type nodePool struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Template struct {
			Spec struct {
				Taints       []v1.Taint                   `json:"taints"`
				Requirements []v1.NodeSelectorRequirement `json:"requirements"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

// lacks returns the keys of node labels that the NodePool does not require.
func (p *nodePool) lacks() []string {
	return slices.DeleteFunc(isolation.NodeLabelKeys(), func(key string) bool {
		return slices.ContainsFunc(p.Spec.Template.Spec.Requirements, func(r v1.NodeSelectorRequirement) bool {
			return r.Key == key && (r.Operator == v1.NodeSelectorOpExists || r.Operator == v1.NodeSelectorOpIn)
		})
	})
}

// nodePools finds NodePools of Karpenter for which the node affinity of tenants' pods has no meaning. A pool
// whose nodes have taints is not for everybody's pods, and is left out.
func (c *Checker) nodePools(ctx context.Context) ([]Result, error) {
	rest := c.Client.CoreV1().RESTClient()
	if rest == nil {
		return nil, nil
	}
	raw, err := rest.Get().AbsPath("/apis/karpenter.sh/v1/nodepools").DoRaw(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var list struct {
		Items []nodePool `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("the NodePools: %w", err)
	}
	var results []Result
	for i := range list.Items {
		pool := &list.Items[i]
		lacking := pool.lacks()
		if len(lacking) == 0 || len(pool.Spec.Template.Spec.Taints) > 0 {
			continue
		}
		results = append(results, warn(requireKeys(pool.Metadata.Name, lacking),
			"NodePool %s does not require the node labels %s: Karpenter plans pods of several tenants onto one new node, and leaves pods with a preference that cannot be met Pending",
			pool.Metadata.Name, strings.Join(lacking, ", ")))
	}
	if len(results) == 0 && len(list.Items) > 0 {
		results = pass("every NodePool for tenants' pods requires the node labels")
	}
	return results, nil
}

// requireKeys adds the requirements.
func requireKeys(pool string, keys []string) advice {
	type operation struct {
		Op    string                     `json:"op"`
		Path  string                     `json:"path"`
		Value v1.NodeSelectorRequirement `json:"value"`
	}
	var patch []operation
	for _, key := range keys {
		patch = append(patch, operation{"add", "/spec/template/spec/requirements/-", v1.NodeSelectorRequirement{Key: key, Operator: v1.NodeSelectorOpExists}})
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return advise(err.Error())
	}
	return advise("require them. Karpenter then replaces the nodes of the pool, within its disruption budgets",
		fmt.Sprintf("kubectl patch nodepool %s --type=json --patch=%s", pool, quoted(string(text))))
}
