package tenantisolation

import (
	"context"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Dedicator dedicates nodes on first use: a dedication.Engine, or NoDedication.
type Dedicator interface {
	// Lead reports that this process leads. Every scheduling cycle calls it.
	Lead()
	// Ready reports whether pods may be placed.
	Ready() bool
	// NodeChanged reports that something has changed on a node.
	NodeChanged(node string)
	// Confine returns the subject of a pending pod as to which nodes it may open now. One that
	// is to wait for its tenant's limit is woken by TenantsBelowLimit.
	Confine(pod *v1.Pod, subject isolation.Subject, wait bool) isolation.Subject
	// KeepsVMNodes reports whether Confine may keep containers off nodes that can start VMs.
	KeepsVMNodes() bool
	// TenantsBelowLimit returns the tenants that waited for another node and may open one now.
	TenantsBelowLimit() map[string]bool
	// Homes returns nodes with the dedication that the subject would bring, at most so many.
	Homes(subject *isolation.Subject, most int) []string
	// Reserve keeps a node for a pod until Release.
	Reserve(pod *v1.Pod, node string, subject *isolation.Subject) error
	// ReadyToBind reports whether nothing is left to be done for a pod before its bind.
	ReadyToBind(uid types.UID, node string) bool
	// Ensure does what is left to be done, or waits for it.
	Ensure(ctx context.Context, pod *v1.Pod, node string, subject *isolation.Subject) error
	// Token returns what a Binding to the node has to bear, empty for nothing; false if
	// nothing may be bound there now.
	Token(node string) (string, bool)
	// Release ends what Reserve began.
	Release(uid types.UID, node string, outcome dedication.Outcome)
}

var (
	_ Dedicator = &dedication.Engine{}
	_ Dedicator = NoDedication{}
)

// NoDedication is the Dedicator where nodes are not dedicated.
type NoDedication struct{}

// Lead does nothing.
func (NoDedication) Lead() {}

// Ready returns true.
func (NoDedication) Ready() bool { return true }

// NodeChanged does nothing.
func (NoDedication) NodeChanged(string) {}

// Confine returns the subject as it is: no pod opens a node.
func (NoDedication) Confine(_ *v1.Pod, subject isolation.Subject, _ bool) isolation.Subject {
	return subject
}

// KeepsVMNodes returns false.
func (NoDedication) KeepsVMNodes() bool { return false }

// TenantsBelowLimit returns nil: no tenant is limited.
func (NoDedication) TenantsBelowLimit() map[string]bool { return nil }

// Homes returns nil: no node is dedicated.
func (NoDedication) Homes(*isolation.Subject, int) []string { return nil }

// Reserve returns nil.
func (NoDedication) Reserve(*v1.Pod, string, *isolation.Subject) error { return nil }

// ReadyToBind returns true.
func (NoDedication) ReadyToBind(types.UID, string) bool { return true }

// Ensure returns nil.
func (NoDedication) Ensure(context.Context, *v1.Pod, string, *isolation.Subject) error { return nil }

// Token returns the empty token.
func (NoDedication) Token(string) (string, bool) { return "", true }

// Release does nothing.
func (NoDedication) Release(types.UID, string, dedication.Outcome) {}
