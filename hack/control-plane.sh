#!/usr/bin/env bash
# Builds a real control plane from pinned Go modules (hack/control-plane/go.mod):
# etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl and kwok.
#
#   hack/control-plane.sh DIRECTORY
#
# A program is built again only when what goes into it has changed: its pinned
# version, the Go release, or the way it is built. The directory can be used as
# KUBEBUILDER_ASSETS.
set -euo pipefail

out=${1:?usage: hack/control-plane.sh DIRECTORY}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${out}"
out=$(cd "${out}" && pwd)
cd "${root}/hack/control-plane"

# The same flags for all programs and for our own scheduler: they then share one
# build cache, which halves a cold build.
export CGO_ENABLED=0 GOWORK=off

if ! command -v flock >/dev/null; then
	echo "control plane: flock is not in PATH; it comes with util-linux" >&2
	exit 1
fi
# Two builds at once (an editor's test run beside a make) would write the same files.
exec 9>"${out}/.lock"
if ! flock -n 9; then
	echo "control plane: waiting for another build to finish" >&2
	flock 9
fi
new=${out}/.new
trap 'rm -rf "${new}"' EXIT

# Its folder is asked for below, and a module that is not there has none.
"${root}/hack/download.sh" "${root}/hack/control-plane"

# One call for all that is asked of the go command: each takes a second.
{
	read -r go_version
	read -r os
	read -r arch
} < <(go env GOVERSION GOOS GOARCH)
{
	read -r kubernetes _
	read -r etcd _
	read -r kwok kwok_dir
} < <(go list -m -f '{{.Version}} {{.Dir}}' k8s.io/kubernetes go.etcd.io/etcd/server/v3 sigs.k8s.io/kwok)
if [[ ! -d ${kwok_dir:-} ]]; then
	echo "control plane: the module sigs.k8s.io/kwok ${kwok:-} is not in the module cache $(go env GOMODCACHE): go list names no folder of it" >&2
	exit 1
fi

# Without these, kubectl and discovery would report v0.0.0-master.
kubernetes_ldflags() {
	local minor=${kubernetes#v1.} package
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		echo -n " -X ${package}.gitVersion=${kubernetes} -X ${package}.gitMajor=1 -X ${package}.gitMinor=${minor%%.*}"
		echo -n " -X ${package}.gitTreeState=clean -X ${package}.gitCommit=${kubernetes}"
	done
}

# Name, name that the go command gives it, version, package, linker flags.
programs=(
	"etcd|server|${etcd}|go.etcd.io/etcd/server/v3|-X go.etcd.io/etcd/api/v3/version.GitSHA=${etcd}"
	"kube-apiserver|kube-apiserver|${kubernetes}|k8s.io/kubernetes/cmd/kube-apiserver|$(kubernetes_ldflags)"
	"kube-controller-manager|kube-controller-manager|${kubernetes}|k8s.io/kubernetes/cmd/kube-controller-manager|$(kubernetes_ldflags)"
	"kube-scheduler|kube-scheduler|${kubernetes}|k8s.io/kubernetes/cmd/kube-scheduler|$(kubernetes_ldflags)"
	"kubectl|kubectl|${kubernetes}|k8s.io/kubernetes/cmd/kubectl|$(kubernetes_ldflags)"
	"kwok|kwok|${kwok}|sigs.k8s.io/kwok/cmd/kwok|-X sigs.k8s.io/kwok/pkg/consts.Version=${kwok#v}"
)

stamp() { echo "$1 ${go_version} ${os}/${arch} $2"; }

stale=() packages=() flags=()
for program in "${programs[@]}"; do
	IFS='|' read -r name built version package ldflags <<<"${program}"
	if [[ ! -x ${out}/${name} || $(cat "${out}/.${name}.stamp" 2>/dev/null) != "$(stamp "${version}" "${ldflags}")" ]]; then
		stale+=("${program}")
		packages+=("${package}")
		flags+=("-ldflags=${package}=-s -w ${ldflags}")
		echo "control plane: ${name} ${version} is to be built" >&2
	fi
done

if ((${#stale[@]} > 0)); then
	rm -rf "${new}" && mkdir "${new}"
	echo "control plane: compiling at most $(go list -deps "${packages[@]}" | wc -l) packages; what is cached is not compiled again" >&2
	# All at once, so that one program is linked while the next one is compiled.
	"${root}/hack/compile.sh" "control plane" go build -v "${flags[@]}" -o "${new}/" "${packages[@]}"
	for program in "${stale[@]}"; do
		IFS='|' read -r name built version package ldflags <<<"${program}"
		mv "${new}/${built}" "${out}/${name}"
		stamp "${version}" "${ldflags}" >"${out}/.${name}.stamp"
	done
	echo "control plane: built after ${SECONDS} s, in ${out#"${root}/"}" >&2
fi

# kwok does nothing without stages: how a fake node gets ready, how a pod becomes
# Running and goes away. They come with its module. pod-complete is left out on
# purpose: a Job's pod that ends within a second would hold no node, and there
# would be nothing to see.
for stage in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease pod/fast/pod-ready pod/fast/pod-delete; do
	echo "---"
	cat "${kwok_dir}/kustomize/stage/${stage}.yaml"
done >"${out}/.kwok-stages.new"
mv "${out}/.kwok-stages.new" "${out}/kwok-stages.yaml"
