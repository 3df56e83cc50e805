package isolation

// Kind is all that the rule reads of a pod which already runs: two pods of one kind stand
// alike to every other pod. It can be the key of a map.
type Kind struct {
	standing       standing
	denied         Reason
	group          KernelGroup
	isolated, open bool
}

// Kind returns the subject's kind.
func (s Subject) Kind() Kind {
	return Kind{standing: s.standing, denied: s.denied, group: s.group, isolated: s.isolated, open: s.open}
}

// Platform reports whether pods of the kind are trusted by all and never judged.
func (k Kind) Platform() bool { return k.standing == platform }

// Wrong returns what is wrong with a pod of the kind wherever it runs; false if nothing
// is. Having no tenant is nothing wrong: nobody asked for the pod's protection.
func (k Kind) Wrong() (Reason, bool) {
	switch k.standing {
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
	if reason, breaks, decided := k.stands(other); decided {
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
	if reason, breaks, decided := k.stands(other); decided {
		return reason, breaks
	}
	if k.group == other.group {
		return Undecided, false
	}
	return ForeignResident, true
}

// stands settles what does not depend on trust domains.
func (k Kind) stands(other Kind) (reason Reason, breaks, decided bool) {
	switch {
	case k.standing == platform || other.standing == platform:
		return Undecided, false, true
	case k.standing == unresolved || other.standing == unresolved:
		return UnknownResident, true, true
	case k.standing == unmanaged && other.standing == unmanaged:
		// Nobody asked for the protection of either.
		return Undecided, false, true
	case k.standing == unmanaged || other.standing == unmanaged:
		return UnmanagedResident, true, true
	}
	return Undecided, false, false
}
