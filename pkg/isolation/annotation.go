package isolation

import "strings"

// runtimePrefixes begin the annotations by which a pod configures its container runtime, or
// what the runtime starts. Each comes from a runtime; whoever adds one gives its source.
func runtimePrefixes() [8]string {
	return [...]string{
		RuntimeAnnotationPrefix,
		// gVisor: flags of the sandbox and mounts of the host that it may share
		// (runsc/specutils, runsc/boot/mount_hints.go).
		"dev.gvisor.",
		// CRI-O: devices, shared memory, cgroup and user namespace mode (pkg/annotations).
		"io.kubernetes.cri-o.",
		// containerd: options of the CRI plugin and of runc's shim (docs/cri, runtime/v2).
		"io.kubernetes.cri.",
		"io.containerd.",
		// crun: handlers, mounts and groups (crun.1.md); runc: properties of the systemd unit
		// (docs/systemd.md); hooks that act by annotation (containers/common, oci-hooks).
		"run.oci.",
		"org.systemd.property.",
		"io.containers.",
	}
}

// runtimeDomains are the domains of such annotations, subdomains included.
func runtimeDomains() [4]string {
	return [...]string{
		// Container Device Interface: devices of the host
		// (cncf-tags/container-device-interface, pkg/cdi/annotations.go).
		"cdi.k8s.io",
		// CRI-O: CPU and interrupt settings, seccomp profiles (pkg/annotations).
		"crio.io",
		"cri-o.io",
		// Node Resource Interface: devices and mounts by the plugins of containerd/nri.
		"nri.io",
	}
}

// RuntimeAnnotations returns how the annotations of ReconfiguresRuntime begin, and their
// domains, for those who ask the same in another language.
func RuntimeAnnotations() (prefixes, domains []string) {
	p, d := runtimePrefixes(), runtimeDomains()
	return p[:], d[:]
}

// ReconfiguresRuntime reports whether an annotation configures the pod's runtime: it can hand
// devices, paths or binaries of the host to what is behind a boundary.
func ReconfiguresRuntime(key string) bool {
	for _, prefix := range runtimePrefixes() {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	domain, _, _ := strings.Cut(key, "/")
	for _, of := range runtimeDomains() {
		if domain == of || strings.HasSuffix(domain, "."+of) {
			return true
		}
	}
	return false
}
