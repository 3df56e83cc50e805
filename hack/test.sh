#!/usr/bin/env bash
# Runs tests: first those that need no cluster, then those that start a control plane.
#
#   PKG=./pkg/... RUN=TestX hack/test.sh all|unit
#
# PKG (default: every package) and RUN (default: every test) say which. "all" runs with the race
# detector and builds the control plane if a package needs it; "unit" runs -short and without the race
# detector, and leaves out what needs a cluster.
set -euo pipefail

what=${1:?usage: hack/test.sh all|unit}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false ${GOFLAGS:-}" GOWORK=off

race=() short=() cluster=() unit=() run=()
if [[ -n ${RUN:-} ]]; then
	run=(-run "${RUN}")
fi

# A test that starts a control plane imports what starts it, so no list has to be kept.
selected=$(go list -f '{{.ImportPath}}{{range .TestImports}} {{.}}{{end}}{{range .XTestImports}} {{.}}{{end}}' "${PKG:-./...}")
while read -r package imports; do
	if [[ " ${imports}" == *" tenantisolation.dev/scheduler/internal/controlplane"* ]]; then
		cluster+=("${package}")
	else
		unit+=("${package}")
	fi
done <<<"${selected}"

if [[ ${what} == unit ]]; then
	short=(-short)
	if ((${#unit[@]} == 0)); then
		echo "test: every package of ${PKG} needs a cluster: use make test" >&2
		exit 1
	fi
	cluster=()
else
	# It is written in C. Without a compiler the tests still run.
	if command -v "${CC:-gcc}" >/dev/null; then
		race=(-race)
	else
		echo "test: no C compiler found: WITHOUT the race detector" >&2
	fi
	if ((${#cluster[@]} > 0)); then
		if [[ -z ${KUBEBUILDER_ASSETS:-} ]]; then
			hack/control-plane.sh bin/control-plane
			export KUBEBUILDER_ASSETS="${PWD}/bin/control-plane"
		fi
		make --no-print-directory build
	fi
fi
if ((${#race[@]} > 0)); then
	export CGO_ENABLED=1
fi

# Runs the tests of some packages, and notes what they took.
tests() {
	local where=$1 begin=${SECONDS} status=0
	shift
	echo "test: ${where}"
	go test "${race[@]}" "${short[@]}" "${run[@]}" "$@" || status=$?
	if [[ -n ${STEP_TIMES:-} ]]; then
		echo "tests ${where// /-} $((SECONDS - begin))" >>"${STEP_TIMES}"
	fi
	return "${status}"
}

# Compiled beforehand for the sign of life: go test gives none.
echo "test: compiling; from an empty cache it takes minutes"
hack/compile.sh test go list -v "${race[@]}" -export -test -deps "${unit[@]}" "${cluster[@]}"

failed=()
if ((${#unit[@]} > 0)); then
	tests "without a cluster" -timeout 10m "${unit[@]}" || failed+=("without a cluster")
fi
if [[ -z ${PKG:-} ]]; then
	# A module of its own.
	(cd hack/release && tests "of the release" ./...) || failed+=("of the release")
fi
if ((${#cluster[@]} > 0 && ${#failed[@]} == 0)); then
	# Two at a time, however many processors there are: each starts programs of its own, and mostly waits for them.
	tests "on a control plane" -p 2 -timeout 40m "${cluster[@]}" || failed+=("on a control plane")
	if [[ -z ${PKG:-} && -z ${RUN:-} ]]; then
		# The oldest API server that the scheduler works with, as far as one can be emulated.
		run=(-run '^Test(Placement|VM|Dedicat|Release|Requeue|Preemption|Spoofed|Waiting)')
		tests "on an older API server" -timeout 20m ./test/integration -emulated-version=1.36 || failed+=("on an older API server")
	fi
fi
if ((${#failed[@]} > 0)); then
	echo "test: FAILED ${failed[*]}"
	exit 1
fi
