package v1

import "maps"

// boundaryByKnownHandler is the default of boundaryByHandler: the handlers that the public
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
var boundaryByKnownHandler = map[string]Boundary{
	// The default class of kata-deploy, of OpenShift sandboxed containers and of the
	// pod sandboxing of AKS.
	"kata": BoundaryVM,

	// Cloud Hypervisor, Dragonball, Firecracker, OpenVMM, StratoVirt.
	"kata-clh":                      BoundaryVM,
	"kata-clh-azure":                BoundaryVM,
	"kata-clh-azure-runtime-rs":     BoundaryVM,
	"kata-clh-runtime-rs":           BoundaryVM,
	"kata-cloud-hypervisor":         BoundaryVM,
	"kata-dragonball":               BoundaryVM,
	"kata-fc":                       BoundaryVM,
	"kata-openvmm-azure-runtime-rs": BoundaryVM,
	"kata-stratovirt":               BoundaryVM,

	// QEMU.
	"kata-qemu":                       BoundaryVM,
	"kata-qemu-coco-dev":              BoundaryVM,
	"kata-qemu-coco-dev-runtime-rs":   BoundaryVM,
	"kata-qemu-nvidia-cpu":            BoundaryVM,
	"kata-qemu-nvidia-cpu-runtime-rs": BoundaryVM,
	"kata-qemu-nvidia-gpu":            BoundaryVM,
	"kata-qemu-nvidia-gpu-runtime-rs": BoundaryVM,
	"kata-qemu-runtime-rs":            BoundaryVM,

	// QEMU with a confidential guest.
	"kata-qemu-cca":                       BoundaryVM,
	"kata-qemu-nvidia-gpu-snp":            BoundaryVM,
	"kata-qemu-nvidia-gpu-snp-runtime-rs": BoundaryVM,
	"kata-qemu-nvidia-gpu-tdx":            BoundaryVM,
	"kata-qemu-nvidia-gpu-tdx-runtime-rs": BoundaryVM,
	"kata-qemu-se":                        BoundaryVM,
	"kata-qemu-se-runtime-rs":             BoundaryVM,
	"kata-qemu-sev":                       BoundaryVM,
	"kata-qemu-snp":                       BoundaryVM,
	"kata-qemu-snp-runtime-rs":            BoundaryVM,
	"kata-qemu-tdx":                       BoundaryVM,
	"kata-qemu-tdx-runtime-rs":            BoundaryVM,

	// A virtual machine on other hardware than the node (peer pods).
	"kata-remote": BoundaryVM,

	// gVisor.
	"gvisor": BoundarySandbox,
	"runsc":  BoundarySandbox,
}

// KnownHandlers returns the boundary of each handler that a public installer configures.
func KnownHandlers() map[string]Boundary { return maps.Clone(boundaryByKnownHandler) }
