package isolation

// Kind is all that the rule reads of a pod which already runs: the rule treats two
// pods of one kind alike. It can be the key of a map.
type Kind struct {
	scope          scope
	denied         Reason
	group          KernelGroup
	isolated, open bool
}

// Kind returns the subject's kind.
func (s Subject) Kind() Kind {
	return Kind{scope: s.scope, denied: s.denied, group: s.group, isolated: s.isolated, open: s.open}
}

// Isolated reports whether pods of the kind have a boundary that lets other trust domains share
// the machine.
func (k Kind) Isolated() bool { return k.isolated }

// Platform reports whether pods of the kind are trusted by all and never judged.
func (k Kind) Platform() bool { return k.scope == platform }

// Wrong returns what is wrong with a pod of the kind wherever it runs; false if nothing
// is. A pod without a tenant is not wrong: no one asked for its protection.
func (k Kind) Wrong() (Reason, bool) {
	switch k.scope {
	case managed:
		return k.denied, k.denied != Undecided
	case unresolved:
		return k.denied, true
	case unmanaged, platform:
	}
	return Undecided, false
}

// SharesKernel returns why two pods that run on one node break the rule, false if they do
// not. It is symmetric (L7), and of a pod that Decide would place anywhere it breaks with
// exactly the residents beside which Decide denies it.
func (k Kind) SharesKernel(other Kind) (Reason, bool) {
	if reason, breaks, decided := k.decidedByScope(other); decided {
		return reason, breaks
	}
	switch {
	case k.group == other.group || (k.open && other.open):
		return Undecided, false
	case k.isolated && other.isolated:
		return DemandedNode, true
	}
	return ForeignResident, true
}

// SharesFiles returns why two pods that mount the same files break the rule, false if
// they do not. No boundary helps: what is mounted is on both sides of it.
func (k Kind) SharesFiles(other Kind) (Reason, bool) {
	if reason, breaks, decided := k.decidedByScope(other); decided {
		return reason, breaks
	}
	if k.group == other.group {
		return Undecided, false
	}
	return ForeignResident, true
}

// decidedByScope decides what does not depend on trust domains.
func (k Kind) decidedByScope(other Kind) (reason Reason, breaks, decided bool) {
	switch {
	case k.scope == platform || other.scope == platform:
		return Undecided, false, true
	case k.scope == unresolved || other.scope == unresolved:
		return UnknownResident, true, true
	case k.scope == unmanaged && other.scope == unmanaged:
		// No one asked for the protection of either.
		return Undecided, false, true
	case k.scope == unmanaged || other.scope == unmanaged:
		return UnmanagedResident, true, true
	}
	return Undecided, false, false
}
