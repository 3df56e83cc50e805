package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Comparison is the changes since an earlier report.
type Comparison struct {
	Since  time.Time `json:"since"`
	Before Summary   `json:"before"`
	// Began are the new findings, Ended those that are gone, and Changed those with other pods than before.
	Began   []Finding `json:"began"`
	Ended   []Finding `json:"ended"`
	Changed []Finding `json:"changed"`
	// SameObjects reports whether nothing that was judged has changed.
	SameObjects bool `json:"sameObjects"`
	// NodesAdded, NodesRemoved and NodesChanged are the nodes that are new, gone, or have other pods.
	NodesAdded   []string `json:"nodesAdded,omitempty"`
	NodesRemoved []string `json:"nodesRemoved,omitempty"`
	NodesChanged []string `json:"nodesChanged,omitempty"`
	// PolicyChanged are the changed settings, with their values then.
	PolicyChanged []Setting `json:"policyChanged,omitempty"`
}

// maxPast is how many earlier reports a report names.
const maxPast = 100

// Earlier reads an earlier report: the page, or its JSON.
func Earlier(text []byte) (*Data, error) {
	if begin := bytes.Index(text, []byte(dataOpen)); begin >= 0 {
		text = text[begin+len(dataOpen):]
		end := bytes.Index(text, []byte("</script>"))
		if end < 0 {
			return nil, errors.New("the page ends within its data: it is truncated")
		}
		text = text[:end]
	}
	var d Data
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("not a report of this tool: %w", err)
	}
	if d.Format != Format {
		return nil, fmt.Errorf("not a report of this version of the tool: format %d, want %d", d.Format, Format)
	}
	return &d, nil
}

// Follow makes a report the successor of an earlier one of the same cluster.
func (d *Data) Follow(earlier *Data) error {
	if was, is := earlier.Cluster.UID, d.Cluster.UID; was != is {
		return fmt.Errorf("the earlier report is of another cluster: kube-system has the UID %q there, and %q here", was, is)
	}
	text, err := json.Marshal(earlier)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	d.Past = append(slices.Clone(earlier.Past), Past{
		Made: earlier.Made, SHA256: hex.EncodeToString(sum[:]), Objects: earlier.Evidence.Digest, PolicyGeneration: earlier.PolicyGeneration,
		Judged: earlier.Judged, Findings: len(earlier.Findings), PairsBreaking: earlier.Summary.PairsBreaking,
	})
	if extra := len(d.Past) - maxPast; extra > 0 {
		d.Past = d.Past[extra:]
	}
	d.Changes = Compare(earlier, d)
	return nil
}

// Compare returns the changes since an earlier report.
func Compare(earlier, now *Data) *Comparison {
	c := &Comparison{
		Since: earlier.Made, Before: earlier.Summary, SameObjects: earlier.Evidence.Digest == now.Evidence.Digest,
		Began: []Finding{}, Ended: []Finding{}, Changed: []Finding{},
	}
	then, today := byKey(earlier.Findings), byKey(now.Findings)
	for i := range now.Findings {
		f := &now.Findings[i]
		switch before := then[key(f)]; {
		case before == nil:
			c.Began = append(c.Began, *f)
		case !slices.EqualFunc(before.Sides, f.Sides, func(a, b Side) bool {
			return a.TrustDomain == b.TrustDomain && slices.Equal(a.Pods, b.Pods)
		}):
			c.Changed = append(c.Changed, *f)
		}
	}
	for i := range earlier.Findings {
		if today[key(&earlier.Findings[i])] == nil {
			c.Ended = append(c.Ended, earlier.Findings[i])
		}
	}
	c.compareNodes(earlier, now)
	settings := map[string]string{}
	for _, s := range now.Policy {
		settings[s.Name] = s.Value
	}
	for _, s := range earlier.Policy {
		if settings[s.Name] != s.Value {
			c.PolicyChanged = append(c.PolicyChanged, s)
		}
	}
	return c
}

func (c *Comparison) compareNodes(earlier, now *Data) {
	before := map[string]string{}
	for i := range earlier.Nodes {
		before[earlier.Nodes[i].Name] = earlier.Nodes[i].Digest
	}
	for i := range now.Nodes {
		n := &now.Nodes[i]
		digest, known := before[n.Name]
		switch {
		case !known:
			c.NodesAdded = append(c.NodesAdded, n.Name)
		case digest != n.Digest:
			c.NodesChanged = append(c.NodesChanged, n.Name)
		}
		delete(before, n.Name)
	}
	for name := range before {
		c.NodesRemoved = append(c.NodesRemoved, name)
	}
	slices.Sort(c.NodesRemoved)
}

type findingKey struct{ node, reason, volume string }

func key(f *Finding) findingKey { return findingKey{f.Node, f.Reason, f.Volume} }

func byKey(findings []Finding) map[findingKey]*Finding {
	all := make(map[findingKey]*Finding, len(findings))
	for i := range findings {
		all[key(&findings[i])] = &findings[i]
	}
	return all
}
