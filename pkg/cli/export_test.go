package cli

import "tenantisolation.dev/scheduler/pkg/audit"

// AdviceOn is for tests.
func AdviceOn(r audit.Reason) (means, fix string) {
	a := adviceOn(r)
	return a.means, a.fix
}
