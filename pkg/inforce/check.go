package inforce

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// The canary is a request that no one makes but the leader, and that never takes effect. Two admission
// policies answer it by their parameter: one refuses another nonce than the parameter's, the other
// writes the parameter's onto the object. They are called tenant-isolation-witness, and come last by name.
const (
	canaryName       = "tenant-isolation-canary"
	canaryAnnotation = "tenantisolation.dev/canary"
	seenAnnotation   = "tenantisolation.dev/canary-seen"
	// nonceKey is where the parameter has the nonce.
	nonceKey = "nonce"
	// seenWithin is how long the API server may take to see a parameter.
	seenWithin = 3 * time.Second
	askAgain   = 50 * time.Millisecond
)

// notEnforced is why the admission policies are not known to be enforced: a reason and a message of the
// condition.
type notEnforced struct{ reason, message string }

// reasonObserving: nothing is to be enforced.
const reasonObserving = "Observing"

func unknown(err error) *notEnforced { return &notEnforced{"Unknown", err.Error()} }

// staleParameter says what to do: the API server follows a kind of parameter no more once no binding has
// used it for a second, and goes on answering by what it had (kubernetes/kubernetes#130887).
func staleParameter() *notEnforced {
	return &notEnforced{"StaleParameter", "the API server answers by an old parameter: restart kube-apiserver, on every host of the control plane"}
}

func newNonce() string { return strings.ToLower(rand.Text()) }

// check returns what is not enforced, nil if everything is.
func (l *Leader) check(ctx context.Context, object *v1alpha1.IsolationPolicy, inForce *v1alpha1.InForce) *notEnforced {
	if inForce.Spec.Enforcement == v1alpha1.EnforcementAudit {
		return &notEnforced{reasonObserving, "enforcement is Audit: what breaks the rule is reported, and nothing is refused"}
	}
	differences, err := l.Controls.Differences(ctx, inForce)
	if err != nil {
		return unknown(err)
	}
	stale := l.ask(ctx, object, inForce)
	if len(differences) > 0 {
		const shown = 5
		more := ""
		if len(differences) > shown {
			more = fmt.Sprintf(" (and %d more)", len(differences)-shown)
			differences = differences[:shown]
		}
		return &notEnforced{"Changed", strings.Join(differences, "; ") + more}
	}
	return stale
}

// ask asks the API server whether it answers by the newest parameter: after a change of a policy, a binding
// or the parameter, and every minute.
func (l *Leader) ask(ctx context.Context, object *v1alpha1.IsolationPolicy, inForce *v1alpha1.InForce) *notEnforced {
	if doubted := l.doubted.Swap(false); !doubted && l.stale == nil && l.seenNonce == l.nonce && l.Clock.Since(l.seen) < askEvery {
		return nil
	}
	if l.seenNonce == l.nonce {
		// Only an answer by a parameter that did not exist before proves anything.
		l.nonce = ""
		if err := l.writeParameter(ctx, object, inForce); err != nil {
			l.doubted.Store(true)
			return unknown(err)
		}
	}
	l.stale = l.canary(ctx)
	if l.stale == nil {
		l.seen, l.seenNonce = l.Clock.Now(), l.nonce
	} else {
		l.doubted.Store(true)
	}
	l.trust.Lock()
	defer l.trust.Unlock()
	// A change that came while the question was asked may have made the answer worthless.
	l.SetBlind(l.stale != nil || l.doubted.Load())
	return l.stale
}

// canary sends the request until it is answered by the newest parameter, or for long enough.
func (l *Leader) canary(ctx context.Context) *notEnforced {
	var last *notEnforced
	// A try does not end with the time: its answer would be about that.
	_ = wait.PollUntilContextTimeout(ctx, askAgain, seenWithin, true, func(context.Context) (bool, error) {
		last = l.askOnce(ctx)
		return last == nil, nil
	})
	return last
}

func (l *Leader) askOnce(ctx context.Context) *notEnforced {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": v1alpha1.Kind.Kind,
		"metadata": map[string]any{"name": canaryName, "annotations": map[string]any{canaryAnnotation: l.nonce}},
	}}
	got, err := l.Dynamic.Resource(v1alpha1.Resource).Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
		return staleParameter()
	case err != nil:
		return unknown(fmt.Errorf("asking the API server which parameter it sees: %w", err))
	case got.GetAnnotations()[seenAnnotation] != l.nonce:
		return staleParameter()
	}
	return nil
}
