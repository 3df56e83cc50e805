package podfacts

import (
	"maps"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// boundaryByKnownHandler is what a policy starts with: the handlers that the public
// installers of Kata Containers and gVisor configure.
//
// Sources: kata-containers/kata-containers, docs of kata-deploy ("RuntimeClass
// Selection") and the list of shims in
// tools/packaging/kata-deploy/binary/src/config.rs; for names that later releases
// dropped, tools/packaging/kata-deploy/runtimeclasses/. google/gvisor, containerd
// quick start, for runsc; the RuntimeClass of GKE Sandbox for gvisor.
//
// The -debug and -devkit variants of kata-deploy are left out on purpose: their guests
// open a debug console. An administrator can still list them.
var boundaryByKnownHandler = map[string]isolation.Boundary{
	// The default class of kata-deploy, of OpenShift sandboxed containers and of the
	// pod sandboxing of AKS.
	"kata": isolation.BoundaryVM,

	// Cloud Hypervisor, Dragonball, Firecracker, OpenVMM, StratoVirt.
	"kata-clh":                      isolation.BoundaryVM,
	"kata-clh-azure":                isolation.BoundaryVM,
	"kata-clh-azure-runtime-rs":     isolation.BoundaryVM,
	"kata-clh-runtime-rs":           isolation.BoundaryVM,
	"kata-cloud-hypervisor":         isolation.BoundaryVM,
	"kata-dragonball":               isolation.BoundaryVM,
	"kata-fc":                       isolation.BoundaryVM,
	"kata-openvmm-azure-runtime-rs": isolation.BoundaryVM,
	"kata-stratovirt":               isolation.BoundaryVM,

	// QEMU.
	"kata-qemu":                       isolation.BoundaryVM,
	"kata-qemu-coco-dev":              isolation.BoundaryVM,
	"kata-qemu-coco-dev-runtime-rs":   isolation.BoundaryVM,
	"kata-qemu-nvidia-cpu":            isolation.BoundaryVM,
	"kata-qemu-nvidia-cpu-runtime-rs": isolation.BoundaryVM,
	"kata-qemu-nvidia-gpu":            isolation.BoundaryVM,
	"kata-qemu-nvidia-gpu-runtime-rs": isolation.BoundaryVM,
	"kata-qemu-runtime-rs":            isolation.BoundaryVM,

	// QEMU with a confidential guest.
	"kata-qemu-cca":                       isolation.BoundaryVM,
	"kata-qemu-nvidia-gpu-snp":            isolation.BoundaryVM,
	"kata-qemu-nvidia-gpu-snp-runtime-rs": isolation.BoundaryVM,
	"kata-qemu-nvidia-gpu-tdx":            isolation.BoundaryVM,
	"kata-qemu-nvidia-gpu-tdx-runtime-rs": isolation.BoundaryVM,
	"kata-qemu-se":                        isolation.BoundaryVM,
	"kata-qemu-se-runtime-rs":             isolation.BoundaryVM,
	"kata-qemu-sev":                       isolation.BoundaryVM,
	"kata-qemu-snp":                       isolation.BoundaryVM,
	"kata-qemu-snp-runtime-rs":            isolation.BoundaryVM,
	"kata-qemu-tdx":                       isolation.BoundaryVM,
	"kata-qemu-tdx-runtime-rs":            isolation.BoundaryVM,

	// A virtual machine on other hardware than the node (peer pods).
	"kata-remote": isolation.BoundaryVM,

	// gVisor.
	"gvisor": isolation.BoundarySandbox,
	"runsc":  isolation.BoundarySandbox,
}

// KnownHandlers returns the boundary of each handler that a public installer configures.
func KnownHandlers() map[string]isolation.Boundary { return maps.Clone(boundaryByKnownHandler) }
