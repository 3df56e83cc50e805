#!/usr/bin/env bash
# Builds the real Karpenter with its kwok provider, which creates nodes for kwok to play, for the tests of
# autoscaling and for `make demo AUTOSCALER=karpenter`.
#
#   hack/karpenter.sh DIRECTORY
#
# DIRECTORY then has the program karpenter, its custom resources in crds/ and its rights in rbac.yaml.
# Nothing is done where it has them already, of the same version.
set -euo pipefail

module=sigs.k8s.io/karpenter
version=v1.15.0
# Of the module's archive, as go.sum has it: it pins the module's own go.sum, and so all that is built.
sum=h1:5SEptlAvsOZbNg4qg8OSdF1qi6BEZHZLA020nXY7jGw=

out=${1:?usage: hack/karpenter.sh DIRECTORY}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
mkdir -p "${out}"
out=$(cd "${out}" && pwd)
export CGO_ENABLED=0 GOWORK=off GOTOOLCHAIN=local

# Two builds at once (an editor's test run beside a make) would write the same files.
exec 9>"${out}/.lock"
flock 9

go_version=$(go env GOVERSION)
stamp="$(cksum <"${BASH_SOURCE[0]}") ${version} ${go_version} $(go env GOOS)/$(go env GOARCH)"
if [[ -x ${out}/karpenter && $(cat "${out}/.stamp" 2>/dev/null) == "${stamp}" ]]; then
	exit
fi
echo "karpenter: building Karpenter ${version} with its kwok provider" >&2

source=$(mktemp -d "${TMPDIR:-/tmp}/karpenter.XXXXXX")
trap 'rm -rf "${source}"' EXIT

# Its go.mod asks for a later patch release of Go than this repository does, so it cannot be required by
# a go.mod of ours. The go command fetches and checks it all the same, and then complains.
answer=$(cd "${source}" && go mod download -json "${module}@${version}" || true)
fetched=$(go env GOMODCACHE)/${module}@${version}
if [[ ${answer} != *"\"Sum\": \"${sum}\""* || ! -d ${fetched} ]]; then
	echo "karpenter: ${module} ${version} with the checksum ${sum} was not downloaded: ${answer}" >&2
	exit 1
fi
cp -R "${fetched}/." "${source}"
chmod -R u+w "${source}"
sed "s/^go .*/go ${go_version#go}/" "${fetched}/go.mod" >"${source}/go.mod"

"${root}/hack/download.sh" "${source}"
(cd "${source}" && "${root}/hack/compile.sh" karpenter go build -v -ldflags "-s -w" -o "${out}/karpenter" ./kwok)

rm -rf "${out}/crds" && mkdir "${out}/crds"
cp "${source}"/pkg/apis/crds/*.yaml "${source}"/kwok/apis/crds/*.yaml "${out}/crds/"

# The rules of its chart, as one role: its name and labels are all that the templates are for.
{
	printf 'apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: karpenter\nrules:\n'
	for file in clusterrole clusterrole-kwok role; do
		awk '/^---/ { on = 0 } on && !/{{/ && !/^ *$/; /^rules:/ { on = 1 }' "${source}/kwok/charts/templates/${file}.yaml"
	done
} >"${out}/rbac.yaml"
echo "${stamp}" >"${out}/.stamp"
echo "karpenter: built after ${SECONDS} s, in ${out#"${root}/"}" >&2
