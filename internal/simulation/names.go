package simulation

import configv1 "tenantisolation.dev/scheduler/pkg/apis/config/v1"

const (
	schedulerName = "tenant-isolation-scheduler"

	tenantLabel       = configv1.DefaultTenantLabelKey
	dataClassLabel    = configv1.DefaultDataClassLabelKey
	boundaryLabel     = configv1.DefaultBoundaryLabelKey
	runtimeClassLabel = configv1.DefaultRuntimeClassLabelKey
)
