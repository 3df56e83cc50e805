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
	file, ok := raw(w).(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// colour colours words, on a terminal only and not if NO_COLOR is set.
type colour struct{ on bool }

func newColour(w io.Writer) colour {
	return colour{on: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// colourCodes are the codes of a terminal, in the order of their digits; the first ends a colour.
var colourCodes = [...]string{"0", "1", "31", "32", "33"}

// paint puts marks around a text, which printable replaces by codes.
func (c colour) paint(code byte, text string) string {
	if !c.on {
		return text
	}
	return string([]byte{mark, code}) + text + string([]byte{mark, '0'})
}

func (c colour) bold(text string) string { return c.paint('1', text) }
func (c colour) bad(text string) string  { return c.paint('2', text) }
func (c colour) good(text string) string { return c.paint('3', text) }
func (c colour) warn(text string) string { return c.paint('4', text) }

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
	return &progress{out: raw(out), on: isTerminal(out), next: now().Add(progressEvery)}
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
