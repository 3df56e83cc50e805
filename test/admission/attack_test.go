package admission

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// phase is the state of the policies during an attack.
type phase string

const (
	open     phase = "open"     // nothing
	watched  phase = "watched"  // manifests/overlays/audit
	enforced phase = "enforced" // manifests/overlays/default
)

// attack is one way around the isolation.
type attack struct {
	// name is a sentence, unique within its threat.
	name string
	// run prepares a scene by requests that are always allowed, makes the attack and returns the
	// error of the step that decides it.
	run func(s *scene) error
	// names are what the refusal has to name: the label or field, at least.
	names []string
	// undone attacks are not refused: the request passes and does not do what it was for.
	undone bool
	// dedication makes an attack on dedicated nodes, which manifests/overlays/audit has switched
	// off: there are no warnings.
	dedication bool
	// indirect attacks are carried out by a controller, which alone gets the warnings.
	indirect bool
}

// threat is a threat of the threat model, with the name of its test.
type threat struct {
	test    string
	attacks []attack
}

// errUndone is the result of an attack whose request passed and had no effect.
var errUndone = errors.New("it had no effect")

// outcome is the result of an attack.
type outcome struct {
	err      error
	warnings []string
	// broken is why the attack could not be made at all.
	broken error
}

// attackAll makes all attacks, several at once: each has namespaces of its own.
func (w *environment) attackAll(ctx context.Context, p phase) map[string]outcome {
	const atOnce = 8
	var (
		mu       sync.Mutex
		all      sync.WaitGroup
		outcomes = map[string]outcome{}
		free     = make(chan struct{}, atOnce)
	)
	for _, threat := range threats() {
		for _, a := range threat.attacks {
			free <- struct{}{}
			all.Go(func() {
				defer func() { <-free }()
				o := w.attack(ctx, p, a)
				mu.Lock()
				defer mu.Unlock()
				outcomes[threat.test+"/"+a.name] = o
			})
		}
	}
	all.Wait()
	return outcomes
}

func (w *environment) attack(ctx context.Context, p phase, a attack) (o outcome) {
	s := &scene{environment: w, ctx: ctx, phase: p, warned: &warnings{}}
	defer func() {
		switch broken := recover().(type) {
		case nil:
		case brokenScene:
			o.broken = broken.why
		default:
			panic(broken)
		}
	}()
	o.err = a.run(s)
	o.warnings = s.warned.take()
	return o
}

// face checks the outcomes of a threat's attacks.
func face(t *testing.T) {
	t.Helper()
	w := getEnvironment(t)
	for _, threat := range threats() {
		if threat.test != t.Name() {
			continue
		}
		for _, a := range threat.attacks {
			t.Run(a.name, func(t *testing.T) {
				key := threat.test + "/" + a.name
				expectSuccess(t, open, w.outcomes[open][key])
				expectWatched(t, a, w.outcomes[watched][key])
				expectRefusal(t, a, w.outcomes[enforced][key])
			})
		}
		return
	}
	t.Fatalf("threats() does not list %s", t.Name())
}

func expectSuccess(t *testing.T, p phase, o outcome) {
	t.Helper()
	if o.broken != nil {
		t.Errorf("%s: the attack could not be made: %v", p, o.broken)
	}
	if o.err != nil {
		t.Errorf("%s: the attack fails by itself, so its refusal proves nothing: %v", p, o.err)
	}
}

func expectWatched(t *testing.T, a attack, o outcome) {
	t.Helper()
	expectSuccess(t, watched, o)
	if a.undone || a.indirect || a.dedication {
		return
	}
	for _, warning := range o.warnings {
		if helps(warning, a.names) == nil {
			return
		}
	}
	t.Errorf("%s: the attacker gets %q, want a warning that names %q", watched, o.warnings, a.names)
}

func expectRefusal(t *testing.T, a attack, o outcome) {
	t.Helper()
	switch {
	case o.broken != nil:
		t.Errorf("%s: the attack could not be made: %v", enforced, o.broken)
	case o.err == nil:
		t.Errorf("%s: the attack succeeds", enforced)
	case a.undone:
		if !errors.Is(o.err, errUndone) {
			t.Errorf("%s: %v, want it accepted and without effect", enforced, o.err)
		}
	default:
		if err := helps(o.err.Error(), a.names); err != nil {
			t.Errorf("%s: %v", enforced, err)
		}
	}
}

// remedy is a word that says what the reader can do.
var remedy = regexp.MustCompile(`(?i)\b(remove|ask|set|use|leave|name|choose|delete|create|add|drop|give|write|let|keep|wait|make|put)\b`)

// helps returns an error if a refusal is not by a policy, or does not say what is wrong and what to
// do about it.
func helps(message string, names []string) error {
	_, text, ours := strings.Cut(message, "ValidatingAdmissionPolicy '")
	if !ours {
		return fmt.Errorf("no policy says this: %s", message)
	}
	if _, sentence, ok := strings.Cut(text, "denied request: "); ok {
		text = sentence
	} else if _, sentence, ok := strings.Cut(text, "with binding "); ok {
		_, text, _ = strings.Cut(sentence, ": ")
	}
	for _, name := range names {
		if !strings.Contains(text, name) {
			return fmt.Errorf("the refusal does not name %q: %s", name, message)
		}
	}
	if !remedy.MatchString(text) {
		return fmt.Errorf("the refusal does not say what to do: %s", message)
	}
	return nil
}
