#!/usr/bin/env bash
# Checks everything about the tree that is not a test, and changes nothing in it.
#
#   hack/verify.sh [CHECK...]
#
# Without arguments every check runs, also after one has failed: a list of all that is wrong saves
# rounds. A new check is a function check_NAME, and its name in the list below.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
checks=(scripts paths workflows manifests modules format generated lint)

# As in the Makefile, also when this is called without it.
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false ${GOFLAGS:-}"

# What is there, committed or not: a new file is checked before it is added.
files() { git ls-files --cached --others --exclude-standard --deduplicate -- "$@"; }

# Most checks go through this list, and would find no fault in an empty one.
if ! files go.mod >/dev/null || [[ -z $(files go.mod) ]]; then
	echo "verify: git does not list the files of this checkout"
	exit 1
fi

check_scripts() {
	local script
	for script in $(files '*.sh' .ci/run); do
		bash -n "${script}"
		[[ -x ${script} ]] || { echo "${script} is not executable"; return 1; }
	done
	# Not a demand: it would be the only tool that is not a Go module.
	if command -v shellcheck >/dev/null; then
		files '*.sh' .ci/run | xargs shellcheck
	fi
}

# A path of somebody's machine is of no use to anybody else, and tells where it was written.
check_paths() {
	! files . | grep -v '^go\.sum$' | xargs -d '\n' grep -d skip -nHIE '(^|[^[:alnum:]._/-])/([h]ome/[a-z]+|[U]sers/[A-Za-z]+|[r]oot|[w]ork)/' --
}

# What a workflow runs has to run on any machine, and untrusted text must not get into a shell: it
# calls the targets of the Makefile and nothing else.
check_workflows() {
	local line command word actionlint targets status=0
	actionlint=$(hack/tools.sh actionlint)
	"${actionlint}" -shellcheck= -pyflakes= || status=1
	targets=$(sed -n 's/^\([a-z-]*\):.*## .*/\1/p' Makefile)
	while IFS= read -r line; do
		command=${line#*run:}
		if [[ ${command} =~ ^\ make(\ [a-zA-Z0-9_=./-]+)+$ ]]; then
			for word in ${command# make}; do
				[[ ${word} == *=* ]] || grep -qx -e "${word}" <<<"${targets}" || { echo "${line}: there is no target ${word}"; status=1; }
			done
		elif [[ ${command} != " .ci/run" ]]; then
			echo "${line}: not a make target, nor .ci/run"
			status=1
		fi
	done < <(files '.github/workflows/*' | xargs grep -HnE '(^|[ {,-])"?run"? *:')
	return "${status}"
}

check_manifests() {
	local kustomization folder kubectl=${KUBECTL:-bin/control-plane/kubectl}
	for kustomization in $(files 'manifests/**/kustomization.yaml'); do
		folder=$(dirname "${kustomization}")
		# Only that it builds: test/integration asks a real API server what it thinks of it.
		if grep -q '^kind: Component$' "${kustomization}"; then
			# A component may change what it is added to, and that is always the base.
			mkdir -p bin/verify
			printf '%s\n' 'kind: Kustomization' 'resources: [../../manifests/base]' "components: [../../${folder}]" \
				>bin/verify/kustomization.yaml
			folder=bin/verify
		fi
		"${kubectl}" kustomize "${folder}" >/dev/null
	done
	rm -rf bin/verify
}

check_modules() {
	local module
	for module in $(files go.mod '**/go.mod'); do
		# It looks into modules that nothing else needs, and so downloads some.
		(cd "$(dirname "${module}")" && go mod tidy -diff 2>&1 | sed '/^go: downloading /d')
	done
	# Otherwise most of Kubernetes is compiled once for each: one build cache serves all as long as they are made of
	# the same versions.
	local different status=0
	for module in . hack/helm hack/descheduler; do
		different=$(LC_ALL=C join <(required "${module}/go.mod") <(required hack/control-plane/go.mod) | awk '$2 != $3')
		if [[ -n ${different} ]]; then
			echo "${module}/go.mod and hack/control-plane/go.mod differ in (hack/update-kubernetes.sh aligns Kubernetes itself):"
			echo "${different}"
			status=1
		fi
	done
	return "${status}"
}

# The modules that a go.mod requires, with the version that is built: a replacement decides.
required() {
	awk '
		$1 == "require" || $1 == "replace" { $1 = ""; $0 = $0 }
		$2 == "=>" { version[$1] = $4; replaced[$1]; next }
		$2 ~ /^v[0-9]/ && !($1 in replaced) { version[$1] = $2 }
		END { for (module in version) print module, version[module] }
	' "$1" | LC_ALL=C sort
}

check_format() {
	local unformatted
	unformatted=$("$(hack/tools.sh gofumpt)" -l .)
	[[ -z ${unformatted} ]] || { echo "make fmt would change:"; echo "${unformatted}"; return 1; }
}

# Whatever make generate writes, the reference pages included. It writes into a
# copy, so that the tree stays as it is when something is out of step.
check_generated() {
	local dir
	dir=$(mktemp -d)
	# shellcheck disable=SC2064 # now: the variable is gone when the trap runs
	trap "rm -rf '${dir}'" EXIT
	mkdir "${dir}/is"
	files . | while IFS= read -r file; do [[ ! -e ${file} ]] || printf '%s\0' "${file}"; done |
		tar --null --create --files-from=- | tar --extract --directory="${dir}/is"
	cp -r "${dir}/is" "${dir}/should-be"
	if [[ -d bin/tools ]]; then
		# The generators need not be built a second time.
		mkdir "${dir}/should-be/bin"
		cp -r bin/tools "${dir}/should-be/bin/"
	fi
	make --silent --directory="${dir}/should-be" generate
	(cd "${dir}" && diff --recursive --unified --exclude=bin is should-be) || { echo "run: make generate"; return 1; }
}

# go vet is among the linters.
check_lint() {
	local linter
	linter=$(hack/tools.sh golangci-lint)
	"${linter}" run ./...
	(cd hack/release && "${linter}" run ./...)
}

failed=()
for check in "${@:-${checks[@]}}"; do
	begin=${SECONDS}
	echo "verify: ${check} ..."
	# A subshell of its own with errexit: inside an "if" bash would ignore it.
	set +e
	(
		set -e
		"check_${check}"
	)
	status=$?
	set -e
	if [[ -n ${STEP_TIMES:-} ]]; then
		echo "verify ${check} $((SECONDS - begin))" >>"${STEP_TIMES}"
	fi
	if ((status == 0)); then
		echo "verify: ${check} is fine ($((SECONDS - begin)) s)"
	else
		echo "verify: ${check} FAILED ($((SECONDS - begin)) s)"
		failed+=("${check}")
	fi
done
if ((${#failed[@]} > 0)); then
	echo "verify: failed: ${failed[*]}"
	exit 1
fi
