#!/usr/bin/env bash
# Builds what the nodes of `make e2e` run, from pinned Go modules: kubelet (hack/control-plane/go.mod),
# containerd, gVisor and Prometheus (hack/nodes/*/go.mod), and the test runtime hack/vmruntime. What
# comes from Debian packages it installs where it is missing: runc, CNI plugins, QEMU, busybox and a kernel.
#
#   hack/nodes.sh DIRECTORY
#
# A program is built again only when what goes into it has changed.
set -euo pipefail

out=${1:?usage: hack/nodes.sh DIRECTORY}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { echo "nodes: $*" >&2; }

missing=()
[[ $(uname -s) == Linux ]] || missing+=("Linux: nodes are made of its namespaces, and this is $(uname -s)")
[[ $(uname -m) == x86_64 ]] || missing+=("a machine of the kind x86_64, and this is $(uname -m)")
[[ $(id -u) == 0 ]] || missing+=("root: namespaces, mounts and cgroups are made")
if ((${#missing[@]} > 0)); then
	printf 'nodes: make e2e cannot run here, it needs %s\n' "${missing[@]}" >&2
	exit 1
fi

mkdir -p "${out}"
out=$(cd "${out}" && pwd)
exec 9>"${out}/.lock"
flock 9
# Programs of sbin are not in every PATH.
export PATH="${PATH}:/usr/sbin:/sbin"

# What the packages bring: a file or program, and the package.
wanted() {
	command -v "$1" >/dev/null || [[ -e $1 ]] || packages+=("$2")
}
packages=()
wanted runc runc
wanted /usr/lib/cni/bridge containernetworking-plugins
wanted qemu-system-x86_64 qemu-system-x86
wanted busybox busybox-static
wanted ip iproute2
wanted nsenter util-linux
kernel=${out}/vmlinuz
updated=
update() {
	if [[ -z ${updated} ]]; then
		updated=yes
		DEBIAN_FRONTEND=noninteractive apt-get update -qq
	fi
}
if ((${#packages[@]} > 0)) || [[ ! -e ${kernel} ]]; then
	if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
		say "missing: ${packages[*]:-} and a Linux kernel as ${kernel}; there is no apt-get to install them with, and make e2e cannot run without"
		exit 1
	fi
fi
if ((${#packages[@]} > 0)); then
	say "installing ${packages[*]}"
	update
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null </dev/null
fi
if [[ ! -e ${kernel} ]]; then
	update
	image=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image/ { print $2; exit }')
	say "unpacking ${image:?there is no package linux-image-cloud-amd64}"
	unpacked=$(mktemp -d "${out}/.kernel.XXXXXX")
	# Not installed: only the file of the kernel is needed, and no boot loader is to know of it.
	(cd "${unpacked}" && apt-get download -qq -o APT::Sandbox::User=root "${image}" && dpkg -x ./*.deb .)
	mv "${unpacked}"/boot/vmlinuz-* "${kernel}"
	rm -rf "${unpacked}"
fi

export CGO_ENABLED=0 GOWORK=off
kubernetes=$(sed -n 's|^\tk8s\.io/kubernetes \(v[0-9.]*\)$|\1|p' "${root}/go.mod")
go_version=$(go env GOVERSION)

# Builds packages of a module into the folder, if go.mod, go.sum, the Go release or the flags have changed.
build() {
	local name=$1 module=$2 flags=$3 stamp
	shift 3
	stamp="$(cksum <"${root}/${module}/go.sum") ${go_version} ${flags} $*${tags:+ ${tags}}"
	if [[ $(cat "${out}/.${name}.stamp" 2>/dev/null) == "${stamp}" ]]; then
		return
	fi
	"${root}/hack/download.sh" "${root}/${module}"
	say "building ${name}"
	"${prepare:-:}"
	(cd "${source:-${root}/${module}}" && "${root}/hack/compile.sh" nodes nice go build -v -tags "${tags:-no_btrfs no_zfs no_devmapper}" -ldflags "-s -w ${flags}" -o "${out}/" "$@")
	echo "${stamp}" >"${out}/.${name}.stamp"
}

build kubelet hack/control-plane "-X k8s.io/component-base/version.gitVersion=${kubernetes}" k8s.io/kubernetes/cmd/kubelet
build containerd hack/nodes/containerd '' github.com/containerd/containerd/v2/cmd/{containerd,ctr,containerd-shim-runc-v2}
# The one way to find what it scrapes that is used, and no pages.
tags='remove_all_sd enable_kubernetes_sd' build prometheus hack/nodes/prometheus '' github.com/prometheus/prometheus/cmd/prometheus

# The shim of gVisor asks the kernel for a lower OOM score than that of its parent, and gives up where root
# has no CAP_SYS_RESOURCE. That one constant is another in a copy.
gvisor=${out}/.gvisor
copy_gvisor() {
	rm -rf "${gvisor}" && mkdir "${gvisor}"
	cp -r "$(cd "${root}/hack/nodes/gvisor" && go list -m -f '{{.Dir}}' gvisor.dev/gvisor)" "${gvisor}/gvisor"
	chmod -R u+w "${gvisor}/gvisor"
	sed -i 's/oomScoreMax = -999/oomScoreMax = 0/' "${gvisor}/gvisor/pkg/shim/v1/manager.go"
	cp "${root}"/hack/nodes/gvisor/go.{mod,sum} "${gvisor}/"
	(cd "${gvisor}" && go mod edit -replace gvisor.dev/gvisor=./gvisor)
}
prepare=copy_gvisor source=${gvisor} build runsc hack/nodes/gvisor '' gvisor.dev/gvisor/{runsc,shim}
[[ ! -e ${out}/shim ]] || mv "${out}/shim" "${out}/containerd-shim-runsc-v1"
rm -rf "${gvisor}"
(cd "${root}" && go build -ldflags '-s -w' -o "${out}/" ./hack/vmruntime)
