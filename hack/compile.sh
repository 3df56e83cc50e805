#!/usr/bin/env bash
# Runs a go command that compiles a lot: faster, and with a sign of life every 15 seconds.
#
#   hack/compile.sh LABEL go build -v ...
#
# The -v is what the sign of life is made of. Not for what runs our own programs or tests: they
# would inherit the settings of the garbage collector.
set -euo pipefail

label=$1
shift
# Version control stamps fail in a checkout that belongs to another user.
export GOFLAGS="-buildvcs=false ${GOFLAGS:-}"

# What the compiler's garbage collector frees would be gone with the process a second later: without
# it a cold build takes a third less processor time. It needs about 1 GiB for each process, so where
# there is less, all stays as it is.
memory_kib() {
	local kib cgroup
	kib=$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null || true)
	# In a container /proc shows the machine's memory.
	cgroup=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || true)
	if [[ ${cgroup} =~ ^[0-9]+$ ]] && ((cgroup / 1024 < ${kib:-0})); then
		kib=$((cgroup / 1024))
	fi
	echo "${kib:-0}"
}
processes=$(getconf _NPROCESSORS_ONLN)
limit_mib=$(($(memory_kib) / 1024 / 2 / processes))
if ((limit_mib >= 1024)); then
	export GOGC=off GOMEMLIMIT="${limit_mib}MiB"
fi

progress() {
	local line packages=0 modules=0 last=0
	while IFS= read -r line; do
		# A line without a blank is the name of a package that is being compiled.
		if [[ ${line} =~ ^[A-Za-z0-9./_~-]+$ ]]; then
			packages=$((packages + 1))
		elif [[ ${line} == "go: downloading "* ]]; then
			modules=$((modules + 1))
		else
			echo "${line}"
			continue
		fi
		if ((SECONDS - last >= 15)); then
			last=${SECONDS}
			echo "${label}: ${packages} packages compiled$( ((modules == 0)) || echo ", ${modules} modules downloaded") after ${SECONDS} s"
		fi
	done
}
"$@" 2>&1 >/dev/null | progress >&2
if [[ -n ${STEP_TIMES:-} ]]; then
	echo "compile ${label// /-} ${SECONDS}" >>"${STEP_TIMES}"
fi
