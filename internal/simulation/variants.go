package simulation

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/internal/density"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// stockScheduler is the name of the profile without the plugin.
const stockScheduler = "default-scheduler"

// domainLabel is the label for the trust domain in the anti-affinity variant.
const domainLabel = "simulate.tenantisolation.dev/trust-domain"

// variants derives the compared clusters from the input.
type variants struct {
	base  *Cluster
	rules *podfacts.Rules
	// kata is the RuntimeClass for VMs, empty if there is none.
	kata string
	// small is Options.Small.
	small float64
}

func newVariants(c *Cluster, rules *podfacts.Rules, small float64) (*variants, error) {
	v := &variants{base: c.clone(), rules: rules, small: small}
	v.kata = v.chooseRuntimeClass()
	return v, v.dropImpossible()
}

// chooseRuntimeClass returns the RuntimeClass that isolates and that most nodes offer.
func (v *variants) chooseRuntimeClass() string {
	chosen, most := "", 0
	for _, class := range v.base.RuntimeClasses {
		if !v.rules.Isolates(v.rules.BoundaryOf(class.Handler)) {
			continue
		}
		offered := 0
		for _, node := range v.base.Nodes {
			if handlers := podfacts.ReportedHandlers(node); handlers == nil || handlers[class.Handler] {
				offered++
			}
		}
		if offered > most {
			chosen, most = class.Name, offered
		}
	}
	return chosen
}

// dropImpossible leaves out the tenants' pods that the rule denies everywhere, and those that
// no node could take: they are the same in every variant.
func (v *variants) dropImpossible() error {
	m, err := newModel(v.asGiven(), v.rules)
	if err != nil {
		return err
	}
	out := map[types.UID]bool{}
	for uid := range m.refused {
		out[uid] = true
	}
	for i, uid := range m.uids {
		if m.homeless(i) {
			out[uid] = true
		}
	}
	v.base.Pods = slices.DeleteFunc(v.base.Pods, func(p *corev1.Pod) bool { return out[p.UID] })
	if len(m.refused) > 0 {
		v.base.Notes = append(v.base.Notes, fmt.Sprintf("%d pods that the rule denies on every node are left out", len(m.refused)))
	}
	if homeless := len(out) - len(m.refused); homeless > 0 {
		v.base.Notes = append(v.base.Notes, fmt.Sprintf("%d pods that no node could take are left out", homeless))
	}
	return nil
}

// asGiven returns the cluster with the pods as they were read.
func (v *variants) asGiven() *Cluster {
	c := v.base.clone()
	c.admit()
	return c
}

// containers returns the cluster without VMs, and without namespaces that demand them.
func (v *variants) containers() *Cluster {
	c := v.base.clone()
	for _, pod := range c.Pods {
		if pod.Spec.NodeName == "" && v.isolates(c, podfacts.RuntimeClassName(pod)) {
			pod.Spec.RuntimeClassName = nil
		}
	}
	for _, ns := range c.Namespaces {
		if v.isolates(c, ns.Labels[runtimeClassLabel]) {
			delete(ns.Labels, runtimeClassLabel)
		}
		if demand, err := isolation.ParseDemand(ns.Labels[boundaryLabel]); err == nil && demand.Boundary > isolation.BoundaryContainer {
			delete(ns.Labels, boundaryLabel)
		}
	}
	c.admit()
	return c
}

func (v *variants) isolates(c *Cluster, class string) bool {
	rc := c.runtimeClass(class)
	return rc != nil && v.rules.Isolates(v.rules.BoundaryOf(rc.Handler))
}

// allVMs returns the cluster with a VM for every pod that can have one.
func (v *variants) allVMs() *Cluster {
	return v.withVMs(func(*density.Pod) bool { return true })
}

// sharing returns the cluster with VMs for the small trust domains.
func (v *variants) sharing() (*Cluster, error) {
	m, err := newModel(v.asGiven(), v.rules)
	if err != nil {
		return nil, err
	}
	small, err := v.smallDomains(m)
	if err != nil {
		return nil, err
	}
	return v.withVMs(func(p *density.Pod) bool { return small[p.Domain] }), nil
}

