package cli

import "tenantisolation.dev/scheduler/pkg/audit"

// advice is the meaning of a reason and the fix.
type advice struct{ means, fix string }

// adviceOn returns the advice on a reason. Every reason of package audit has one.
func adviceOn(r audit.Reason) advice {
	switch r {
	case "ForeignResident":
		return advice{
			"pods of different trust domains share a kernel",
			"delete one side, so that the scheduler places it again; or give both sides a VM RuntimeClass",
		}
	case "UnmanagedResident":
		return advice{
			"pods without a tenant share a kernel with pods of a tenant",
			"give their namespaces a tenant, list the namespaces as platform, or keep the pods off tenants' nodes by a taint",
		}
	case "DemandedNode":
		return advice{
			"a namespace demands the machine for itself (boundary: node), and pods of others are on it",
			"delete the others, so that the scheduler places them again; or remove the demand",
		}
	case audit.SharedHostPath:
		return advice{
			"pods of different trust domains mount the same directory of a node",
			"remove the hostPath volume, or move one of the pods",
		}
	case audit.SharedPVC:
		return advice{
			"pods of different trust domains mount the same volume, and no boundary separates its files",
			"give each trust domain a volume of its own",
		}
	case audit.SharedResourceClaim:
		return advice{
			"pods of different trust domains use the same ResourceClaim, and no boundary separates its device",
			"give each trust domain a ResourceClaim of its own, for example by a template",
		}
	case audit.RemadeRuntimeClass:
		return advice{
			"pods that another scheduler placed run in VMs whose RuntimeClass was made again since, so nothing says which handler started them",
			"restart the pods whose RuntimeClass is newer than they are",
		}
	case "UnknownResident":
		return advice{
			"the tenant of a pod is unknown, so it may share with no other pod",
			"fix the other finding about that pod",
		}
	case "UnknownNamespace":
		return advice{"the pod's namespace is missing in the input", "add namespaces to the input, or delete the pod if its namespace is gone"}
	case "OlderThanNamespace":
		return advice{
			"the pod is older than its namespace, which was deleted and made again: its tenant may be another's",
			"delete the pod, so that it is made again",
		}
	case "InvalidTenant":
		return advice{"the namespace's tenant label is empty", "give the label a value, or remove it"}
	case "MismatchedTenant":
		return advice{"the pod's tenant label contradicts its namespace's", "remove the label from the pod and its template"}
	case "UnknownDataClass":
		return advice{"a data-class label has a value that is not configured", "correct the label, or add the class to dataClasses"}
	case "UnknownPrivilege":
		return advice{"a privilege label is not restricted, baseline or privileged", "correct the label"}
	case "UnknownBoundary":
		return advice{"the namespace's boundary label is not container, sandbox, vm or node", "correct the label"}
	case "UnknownRuntimeClass":
		return advice{"the pod's RuntimeClass does not exist any more", "create it again and restart the pod: its handler is then known"}
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
