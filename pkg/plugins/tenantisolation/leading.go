package tenantisolation

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// lookForLead is how often a process looks whether it leads.
const lookForLead = 2 * time.Second

// awaitLead tells the dedication engine that this process leads, even if no pod is pending: the
// dedicated nodes that another process left behind have to be released all the same.
//
// The framework does not tell its plugins who leads. The first scheduling cycle shows it, and
// so does the election. That there is none cannot be told for sure, and a process that
// took over by mistake would end the one that leads: so without one, the first cycle alone
// tells.
func (pl *Plugin) awaitLead(ctx context.Context) {
	// It ends with ctx only, and then nobody is to be told.
	_ = wait.PollUntilContextCancel(ctx, lookForLead, false, func(context.Context) (bool, error) {
		if !pl.synced() || !pl.election.Leads() {
			return pl.dedicated.engine.Ready(), nil
		}
		pl.dedicated.engine.Lead()
		return true, nil
	})
}
