#!/usr/bin/env bash
# Downloads the Go modules that the go.mod files of some folders name, and says how far it is. Where
# all are there it says nothing and takes a fraction of a second.
#
#   hack/download.sh DIRECTORY...
set -euo pipefail

if ! command -v go >/dev/null; then
	echo "download: go is not in PATH: install the release that go.mod names, or a later one" >&2
	exit 1
fi
export GOWORK=off
modules=$(go env GOMODCACHE 2>/dev/null || true)
builds=$(go env GOCACHE 2>/dev/null || true)
if [[ -z ${modules} || ${modules} != /* || -z ${builds} || ${builds} == off ]]; then
	echo "download: go has no folder for modules or for what it compiles: set HOME, or GOMODCACHE and GOCACHE" >&2
	exit 1
fi

# The folder of each required module in the cache, and what its archive is called there. Capital letters are
# written as ! and the small one.
wanted() {
	awk '
		function escaped(text,    i, c, out) {
			for (i = 1; i <= length(text); i++) {
				c = substr(text, i, 1)
				out = out (c ~ /[A-Z]/ ? "!" tolower(c) : c)
			}
			return out
		}
		{ sub(/\/\/.*/, "") }
		$1 == "require" || $1 == "replace" { $1 = ""; $0 = $0 }
		$2 == "=>" { path[$1] = $3; version[$1] = $4; next }
		$2 ~ /^v[0-9]/ { required[$1] = $2 }
		END {
			for (module in required) {
				p = escaped(module in path ? path[module] : module)
				v = escaped(module in path ? version[module] : required[module])
				# A replacement by a folder has no version, and is there.
				if (v != "") print p "@" v, "cache/download/" p "/@v/" v
			}
		}
	' "$1/go.mod"
}

# What is there has a folder, unless that was interrupted.
there() { [[ -d ${modules}/$1 && ! -e ${modules}/$2.partial ]]; }

# Means of what the modules of this repository take as archives and unpacked, in tenths of a MB.
archived=0 unpacked=0 compiling=
missing=() archives=() directories=()
for directory in "$@"; do
	before=${#missing[@]}
	while read -r folder archive; do
		if there "${folder}" "${archive}" || [[ " ${missing[*]-} " == *" ${folder} "* ]]; then
			continue
		fi
		missing+=("${folder}")
		archives+=("${archive}")
		if [[ ${folder} == k8s.io/kubernetes@* ]]; then
			compiling=yes
		fi
	done < <(wanted "${directory}")
	count=$((${#missing[@]} - before))
	if ((count > 0)); then
		directories+=("${directory}")
		case ${directory} in
		*/release) archived=$((archived + count * 19)) unpacked=$((unpacked + count * 40)) ;;
		*/tools) archived=$((archived + count * 3)) unpacked=$((unpacked + count * 16)) ;;
		*) archived=$((archived + count * 5)) unpacked=$((unpacked + count * 33)) ;;
		esac
	fi
done
if ((${#missing[@]} == 0)); then
	exit 0
fi

say() { echo "download: $*" >&2; }

processors=$(getconf _NPROCESSORS_ONLN)
say "${#missing[@]} Go modules, about $((archived / 10 + 1)) MB ($((unpacked / 10 + 1)) MB unpacked), into ${modules}"
if [[ -n ${compiling} ]]; then
	say "Kubernetes is among them: compiling it afterwards takes about $(((11 + processors - 1) / processors)) minutes and up to 8 GB in ${builds}, the first time"
fi

# How far it is, as "MODULES of ALL modules, N MB".
state() {
	local i count=0 files=()
	for i in "${!missing[@]}"; do
		if [[ -e ${modules}/${archives[i]}.zip ]]; then
			files+=("${modules}/${archives[i]}.zip")
		fi
		if there "${missing[i]}" "${archives[i]}"; then
			count=$((count + 1))
		fi
	done
	echo "${count} of ${#missing[@]} modules, $(du -k "${files[@]-/dev/null}" 2>/dev/null | awk '{ kib += $1 } END { print int(kib / 1000) }') MB after ${SECONDS} s"
}

fetch() {
	local directory
	for directory in "${directories[@]}"; do
		(cd "${directory}" && go mod download) || return
	done
}

progress() {
	local line status
	while true; do
		status=0
		IFS= read -r -t 10 line || status=$?
		if ((status > 128)); then
			say "$(state)"
		elif ((status > 0)); then
			break
		elif [[ ${line} != "go: downloading "* ]]; then
			echo "${line}" >&2
		fi
	done
}

if ! fetch 2>&1 | progress; then
	say "FAILED at $(state)"
	exit 1
fi
say "$(state)"
for i in "${!missing[@]}"; do
	if ! there "${missing[i]}" "${archives[i]}"; then
		say "go mod download succeeds, and yet ${missing[i]} is not in ${modules}"
		exit 1
	fi
done
if [[ -n ${STEP_TIMES:-} ]]; then
	echo "download modules ${SECONDS}" >>"${STEP_TIMES}"
fi
