#!/usr/bin/env bash
# Builds a development tool that hack/tools/go.mod pins, if it is not there yet, and prints where
# it is.
#
#   hack/tools.sh NAME [MODULE]
#
# NAME is the last part of a package in its list of tools, as in golangci-lint or gofumpt. MODULE is the
# folder of another module that has it, as in hack/helm.
set -euo pipefail

name=${1:?usage: hack/tools.sh NAME [MODULE]}
module=${2:-hack/tools}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "${root}/${module}"
export CGO_ENABLED=0 GOWORK=off

# golangci-lint refuses code of a newer Go release than the one it was built with.
stamp="$(cksum go.mod go.sum) $(go env GOVERSION) $(go env GOOS)/$(go env GOARCH)"
program="${root}/bin/tools/${name}"
if [[ ! -x ${program} || $(cat "${program}.stamp" 2>/dev/null) != "${stamp}" ]]; then
	package=$(sed -n "s/^\(\t\|tool \)\(.*\/${name}\)\$/\2/p" go.mod)
	if [[ -z ${package} ]]; then
		echo "${module}/go.mod has no tool ${name}" >&2
		exit 2
	fi
	# The go command would download the module to tell: it is the one whose path the package begins with.
	version=$(awk -v package="${package}/" '$2 ~ /^v/ && index(package, $1 "/") == 1 { print $2 }' go.mod)
	echo "tools: building ${name} ${version} ..." >&2
	mkdir -p "${root}/bin/tools"
	"${root}/hack/compile.sh" tools go build -v -ldflags "-s -w -X main.version=${version#v}" -o "${program}" "${package}"
	echo "${stamp}" >"${program}.stamp"
fi
echo "${program}"
