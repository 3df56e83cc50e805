// Package report writes the page for an auditor: one file that needs no network, with its
// data embedded as JSON.
//
// # Where to find what
//
//	data.go     the data of a report; later reports are compared with its JSON
//	history.go  the changes since an earlier report
//	page.go     the page, from page.html, page.css and page.js
package report

import (
	"time"
)

// format is the version of the embedded JSON.
const format = 1

// Data is the content of a report.
type Data struct {
	Format int       `json:"format"`
	Made   time.Time `json:"made"`
	// Tool is the version of the tool, Server that of the API server, Source the input.
	Tool   string `json:"tool"`
	Server string `json:"server,omitempty"`
	Source string `json:"source"`

	// Judged reports whether everything was judged that the result depends on, NotJudged what was not.
	Judged    bool     `json:"judged"`
	NotJudged []string `json:"notJudged"`

	Policy []Setting `json:"policy"`
	// PolicyGeneration is that of the IsolationPolicy in force, 0 if the rule was another.
	PolicyGeneration int64 `json:"policyGeneration"`

	Summary  Summary     `json:"summary"`
	Findings []Finding   `json:"findings"`
	Domains  []Domain    `json:"trustDomains"`
	Nodes    []Node      `json:"nodes"`
	Evidence Evidence    `json:"evidence"`
	Warnings []string    `json:"warnings,omitempty"`
	History  *Comparison `json:"-"`
}

// Setting is a field of the policy.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Summary counts what was examined.
type Summary struct {
	Nodes         int `json:"nodes"`
	Pods          int `json:"pods"`
	PairsChecked  int `json:"pairsChecked"`
	PairsBreaking int `json:"pairsBreaking"`
}

// Finding is something that breaks the rule.
type Finding struct {
	Node   string   `json:"node"`
	Reason string   `json:"reason"`
	Volume string   `json:"volume,omitempty"`
	Means  string   `json:"means"`
	Fix    string   `json:"fix"`
	Pods   []string `json:"pods"`
	// Domains are the trust domains that are involved.
	Domains []string `json:"trustDomains"`
}

// Domain is a trust domain.
type Domain struct {
	Name string `json:"name"`
	// Short is a short name.
	Short string `json:"short"`
	Pods  int    `json:"pods"`
	// Nodes is the number of nodes with pods of it.
	Nodes int `json:"nodes"`
}

// Node is a machine with the pods on it.
type Node struct {
	Name string `json:"name"`
	// Groups are the trust domains on it, by index in Data.Domains.
	Groups []Group `json:"groups,omitempty"`
	// Others counts the pods without a trust domain, except platform pods.
	Others int `json:"others,omitempty"`
	// Findings counts the findings about the node.
	Findings int `json:"findings,omitempty"`
}

// Group is the pods of one trust domain behind one boundary.
type Group struct {
	Domain int `json:"domain"`
	Pods   int `json:"pods"`
	// Isolated reports whether the boundary lets others share the machine.
	Isolated bool `json:"isolated,omitempty"`
}

// Evidence records exactly which objects were judged.
type Evidence struct {
	// Lists are the resourceVersions of the lists that were read, by resource.
	Lists map[string]string `json:"lists,omitempty"`
	// Digest is the SHA-256 of a line for every object, with kind, name, UID and
	// resourceVersion, sorted: two reports with the same digest are of the same objects. Of an object
	// without a resourceVersion, as in a manifest, it is what was read of it.
	Digest string `json:"digest"`
	// Objects is the number of those lines.
	Objects int `json:"objects"`
	// Pods are the pods of findings.
	Pods []Object `json:"pods,omitempty"`
}

// Object is an object in the version that was judged.
type Object struct {
	Name            string `json:"name"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}
