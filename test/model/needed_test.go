package model

import "testing"

// A model in which nothing can go wrong proves nothing. Without each of these steps something has
// to go wrong, and the trace shows how.
func TestProtocolNeedsEachStep(t *testing.T) {
	t.Parallel()
	// One leader, which loses an answer.
	alone := func(pods ...pod) world {
		return world{pods: pods, leaders: 1, ids: 2, mishaps: 1, lostAnswers: true}
	}
	// Two leaders, of which the first never learns that the second has taken over.
	deposed := func(pods ...pod) world { return world{pods: pods, leaders: 2, ids: 2} }
	rebooted := func(pods ...pod) world {
		return world{pods: pods, leaders: 1, ids: 2, afterReboot: true, reboots: 2}
	}
	with := func(w world, change func(*world)) world {
		change(&w)
		return w
	}
	big := func(w world) world { return with(w, func(w *world) { w.big = true }) }
	for step, w := range map[omission]world{
		theFence:             alone(acmePod, unmanagedPod),
		theTermInTheToken:    deposed(acmePod, privileged),
		theIDInTheToken:      alone(acmePod, globexPod),
		theGuardOfTheTable:   deposed(acmePod, unmanagedPod),
		theTermSettle:        deposed(acmePod, privileged),
		theSettle:            alone(acmePod, unmanagedPod),
		theEntryBeforeList:   alone(acmePod, unmanagedPod),
		theListAtOpening:     alone(acmePod, unmanagedPod),
		theConsistentList:    alone(acmePod, unmanagedPod),
		theCatchUp:           big(deposed(acmePod, acmePod, privileged)),
		theRuleAtBind:        big(deposed(acmePod, acmePod, privileged)),
		theVerification:      deposed(acmePod, privileged),
		theListAtRelease:     alone(acmePod, unmanagedPod),
		theWaitForBinds:      alone(acmePod, unmanagedPod),
		theLookBack:          alone(acmePod, acmePod, unmanagedPod),
		theClosing:           alone(acmePod, unmanagedPod),
		theSettleOfClosing:   alone(acmePod, unmanagedPod),
		theReopening:         alone(acmePod, privileged),
		theNewID:             alone(acmePod, privileged),
		theWriteAfterUnknown: alone(acmePod, acmePod, unmanagedPod),
		theStayOfInherited:   with(deposed(acmePod, privileged, unmanagedPod), func(w *world) { w.mishaps, w.doubts, w.big = 1, true, true }),
		theListForMissing:    with(alone(acmePod, unmanagedPod), func(w *world) { w.deletions = true }),
		theNoteWhenEmpty:     rebooted(acmePod, globexPod),
		theFreshBoot:         rebooted(acmePod, globexPod),
		theForgottenNote:     rebooted(acmePod, acmePod, globexPod),
		theLimitOfCommits:    alone(acmePod, unmanagedPod),
		theRepair:            with(alone(acmePod), func(w *world) { w.leaders, w.crashes = 2, true }),
		theReleaseOfEmpty:    with(alone(acmePod), func(w *world) { w.leaders, w.crashes = 2, true }),
		theRebootItself:      rebooted(acmePod, globexPod),
	} {
		t.Run("without "+string(step), func(t *testing.T) {
			t.Parallel()
			w.nodes, w.without = 1, step
			liveness := step == theRepair || step == theReleaseOfEmpty
			r := w.mustExplore(t, liveness)
			switch {
			case r.trace != nil:
				t.Logf("%d states; two that may not share a kernel do:%s", r.states, story(r.trace))
			case r.stuck != nil:
				t.Logf("%d states; after this no tidy state can be reached:%s", r.states, story(r.stuck))
			default:
				t.Errorf("nothing goes wrong in %d states", r.states)
			}
		})
	}
}
