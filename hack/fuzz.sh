#!/usr/bin/env bash
# Runs every fuzz target of the tree for a while, one after the other, also after one has failed.
#
#   hack/fuzz.sh TIME
set -euo pipefail

time=${1:?usage: hack/fuzz.sh TIME, as in 1m}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false ${GOFLAGS:-}" GOWORK=off

targets=$(grep -rHoE --include='*_test.go' --exclude-dir=bin '^func Fuzz[A-Z][A-Za-z0-9]*' . | sed 's|/[^/]*:func | |' | LC_ALL=C sort)
if [[ -z ${targets} ]]; then
	echo "fuzz: no targets were found" >&2
	exit 1
fi
programs=$(mktemp -d)
trap 'rm -rf "${programs}"' EXIT
echo "fuzz: $(wc -l <<<"${targets}") targets, each for ${time}; the first time all that they import is compiled again, to see which code an input reaches"

failed=()
while read -r folder target; do
	# Compiled beforehand for the sign of life: go test gives none.
	if ! hack/compile.sh fuzz go test -v -c -o "${programs}/" -fuzz "^${target}\$" "${folder}" ||
		! go test -run '^$' -fuzz "^${target}\$" -fuzztime "${time}" "${folder}" </dev/null; then
		failed+=("${folder} ${target}")
	fi
done <<<"${targets}"
if ((${#failed[@]} > 0)); then
	printf 'fuzz: FAILED: %s\n' "${failed[@]}"
	exit 1
fi
