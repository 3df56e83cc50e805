package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// isTerminal reports whether the output is a terminal.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// colour colours words, on a terminal only and not if NO_COLOR is set.
type colour struct{ on bool }

func newColour(w io.Writer) colour {
	return colour{on: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (c colour) paint(code, text string) string {
	if !c.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (c colour) bad(text string) string  { return c.paint("31", text) }
func (c colour) warn(text string) string { return c.paint("33", text) }
func (c colour) good(text string) string { return c.paint("32", text) }
func (c colour) bold(text string) string { return c.paint("1", text) }

// progress shows a line of progress, on a terminal only and from the first second on.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	on    bool
	next  time.Time
	shown bool
}

// progressEvery is how often a line of progress changes.
const progressEvery = time.Second

func newProgress(out io.Writer) *progress {
	return &progress{out: out, on: isTerminal(out), next: now().Add(progressEvery)}
}

// now is only for the progress line and the time of a report.
func now() time.Time { return time.Now() } //nolint:forbidigo // how often a terminal is written to

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on || now().Before(p.next) {
		return
	}
	p.next, p.shown = now().Add(progressEvery), true
	fmt.Fprintf(p.out, "\r\x1b[K"+format+" ...", args...)
}

// done removes the line.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}
