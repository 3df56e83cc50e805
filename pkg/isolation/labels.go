package isolation

// The keys of the isolation labels. On a pod, TenantLabel may only repeat its namespace's.
const (
	// TenantLabel names the tenant of a namespace, which makes it managed.
	TenantLabel = "tenantisolation.dev/tenant"
	// DataClassLabel names the data class of a namespace or pod.
	DataClassLabel = "tenantisolation.dev/data-class"
	// PrivilegeLabel names a level of the Pod Security Standards for a namespace or pod.
	PrivilegeLabel = "tenantisolation.dev/privilege"
	// BoundaryLabel names the boundary that the pods of a namespace must have: a Demand.
	BoundaryLabel = "tenantisolation.dev/boundary"
	// RuntimeClassLabel names the RuntimeClass of a namespace's pods that name none. An admission
	// policy sets it: the RuntimeClass of a pod cannot change later.
	RuntimeClassLabel = "tenantisolation.dev/runtime-class"
)
