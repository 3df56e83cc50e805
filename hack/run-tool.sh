#!/usr/bin/env bash
# Runs a tool that hack/tools/go.mod pins, for go:generate lines, which know no $(...).
#
#   hack/run-tool.sh NAME ARGUMENTS...
set -euo pipefail

program=$("$(dirname "${BASH_SOURCE[0]}")/tools.sh" "$1")
shift
exec "${program}" "$@"
