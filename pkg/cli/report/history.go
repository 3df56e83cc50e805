package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Comparison is the changes since an earlier report.
type Comparison struct {
	Since  time.Time
	Before Summary
	// Began are the new findings, Ended those that are gone.
	Began, Ended []Finding
	// SameObjects reports whether no object has changed.
	SameObjects bool
	// PolicyChanged are the changed settings, with their values then.
	PolicyChanged []Setting
}

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
	if d.Format != format {
		return nil, fmt.Errorf("not a report of this version of the tool: format %d, want %d", d.Format, format)
	}
	return &d, nil
}

// Compare returns the changes since an earlier report.
func Compare(earlier, now *Data) *Comparison {
	c := &Comparison{Since: earlier.Made, Before: earlier.Summary, SameObjects: earlier.Evidence.Digest == now.Evidence.Digest}
	then, today := keys(earlier.Findings), keys(now.Findings)
	for i := range now.Findings {
		if !then[key(&now.Findings[i])] {
			c.Began = append(c.Began, now.Findings[i])
		}
	}
	for i := range earlier.Findings {
		if !today[key(&earlier.Findings[i])] {
			c.Ended = append(c.Ended, earlier.Findings[i])
		}
	}
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

type findingKey struct{ node, reason, volume string }

func key(f *Finding) findingKey { return findingKey{f.Node, f.Reason, f.Volume} }

func keys(findings []Finding) map[findingKey]bool {
	all := make(map[findingKey]bool, len(findings))
	for i := range findings {
		all[key(&findings[i])] = true
	}
	return all
}
