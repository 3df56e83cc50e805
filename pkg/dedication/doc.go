// Package dedication dedicates nodes on first use. Before the first pod of a trust domain is
// bound to a node, the node is dedicated: by an entry in the table that the API server's
// fence reads, and by taints that every scheduler obeys. It is released some time after
// the last one has gone. What a dedication is and whom it admits is package isolation's
// business; the protocol is docs/dedication-protocol.md.
package dedication
