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

// Format is the version of the embedded JSON.
const Format = 2

// Data is the content of a report.
type Data struct {
	Format int       `json:"format"`
	Made   time.Time `json:"made"`
	// Tool is the version of the tool, Source the input.
	Tool   string `json:"tool"`
	Source string `json:"source"`
	// Cluster is the one that was judged, MadeBy the user of it who made the report, nil for files.
	Cluster Cluster `json:"cluster"`
	MadeBy  *User   `json:"madeBy,omitempty"`

	// Judged reports whether everything was judged that the result depends on, NotJudged what was not.
	Judged    bool     `json:"judged"`
	NotJudged []string `json:"notJudged"`

	Policy []Setting `json:"policy"`
	// PolicyGeneration is that of the IsolationPolicy in force, 0 if the rule was another.
	PolicyGeneration int64 `json:"policyGeneration"`

	// Controls are what keeps the rule, each with its state. Of files only the conditions of the policy are known.
	Controls []Control `json:"controls"`

	Summary  Summary   `json:"summary"`
	Findings []Finding `json:"findings"`
	Domains  []Domain  `json:"trustDomains"`
	Nodes    []Node    `json:"nodes"`
	Evidence Evidence  `json:"evidence"`
	Warnings []string  `json:"warnings,omitempty"`
	// Past are the reports before this one, the oldest first, and Changes what has changed since the last.
	Past    []Past      `json:"past,omitempty"`
	Changes *Comparison `json:"changes,omitempty"`
}

// Cluster is the identity of a cluster.
type Cluster struct {
	// UID is that of the namespace kube-system, which no other cluster has.
	UID string `json:"uid,omitempty"`
	// Address and Version are those of the API server, empty for files.
	Address string `json:"address,omitempty"`
	Version string `json:"version,omitempty"`
}

// User is who the API server says that the user is.
type User struct {
	Name   string   `json:"name"`
	UID    string   `json:"uid,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// Control is something that keeps the rule, or its preconditions.
type Control struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Says  string `json:"says"`
	Fix   string `json:"fix,omitempty"`
	// Run are the commands for it.
	Run []string `json:"run,omitempty"`
}

// Past is an earlier report in short.
type Past struct {
	Made time.Time `json:"made"`
	// SHA256 is that of the report's data, so that the reports form a chain.
	SHA256           string `json:"sha256"`
	Objects          string `json:"objects"`
	PolicyGeneration int64  `json:"policyGeneration"`
	Judged           bool   `json:"judged"`
	Findings         int    `json:"findings"`
	PairsBreaking    int    `json:"pairsBreaking"`
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
	Node   string `json:"node"`
	Reason string `json:"reason"`
	Volume string `json:"volume,omitempty"`
	Means  string `json:"means"`
	Fix    string `json:"fix"`
	// Sides are the pods by trust domain and boundary; Conflicts are the sides that may not share, by index,
	// none if each pod breaks the rule by itself.
	Sides     []Side   `json:"sides"`
	Conflicts [][2]int `json:"conflicts,omitempty"`
	Pairs     int      `json:"pairs"`
}

// Side is the pods of one trust domain behind one boundary.
type Side struct {
	TrustDomain string `json:"trustDomain"`
	// Pods are "namespace/name", in order.
	Pods []string `json:"pods"`
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
	// Digest is of the names and UIDs of the pods on it, to see in a later report whether there are others.
	Digest string `json:"digest,omitempty"`
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
	// Digest is the SHA-256 of a line for the policy and for every object, with kind, name, UID,
	// resourceVersion and the SHA-256 of its content, sorted: two reports with the same digest are of the same
	// objects, judged by the same policy.
	Digest string `json:"digest"`
	// Objects is the number of objects.
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
