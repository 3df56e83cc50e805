package cli

import "tenantisolation.dev/scheduler/pkg/audit"

// advice says what a reason means and what helps against it.
type advice struct{ means, fix string }

// adviceOn returns the advice on a reason. Every reason of package audit has one.
func adviceOn(r audit.Reason) advice {
	switch r {
	case "ForeignResident":
		return advice{
			"pods of different trust domains share a kernel",
			"delete one side, and let the scheduler place it anew; or give both sides a VM RuntimeClass",
		}
	case "UnmanagedResident":
		return advice{
			"pods without a tenant share a kernel with a tenant's",
			"give their namespaces a tenant, list them as the platform, or keep them off tenants' nodes by a taint",
		}
	case "DemandedNode":
		return advice{
			"a namespace demands the machine for itself (boundary: node), and others are there too",
			"delete the others, and let the scheduler place them anew; or take the demand away",
		}
	case audit.SharedHostPath:
		return advice{
			"pods of different trust domains mount the same directory of a node",
			"take the hostPath volume away, or move one of the pods",
		}
	case audit.SharedPVC:
		return advice{
			"pods of different trust domains mount the same volume: no boundary helps",
			"give each trust domain a volume of its own",
		}
	case "UnknownResident":
		return advice{
			"it is not known of a pod whose it is, so it may share with nobody",
			"see what is said of that pod, and mend it",
		}
	case "UnknownNamespace":
		return advice{"the pod's namespace was not read", "take namespaces along, or delete the pod of a namespace that is gone"}
	case "InvalidTenant":
		return advice{"the namespace's tenant label is empty", "give the label a value, or take it away"}
	case "MismatchedTenant":
		return advice{"the pod's tenant label says another tenant than its namespace's", "take the label off the pod and its template"}
	case "UnknownDataClass":
		return advice{"a data-class label has a value that is not configured", "correct the label, or add the class to dataClasses"}
	case "UnknownPrivilege":
		return advice{"a privilege label is not restricted, baseline or privileged", "correct the label"}
	case "UnknownBoundary":
		return advice{"the namespace's boundary label is not container, sandbox, vm or node", "correct the label"}
	case "UnknownRuntimeClass":
		return advice{"the pod's RuntimeClass does not exist any more", "create it again and restart the pod, so that its handler is known"}
	case "WeakBoundary":
		return advice{
			"the pod's boundary is weaker than its namespace demands",
			"give it a VM RuntimeClass, and share nothing with the host: explain names the field",
		}
	case audit.MissingNode:
		return advice{"pods are bound to a node that does not exist", "delete them: a machine that joins under this name would run them"}
	}
	return advice{"", ""}
}
