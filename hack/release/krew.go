package main

import (
	"fmt"
	"strings"
)

// krew returns the manifest of the plugin for krew's index.
func (r *release) krew(archives []packed) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: isolation
spec:
  version: %s
  homepage: https://tenantisolation.dev
  shortDescription: See which tenants' pods share a kernel
  description: |
    Reads a cluster, or files with its objects, and lists every pair of pods that
    shares a kernel against the rule: same trust domain may, different trust domains
    each bring their own kernel or another machine. Explains where a pod may go and
    why, what enforcing the rule costs in nodes, whether the cluster is ready for it,
    and writes a report for an auditor. It changes nothing, and needs nothing
    installed in the cluster.
  platforms:
`, r.version)
	for _, a := range archives {
		fmt.Fprintf(&b, `  - selector:
      matchLabels:
        os: %s
        arch: %s
    uri: https://tenantisolation.dev/releases/%s/%s
    sha256: %s
    bin: %s
    files:
    - from: %s
      to: .
    - from: LICENSE
      to: .
`, a.os, a.arch, r.version, a.file, a.sum, a.binary, a.binary)
	}
	return b.String()
}
