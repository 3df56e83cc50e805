// Package dedication dedicates nodes on first use. Before the first pod of a trust domain is
// bound to a node, the node is dedicated: by an entry in the table that the API server's
// fence reads, and by taints that every scheduler obeys. It is released some time after its
// last pod is gone. Package isolation defines what a dedication is and which pods it admits;
// docs/dedication-protocol.md describes the protocol.
package dedication
