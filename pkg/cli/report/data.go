// Package report makes the page that an administrator hands to an auditor: one file that
// needs no network, with everything that it says embedded as JSON for the next one.
//
// # Where to find what
//
//	data.go     what a report says; its JSON is what a later report is compared with
//	history.go  what has changed since an earlier report
//	page.go     the page
//	page.html, page.css, page.js  what the page is made of
package report

import (
	"time"
)

// format is the version of the embedded JSON.
const format = 1

// Data is what a report says.
type Data struct {
	Format int       `json:"format"`
	Made   time.Time `json:"made"`
	// Tool, Server and Source say what made it, of what.
	Tool   string `json:"tool"`
	Server string `json:"server,omitempty"`
	Source string `json:"source"`

	Policy   []Setting   `json:"policy"`
	Summary  Summary     `json:"summary"`
	Findings []Finding   `json:"findings"`
	Domains  []Domain    `json:"trustDomains"`
	Nodes    []Node      `json:"nodes"`
	Evidence Evidence    `json:"evidence"`
	Warnings []string    `json:"warnings,omitempty"`
	History  *Comparison `json:"-"`
}

// Setting is one choice of the policy.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Summary is how much was looked at.
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
	// Domains are the trust domains of the parties.
	Domains []string `json:"trustDomains"`
}

// Domain is a trust domain.
type Domain struct {
	Name string `json:"name"`
	// Short is the name where there is little room.
	Short string `json:"short"`
	Pods  int    `json:"pods"`
	// Nodes is how many nodes it is on.
	Nodes int `json:"nodes"`
}

// Node is a machine and who is on it.
type Node struct {
	Name string `json:"name"`
	// Groups are the trust domains there, by index in Data.Domains.
	Groups []Group `json:"groups,omitempty"`
	// Others is how many pods are there that have no trust domain, the platform's left out.
	Others int `json:"others,omitempty"`
	// Findings is how many findings are about it.
	Findings int `json:"findings,omitempty"`
}

// Group is pods of one trust domain behind one boundary.
type Group struct {
	Domain int `json:"domain"`
	Pods   int `json:"pods"`
	// Isolated: behind a boundary of their own, that lets others share the machine.
	Isolated bool `json:"isolated,omitempty"`
}

// Evidence says exactly which objects were judged.
type Evidence struct {
	// Lists are the resourceVersions of the lists that were read, by resource.
	Lists map[string]string `json:"lists,omitempty"`
	// Digest is the SHA-256 of a line for every object, with kind, name, UID and
	// resourceVersion, sorted: two reports with the same digest are of the same objects.
	Digest string `json:"digest"`
	// Objects is how many lines that were.
	Objects int `json:"objects"`
	// Pods are those that findings are about.
	Pods []Object `json:"pods,omitempty"`
}

// Object is an object in the version that was judged.
type Object struct {
	Name            string `json:"name"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}
