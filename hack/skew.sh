#!/usr/bin/env bash
# Builds the oldest kube-apiserver that the scheduler works with (hack/skew/go.mod).
#
#   hack/skew.sh DIRECTORY
#
# The rest of a control plane comes from bin/control-plane: with DIRECTORY as KUBEBUILDER_ASSETS, tests
# use this kube-apiserver beside it.
set -euo pipefail

out=${1:?usage: hack/skew.sh DIRECTORY}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${out}"
out=$(cd "${out}" && pwd)
cd "${root}/hack/skew"
export CGO_ENABLED=0 GOWORK=off

kubernetes=$(sed -n 's|^\tk8s\.io/kubernetes \(v[0-9.]*\).*$|\1|p' go.mod)
stamp="$(cksum go.mod go.sum) $(go env GOVERSION) $(go env GOOS)/$(go env GOARCH)"
if [[ -x ${out}/kube-apiserver && $(cat "${out}/.kube-apiserver.stamp" 2>/dev/null) == "${stamp}" ]]; then
	exit
fi
echo "skew: building kube-apiserver ${kubernetes}" >&2
"${root}/hack/download.sh" "${root}/hack/skew"
minor=${kubernetes#v1.}
# Without these it would report v0.0.0-master.
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	flags+=" -X ${package}.gitVersion=${kubernetes} -X ${package}.gitMajor=1 -X ${package}.gitMinor=${minor%%.*}"
	flags+=" -X ${package}.gitTreeState=clean -X ${package}.gitCommit=${kubernetes}"
done
"${root}/hack/compile.sh" skew go build -v -ldflags "${flags}" -o "${out}/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
echo "${stamp}" >"${out}/.kube-apiserver.stamp"
