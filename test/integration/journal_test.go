package integration

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// journal is what a scheduler has logged since the journal was opened. The log has
// every attempt at a pod and of every move between the queues, pod by pod, which no metric
// does; a test of its own shows that it is complete.
type journal struct {
	file    *os.File
	partial []byte
	entries []entry
	lines   []string
}

type entry struct {
	message string
	// fields has the fields whose values are quoted strings.
	fields map[string]string
}

var (
	logLine  = regexp.MustCompile(`^[IWEF]\d{4} [0-9:.]+ +\d+ [^ \]]+\] "([^"]*)"(.*)$`)
	logField = regexp.MustCompile(` (\w+)="([^"]*)"`)
)

const (
	attemptMessage    = "Attempting to schedule pod"
	moveMessage       = "Entity moved to an internal scheduling queue"
	parkedMessage     = "Pod moved to an internal scheduling queue" // after an attempt that failed
	nodeAddMessage    = "Add event for node"
	nodeUpdateMessage = "Update event for node"
	nodeGoneMessage   = "Delete event for node"
)

func newJournal(t *testing.T, path string) *journal {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &journal{file: file}
}

// read reads what has been logged since.
func (j *journal) read() {
	var fresh bytes.Buffer
	// An error shows as lines that never come.
	_, _ = fresh.ReadFrom(j.file)
	text := append(j.partial, fresh.Bytes()...)
	end := bytes.LastIndexByte(text, '\n') + 1
	j.partial = slices.Clone(text[end:])
	for line := range strings.Lines(string(text[:end])) {
		line = strings.TrimSuffix(line, "\n")
		j.lines = append(j.lines, line)
		parts := logLine.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		e := entry{message: parts[1], fields: map[string]string{}}
		for _, field := range logField.FindAllStringSubmatch(parts[2], -1) {
			e.fields[field[1]] = field[2]
		}
		j.entries = append(j.entries, e)
	}
}

func (j *journal) count(message, field, value string) int {
	j.read()
	n := 0
	for i := range j.entries {
		if e := &j.entries[i]; e.message == message && e.fields[field] == value {
			n++
		}
	}
	return n
}

func (j *journal) added(node string) bool { return j.count(nodeAddMessage, "node", node) > 0 }

// attempts counts how often the scheduler has tried to place a pod.
func (j *journal) attempts(pod string) int { return j.count(attemptMessage, "pod", pod) }

// allAttempts counts the attempts at all pods.
func (j *journal) allAttempts() int {
	j.read()
	n := 0
	for i := range j.entries {
		if j.entries[i].message == attemptMessage {
			n++
		}
	}
	return n
}

// wakes lists the events that took a pod out of the pool of those that wait for a change.
func (j *journal) wakes(pod string) []string {
	j.read()
	var events []string
	for i := range j.entries {
		e := &j.entries[i]
		if e.message != moveMessage || e.fields["entity"] != pod {
			continue
		}
		switch e.fields["event"] {
		case "UnscheduledPodAdd", "BackoffComplete":
			// It is new, or it had been woken before.
			continue
		}
		events = append(events, e.fields["event"])
	}
	return events
}

func (j *journal) forgot(nodes []string) bool {
	for _, node := range nodes {
		if j.count(nodeGoneMessage, "node", node) < j.count(nodeAddMessage, "node", node) {
			return false
		}
	}
	return true
}

func (j *journal) tail(lines int) string {
	j.read()
	return strings.Join(j.lines[max(0, len(j.lines)-lines):], "\n")
}
