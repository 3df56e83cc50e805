package compare

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// dedicatedNode is a node that bears a dedication, and who is on it.
type dedicatedNode struct {
	dedication isolation.Dedication
	occupancy  isolation.Occupancy
}

// findings compares what the audit finds. Both lists are worst first.
func (c *Change) findings(before, after []audit.Finding) {
	was, is := index(before), index(after)
	c.FindingsBegin, c.FindingsEnd, c.FindingsChange = []Finding{}, []Finding{}, []Finding{}
	for i := range after {
		now := newFinding(&after[i])
		now.PairsAfter = after[i].Pairs
		old := was[after[i].Key]
		if old == nil {
			c.FindingsBegin = append(c.FindingsBegin, now)
			continue
		}
		if now.PairsBefore = old.Pairs; now.PairsBefore != now.PairsAfter || !slices.Equal(PodsOf(old), now.Pods) {
			c.FindingsChange = append(c.FindingsChange, now)
		}
	}
	for i := range before {
		if is[before[i].Key] == nil {
			ended := newFinding(&before[i])
			ended.PairsBefore = before[i].Pairs
			c.FindingsEnd = append(c.FindingsEnd, ended)
		}
	}
}

func index(findings []audit.Finding) map[audit.Key]*audit.Finding {
	all := make(map[audit.Key]*audit.Finding, len(findings))
	for i := range findings {
		all[findings[i].Key] = &findings[i]
	}
	return all
}

func newFinding(f *audit.Finding) Finding {
	return Finding{Node: f.Node, Reason: f.Reason, Volume: f.Volume, Pods: PodsOf(f)}
}

// PodsOf returns the pods of a finding, each once.
func PodsOf(f *audit.Finding) []string {
	var pods []string
	for i := range f.Parties {
		for _, pod := range f.Parties[i].Pods {
			pods = append(pods, pod.String())
		}
	}
	slices.Sort(pods)
	return slices.Compact(pods)
}

// released finds the nodes whose dedication would not fit any more.
func (c *Change) released(in *Input, before, after view) {
	c.Released = []Released{}
	if in.Before.Dedication.Mode != v1alpha1.ModeEnabled {
		return
	}
	for _, object := range in.Nodes {
		was, dedicated := before.nodes[object.Name]
		if !dedicated {
			continue
		}
		why := ""
		is := after.nodes[object.Name]
		switch {
		case in.After.Dedication.Mode != v1alpha1.ModeEnabled:
			why = "dedication would be disabled"
		case was.occupancy.Protected() && !is.occupancy.Protected():
			why = "no pod on it would need the dedication"
		case is.occupancy.Protected() && was.dedication.AdmitsAll(&was.occupancy) && !is.dedication.AdmitsAll(&is.occupancy):
			why = "pods on it would not be of those to whom it is dedicated"
		}
		if why != "" {
			c.Released = append(c.Released, Released{Node: object.Name, DedicatedTo: was.dedication.String(), Why: why})
		}
	}
}

// nodeLabels finds the nodes that would be labelled, and those that would lose their labels: because they
// would not be selected, or because the pods there were made for labels that would not be written.
func (c *Change) nodeLabels(in *Input, before, after *podfacts.Rules) error {
	c.NodeLabels = []NodeLabels{}
	was, err := labelledNodes(in.Before)
	if err != nil {
		return err
	}
	is, err := labelledNodes(in.After)
	if err != nil {
		return err
	}
	for _, node := range in.Nodes {
		why := ""
		switch had, has := was.Matches(labels.Set(node.Labels)), is.Matches(labels.Set(node.Labels)); {
		case !had && has:
			why = "would be labelled, once it is dedicated"
		case had && !has:
			why = "would not be labelled"
		case has:
			written, _ := before.ParseNodeLabels(node.Labels)
			if rewritten, _ := after.ParseNodeLabels(node.Labels); rewritten != written {
				why = "its labels would be removed, until the pods there are made again"
			}
		}
		if why != "" {
			c.NodeLabels = append(c.NodeLabels, NodeLabels{Node: node.Name, Why: why})
		}
	}
	return nil
}

// labelledNodes selects the nodes that are labelled, none without dedication.
func labelledNodes(spec *v1alpha1.IsolationPolicySpec) (labels.Selector, error) {
	if spec.Dedication.Mode != v1alpha1.ModeEnabled {
		return labels.Nothing(), nil
	}
	return metav1.LabelSelectorAsSelector(spec.NodeLabel.Selector)
}
