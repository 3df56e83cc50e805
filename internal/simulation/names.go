package simulation

import "tenantisolation.dev/scheduler/pkg/isolation"

const (
	schedulerName = "tenant-isolation-scheduler"

	tenantLabel       = isolation.TenantLabel
	dataClassLabel    = isolation.DataClassLabel
	boundaryLabel     = isolation.BoundaryLabel
	runtimeClassLabel = isolation.RuntimeClassLabel
)
