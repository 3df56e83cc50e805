#!/usr/bin/env bash
# Pins k8s.io/kubernetes and all of its staging modules to one release.
#
#   hack/update-kubernetes.sh v1.37.2
#   hack/update-kubernetes.sh v1.36.3 hack/skew
#
# Without a folder it moves every module that the product is built and tested with. hack/skew has the
# oldest API server that the scheduler works with, and moves alone.
#
# k8s.io/kubernetes requires its staging modules at v0.0.0 and replaces them by
# paths inside its own tree, and a replace directive of a dependency is ignored. So whoever
# imports it has to replace each of them with the release that was cut from the
# same commit. The list of modules is read from the go.mod of that very release.
set -euo pipefail

version=${1:-}
shift || true
if [[ ! ${version} =~ ^v1\.[0-9]+\.[0-9]+$ ]]; then
	echo "usage: hack/update-kubernetes.sh v1.MINOR.PATCH [FOLDER]" >&2
	exit 2
fi
staging="v0.${version#v1.}"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export GOWORK=off

# Outside of any module: the go.mod of the release is wanted, not what we require.
empty=$(mktemp -d)
trap 'rmdir "${empty}"' EXIT
# It says in JSON what went wrong as well.
if ! answer=$(cd "${empty}" && go mod download -json "k8s.io/kubernetes@${version}"); then
	echo "k8s.io/kubernetes ${version} cannot be downloaded: ${answer}" >&2
	exit 1
fi
modfile=$(sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p' <<<"${answer}")
if [[ ! -f ${modfile} ]]; then
	echo "go mod download names no go.mod of k8s.io/kubernetes ${version}: ${answer}" >&2
	exit 1
fi
modules=$(sed -n 's|^\t\(k8s\.io/[a-z0-9-]*\) => \./staging/src/k8s\.io/.*$|\1|p' "${modfile}")
if [[ -z ${modules} ]]; then
	echo "no staging modules found in the go.mod of k8s.io/kubernetes ${version}" >&2
	exit 1
fi

requires() { grep -qE "^(require )?\s*$1 v" go.mod; }

# Every module of this repository that imports Kubernetes moves together, so
# that the scheduler, its tests and the control plane share one build cache.
if (($# == 0)); then
	set -- . hack/control-plane hack/tools hack/helm hack/descheduler
fi
for dir in "$@"; do
	cd "${root}/${dir}"
	edits=()
	if requires k8s.io/kubernetes; then
		edits+=("-require=k8s.io/kubernetes@${version}")
		# A staging module that the release no longer has would stay at the old one.
		while read -r module; do
			edits+=("-dropreplace=${module}")
		done < <(sed -n 's|^\t\(k8s\.io/[a-z0-9-]*\) => k8s\.io/.*$|\1|p' go.mod)
		for module in ${modules}; do
			edits+=("-replace=${module}=${module}@${staging}")
		done
	fi
	# The replacement decides what is built, but whoever reads go.mod believes the requirement.
	for module in ${modules}; do
		if requires "${module}"; then
			edits+=("-require=${module}@${staging}")
		fi
	done
	if ((${#edits[@]} == 0)); then
		continue
	fi
	echo "${dir}/go.mod: k8s.io/kubernetes ${version}, staging modules ${staging}"
	go mod edit "${edits[@]}"
	go mod tidy
done
