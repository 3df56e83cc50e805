package isolation

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tenantisolation.dev/scheduler/internal/goldentest"
)

// TestGolden answers the questions in testdata/*.txt. testdata/README.md explains
// the format.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			answered, err := answerGolden(string(text))
			if err != nil {
				t.Fatalf("%s:%v", file, err)
			}
			goldentest.Check(t, file, answered)
		})
	}
}

// golden is what the lines of a file have defined so far.
type golden struct {
	config     Config
	policy     *Policy
	namespaces map[string]*Namespace
	pods       map[string]Pod
	nodes      map[string]Node
	unused     map[string]bool
}

// answerGolden returns the text with the right answers in it, or an error that
// begins with the line at fault.
func answerGolden(text string) (string, error) {
	g := golden{
		namespaces: map[string]*Namespace{}, pods: map[string]Pod{}, nodes: map[string]Node{}, unused: map[string]bool{},
	}
	if err := g.setPolicy(command{}); err != nil {
		return "", err
	}
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "# ") || line == "#" {
			continue
		}
		fail := func(err error) (string, error) { return "", fmt.Errorf("%d: %w\n\t%s", i+1, err, line) }
		c, err := parseCommand(line)
		if err != nil {
			return fail(err)
		}
		answer, err := g.run(c)
		if err == nil {
			err = c.leftover()
		}
		asked := i+1 < len(lines) && lines[i+1] == "----"
		switch {
		case err != nil:
			return fail(err)
		case answer == "" && asked:
			return fail(errors.New("a definition has no answer"))
		case answer == "":
			continue
		case !asked:
			return fail(errors.New("a question is followed by ---- and its answer"))
		}
		out.WriteString("----\n" + answer + "\n")
		for i++; i+1 < len(lines) && lines[i+1] != ""; {
			i++
		}
	}
	if len(g.unused) > 0 {
		return "", fmt.Errorf("%d: never asked about: %s", len(lines), strings.Join(slices.Sorted(maps.Keys(g.unused)), ", "))
	}
	return out.String(), nil
}

func (g *golden) run(c command) (string, error) {
	switch c.name {
	case "policy":
		return "", g.setPolicy(c)
	case "namespace":
		return "", g.addNamespace(c)
	case "pod":
		return "", g.addPod(c)
	case "node":
		return "", g.addNode(c)
	case "resolve":
		return g.resolve(c)
	case "decide":
		return g.decide(c)
	case "opens":
		return g.opens(c)
	case "labels":
		return g.labels(c)
	case "sentences":
		return sentences(), nil
	}
	return "", fmt.Errorf("unknown directive %q", c.name)
}

func sentences() string {
	var lines []string
	for _, r := range Reasons() {
		if !r.Admits() {
			lines = append(lines, fmt.Sprintf("%s: %s", r, r.Sentence()))
		}
	}
	return strings.Join(lines, "\n")
}

// resolve POD
func (g *golden) resolve(c command) (string, error) {
	pod, err := g.pod(c.word())
	if err != nil {
		return "", err
	}
	s := g.policy.Resolve(pod)
	lines := []string{s.String()}
	if access := s.HostAccess(); access != 0 {
		lines = append(lines, "reaches the host by "+access.String())
	}
	if s.Open() {
		lines = append(lines, "open to other trust domains behind the same boundary")
	}
	if r, denied := s.Denied(); denied {
		lines = append(lines, "denied everywhere: "+r.String())
	}
	return strings.Join(lines, "\n"), nil
}

// opens POD
func (g *golden) opens(c command) (string, error) {
	pod, err := g.pod(c.word())
	if err != nil {
		return "", err
	}
	s := g.policy.Resolve(pod)
	opened, _ := g.policy.OpenedNodeLabels(&s)
	own, _ := g.policy.NodeLabels(&s)
	if opened == own {
		return opened.String(), nil
	}
	return fmt.Sprintf("%s\nmay join %s", opened, own), nil
}

// labels [beside=(POD...)] [dedicated=(KEY=VALUE...)] [last=VALUE,VALUE,VALUE,VALUE]
func (g *golden) labels(c command) (string, error) {
	var on []Resident
	for i, name := range c.list("beside") {
		pod, err := g.pod(name)
		if err != nil {
			return "", err
		}
		on = append(on, Resident{UID: uid(i), Subject: g.policy.Resolve(pod)})
	}
	dedication, _ := dedicated(g.policy, c.pairs("dedicated"))
	occupancy := NewOccupancy(on)
	var last NodeLabels
	if values, ok := c.value("last"); ok && copy(last[:], strings.Split(values, ",")) != len(last) {
		return "", fmt.Errorf("%s: want one value for each axis", values)
	}
	var lines []string
	for _, labels := range g.policy.OccupiedNodeLabels(dedication, &occupancy, last) {
		lines = append(lines, labels.String())
	}
	return strings.Join(append(lines, NodeLabels{}.String()), "\n"), nil
}

// question reads "POD [beside=(POD...)] [on=NODE]".
func (g *golden) question(c command) (incoming Pod, residents []Pod, node Node, err error) {
	if incoming, err = g.pod(c.word()); err != nil {
		return incoming, nil, node, err
	}
	for _, name := range c.list("beside") {
		pod, err := g.pod(name)
		if err != nil {
			return incoming, nil, node, err
		}
		residents = append(residents, pod)
	}
	if name, ok := c.value("on"); ok {
		if node, ok = g.nodes[name]; !ok {
			return incoming, nil, node, fmt.Errorf("unknown node %q", name)
		}
		delete(g.unused, "node "+name)
	}
	return incoming, residents, node, nil
}

// decide POD [beside=(POD...)] [on=NODE] [dedicated=(KEY=VALUE...)] [charged=(TENANT...)] [confined] [for-vms] [avoids]
//
// The answer must be that of the oracle too, and that of the residents in any
// other order.
func (g *golden) decide(c command) (string, error) {
	incoming, pods, node, err := g.question(c)
	if err != nil {
		return "", err
	}
	taints := c.pairs("dedicated")
	subject := g.policy.Resolve(incoming)
	on := machine{handlers: node.Handlers, taints: taints, charged: c.list("charged"), confined: c.flag("confined"), vmCapable: c.flag("for-vms"), avoids: c.flag("avoids")}
	node.Dedication, node.Dedicated = dedicated(g.policy, taints)
	node.Charged, node.VMCapable = on.charged, on.vmCapable
	if on.confined {
		subject = subject.Confined()
	}
	if on.avoids {
		subject = subject.AvoidingVMNodes()
	}
	var backwards Occupancy
	var all []Resident
	for i, pod := range pods {
		r := Resident{UID: uid(i), Subject: g.policy.Resolve(pod)}
		all = append(all, r)
		backwards = backwards.With(Resident{UID: uid(len(pods) - i), Subject: r.Subject})
	}
	node.Occupancy = NewOccupancy(all)
	v := Decide(&subject, &node)

	again := node
	again.Occupancy = backwards
	if w := Decide(&subject, &again); w != v {
		return "", fmt.Errorf("the order of the residents matters: %+v and %+v", v, w)
	}
	want := oracle{g.config}.decide(incoming, pods, on)
	if v.Allowed() != want.allow || !want.reasons[v.Reason()] {
		return "", fmt.Errorf("core says %s, oracle %v", v.Reason(), want.reasons)
	}
	answer := "deny " + v.Reason().String()
	if v.Allowed() {
		answer = "admit " + v.Reason().String()
	}
	if g.policy.MayEvict(v) {
		answer += ", may evict"
	}
	return answer, nil
}
