package cli

import (
	"io"

	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

// AdviceOn is for tests.
func AdviceOn(r audit.Reason) (means, fix string) {
	a := adviceOn(r)
	return a.means, a.fix
}

// PrintPreflight is for tests.
func PrintPreflight(out io.Writer, results []preflight.Result) error {
	return printPreflight(out, results)
}

// PreflightStatus is for tests.
func PreflightStatus(results ...preflight.Result) int { return ExitStatus(preflightStatus(results)) }