// smallDomains are those whose pods, each with the overhead of a VM, fit into the given share
// of the median machine.
func (v *variants) smallDomains(m *model) (map[string]bool, error) {
	vms, err := newModel(v.allVMs(), v.rules)
	if err != nil {
		return nil, err
	}
	requested := map[string]density.Vector{}
	for i := range vms.Pods {
		p := &vms.Pods[i]
		if requested[p.Domain] == nil {
			requested[p.Domain] = make(density.Vector, len(vms.Dimensions))
		}
		for d, amount := range p.Request {
			requested[p.Domain][d] += amount
		}
	}
	machine := make([]float64, len(vms.Dimensions))
	for d := range machine {
		var sizes []int64
		for n := range vms.Nodes {
			if c := vms.Nodes[n].Capacity[d]; c > 0 {
				sizes = append(sizes, c)
			}
		}
		if len(sizes) > 0 {
			slices.Sort(sizes)
			machine[d] = float64(sizes[len(sizes)/2])
		}
	}
	small := map[string]bool{}
	for i := range m.Pods {
		domain := m.Pods[i].Domain
		fits := requested[domain] != nil
		for d, amount := range requested[domain] {
			fits = fits && float64(amount) <= v.small*machine[d]
		}
		small[domain] = fits
	}
	return small, nil
}

// withVMs sets the RuntimeClass of the picked pods, if it isolates them and a node offers it.
func (v *variants) withVMs(pick func(*density.Pod) bool) *Cluster {
	given := v.asGiven()
	c := v.base.clone()
	if v.kata == "" {
		return given
	}
	m, err := newModel(given, v.rules)
	if err != nil {
		return given
	}
	picked := map[int]bool{}
	index := map[string]int{}
	for i, uid := range m.uids {
		index[string(uid)] = i
		picked[i] = !m.Pods[i].Pinned && !m.Pods[i].VM && pick(&m.Pods[i])
	}
	tried := c.clone()
	for _, pod := range tried.Pods {
		if i, ok := index[string(pod.UID)]; ok && picked[i] && pod.Spec.RuntimeClassName == nil {
			pod.Spec.RuntimeClassName = ptr.To(v.kata)
		}
	}
	tried.admit()
	after, err := newModel(tried, v.rules)
	if err != nil {
		return given
	}
	useful := map[string]bool{}
	for i, uid := range after.uids {
		p := &after.Pods[i]
		useful[string(uid)] = p.Open && slices.Contains(p.Nodes, true)
	}
	for _, pod := range c.Pods {
		if i, ok := index[string(pod.UID)]; ok && picked[i] && pod.Spec.RuntimeClassName == nil && useful[string(pod.UID)] {
			pod.Spec.RuntimeClassName = ptr.To(v.kata)
		}
	}
	c.admit()
	return c
}

// stock gives the pods to the default scheduler, which knows no trust domains.
func stock(c *Cluster) *Cluster {
	c = c.clone()
	for _, pod := range c.Pods {
		if pod.Spec.SchedulerName == schedulerName {
			pod.Spec.SchedulerName = stockScheduler
		}
	}
	return c
}

// antiAffinity gives the pods to the default scheduler with anti-affinity terms that separate
// trust domains, as the API server expands mismatchLabelKeys.
func antiAffinity(c *Cluster, m *model) *Cluster {
	c = stock(c)
	domains, number := map[string]string{}, map[string]string{}
	for i, uid := range m.uids {
		domain := m.Pods[i].Domain
		if number[domain] == "" {
			number[domain] = fmt.Sprintf("d%d", len(number))
		}
		domains[string(uid)] = number[domain]
	}
	for _, pod := range c.Pods {
		domain, ok := domains[string(pod.UID)]
		if !ok {
			continue
		}
		metav1.SetMetaDataLabel(&pod.ObjectMeta, domainLabel, domain)
		if pod.Spec.Affinity == nil {
			pod.Spec.Affinity = &corev1.Affinity{}
		}
		if pod.Spec.Affinity.PodAntiAffinity == nil {
			pod.Spec.Affinity.PodAntiAffinity = &corev1.PodAntiAffinity{}
		}
		terms := &pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		*terms = append(*terms, corev1.PodAffinityTerm{
			TopologyKey:       corev1.LabelHostname,
			NamespaceSelector: &metav1.LabelSelector{},
			MismatchLabelKeys: []string{domainLabel},
			LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: domainLabel, Operator: metav1.LabelSelectorOpExists},
				{Key: domainLabel, Operator: metav1.LabelSelectorOpNotIn, Values: []string{domain}},
			}},
		})
	}
	return c
}
