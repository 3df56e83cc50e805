package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Controller is the reporting controller of the audit's Events.
const Controller = "tenantisolation.dev/audit"

// EndedReason is the reason of the Event about the end of a finding. Events about a finding that
// lasts have the finding's reason.
const EndedReason = "FindingEnded"

const (
	// retryAfter is when an Event that could not be sent is tried again.
	retryAfter = 10 * time.Second
	// namesShown limits the pods that an Event names for each party, and partiesShown the
	// parties. All of them are in the report.
	namesShown, partiesShown = 3, 4
	// noteLimit is the length of an Event's note that the API server accepts, in bytes.
	noteLimit = 1024
)

// sendEvents sends the Events that are due, worst finding first, within the rate limit.
func (a *Auditor) sendEvents(ctx context.Context) {
	for _, s := range a.dueEvents() {
		if ctx.Err() != nil {
			return
		}
		if !a.events.TryAccept() {
			return
		}
		event := a.event(&s)
		err := a.send(ctx, event, s.sentCount)
		a.metrics.countEvent(err)
		if err != nil {
			a.logger.Error(err, "An Event about a finding could not be sent", "reason", s.Reason, "node", s.Node, "volume", s.Volume)
		}
		a.recordSent(&s, err)
	}
}

// dueEvents returns copies of the findings for which an Event is due.
func (a *Auditor) dueEvents() []trackedFinding {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	var due []trackedFinding
	for _, s := range a.tracked {
		if s.due(now) {
			due = append(due, *s)
		}
	}
	worse := worseFirst()
	slices.SortFunc(due, func(x, y trackedFinding) int { return worse(x.Finding, y.Finding) })
	return due
}

func (a *Auditor) recordSent(sent *trackedFinding, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.tracked[sent.Key]
	if s == nil {
		return
	}
	if err != nil {
		s.failedAt = a.clock.Now()
		return
	}
	if sent.ended {
		if s.ended {
			delete(a.tracked, sent.Key)
			return
		}
		// The finding has begun again since.
		*s = trackedFinding{Finding: s.Finding, began: a.clock.Now()}
		return
	}
	if s.sentLast.UID != sent.Last.UID {
		s.sentCount = 0
	}
	s.sentAt, s.sentLast, s.sentCount = a.clock.Now(), sent.Last, s.sentCount+1
}

// event returns the Event of a finding. Its name is a hash of its content, so that a new leader does
// not send a second one.
func (a *Auditor) event(s *trackedFinding) *eventsv1.Event {
	now := metav1.NewMicroTime(a.clock.Now())
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.cfg.Namespace},
		EventTime:  now,
		// The Deployment, not the pods: a tenant may read the Events of its pods, and would read
		// here who its neighbours are.
		Regarding:           v1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: a.cfg.Namespace, Name: a.cfg.Deployment},
		ReportingController: Controller,
		ReportingInstance:   a.cfg.Instance,
		Type:                v1.EventTypeWarning,
		Reason:              string(s.Reason),
		Action:              "Audit",
		Note:                note(&s.Finding),
	}
	if s.Node != "" {
		event.Related = &v1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: s.Node}
	}
	what := s.Last
	if s.ended {
		event.Type, event.Reason, what = v1.EventTypeNormal, EndedReason, s.sentLast
		event.Note = shorten(fmt.Sprintf("%s: ended", heading(s.Key)))
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{event.Reason, string(s.Reason), s.Node, s.Volume, string(what.UID)}, "\x00")))
	event.Name = a.cfg.Deployment + "." + hex.EncodeToString(sum[:8])
	return event
}

// send creates the Event or, if it exists, extends its series.
func (a *Auditor) send(ctx context.Context, event *eventsv1.Event, times int32) error {
	client := a.client.EventsV1().Events(event.Namespace)
	_, err := client.Create(ctx, event, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	patch, err := json.Marshal(map[string]any{"series": eventsv1.EventSeries{Count: max(times, 1) + 1, LastObservedTime: event.EventTime}})
	if err != nil {
		return err
	}
	_, err = client.Patch(ctx, event.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	return err
}

func heading(k Key) string {
	switch {
	case k.Volume == "":
		return fmt.Sprintf("node %s: %s", k.Node, k.Reason)
	case k.Node == "":
		return fmt.Sprintf("volume %s: %s", k.Volume, k.Reason)
	}
	return fmt.Sprintf("directory %s of node %s: %s", k.Volume, k.Node, k.Reason)
}

// String says what breaks the rule, in a sentence or two.
func (f *Finding) String() string { return note(f) }

// note returns the text of an Event: what breaks the rule, in at most noteLimit bytes.
func note(f *Finding) string {
	var b strings.Builder
	b.WriteString(heading(f.Key))
	if f.Pairs > 0 {
		fmt.Fprintf(&b, ", %d pair(s) of pods", f.Pairs)
	}
	fmt.Fprintf(&b, ", last to come: %s", f.Last)
	for i, party := range f.Parties {
		if i == partiesShown {
			fmt.Fprintf(&b, "; and %d more trust domain(s)", len(f.Parties)-i)
			break
		}
		names := make([]string, 0, namesShown)
		for _, p := range party.Pods[:min(namesShown, len(party.Pods))] {
			names = append(names, p.String())
		}
		fmt.Fprintf(&b, "; %s (%s)", strings.Join(names, ", "), party.Subject)
		if more := len(party.Pods) - namesShown; more > 0 {
			fmt.Fprintf(&b, " and %d more", more)
		}
	}
	return shorten(b.String())
}

func shorten(s string) string {
	if len(s) <= noteLimit {
		return s
	}
	// Names and labels are ASCII; the name of a directory may not be.
	return strings.ToValidUTF8(s[:noteLimit-len("...")], "") + "..."
}
