package karpenter

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// dollarsPerCPU makes the smallest machine that fits the cheapest.
const dollarsPerCPU = 0.04

// machine is an instance type as the kwok provider reads it.
type machine struct {
	Name             string              `json:"name"`
	Offerings        []offering          `json:"offerings"`
	Architecture     string              `json:"architecture"`
	OperatingSystems []string            `json:"operatingSystems"`
	Resources        corev1.ResourceList `json:"resources"`
}

type offering struct {
	Price        float64
	Available    bool
	Requirements []corev1.NodeSelectorRequirement
}

func machinesOf(cpus []int) []machine {
	if len(cpus) == 0 {
		cpus = DefaultCPUs()
	}
	var machines []machine
	for _, n := range cpus {
		machines = append(machines, machine{
			Name: MachineName(n),
			Offerings: []offering{{Price: dollarsPerCPU * float64(n), Available: true, Requirements: []corev1.NodeSelectorRequirement{
				{Key: capacityType, Operator: corev1.NodeSelectorOpIn, Values: []string{onDemand}},
				{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{"zone-a"}},
			}}},
			Architecture:     "amd64",
			OperatingSystems: []string{"linux"},
			Resources: corev1.ResourceList{
				corev1.ResourceCPU:              *resource.NewQuantity(int64(n), resource.DecimalSI),
				corev1.ResourceMemory:           resource.MustParse(fmt.Sprintf("%dGi", 4*n)),
				corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
			},
		})
	}
	return machines
}

// MachineName is the instance type of a machine with that many CPUs.
func MachineName(cpus int) string { return fmt.Sprintf("s-%dx", cpus) }
