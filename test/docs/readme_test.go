package docs

import (
	"strings"
	"testing"
)

// proof says what runs a command: a test, or a target of the Makefile that CI runs.
type proof struct {
	test   string
	target string
}

// commands are those of the README and what runs each of them. A command that is not here
// is a promise that nobody keeps.
var commands = map[string]proof{
	"make demo":                      {target: "demo"},
	"make test":                      {target: "test"},
	"make simulate":                  {test: "TestSimulateDemo"},
	"make demo AUTOSCALER=karpenter": {test: "TestDemoWithKarpenter"},
	"kubectl isolation audit --tenant-key=namespace":                                {test: "TestKubectlPlugin"},
	"kubectl isolation plan --tenant-key=namespace":                                 {test: "TestKubectlPlugin"},
	"kubectl apply -k manifests/crds":                                               {test: "TestManifestsApplyTwice"},
	"kubectl apply -k manifests/overlays/default":                                   {test: "TestManifestsApplyTwice"},
	"helm install tenant-isolation charts/tenant-isolation --namespace kube-system": {test: "TestChartTakesOver"},
}

func TestCommandsOfTheReadmeAreRun(t *testing.T) {
	known := tests(t)
	targets := makeTargets(t)
	ci := readPage(t, ".ci/run").text
	unused := map[string]bool{}
	for command, by := range commands {
		unused[command] = true
		if by.test != "" && len(known[by.test]) == 0 {
			t.Errorf("%q is said to be run by %s, which does not exist", command, by.test)
		}
		if by.target != "" && (!strings.Contains(ci, "\nstep make "+by.target+"\n") || !targets[by.target]) {
			t.Errorf("%q is said to be run by CI as target %s, and is not", command, by.target)
		}
		if target, ok := strings.CutPrefix(command, "make "); ok && !targets[strings.Fields(target)[0]] {
			t.Errorf("%q: the Makefile has no such target", command)
		}
	}
	for _, f := range readPage(t, "README.md").fences(t) {
		if f.language != "sh" {
			continue
		}
		for line := range strings.Lines(f.text) {
			command, _, _ := strings.Cut(line, "#")
			command = strings.TrimSpace(command)
			if command == "" {
				continue
			}
			if _, ok := commands[command]; !ok {
				t.Errorf("README.md: nothing is known to run %q", command)
			}
			delete(unused, command)
		}
	}
	for command := range unused {
		t.Errorf("%q is not in the README: take it out of the table", command)
	}
}

// The rule is quoted wherever somebody may meet it first, and nowhere in other words.
func TestRuleIsQuotedExactly(t *testing.T) {
	for path, prefix := range map[string]string{
		"README.md":            "> ",
		"docs/concepts.md":     "> ",
		"pkg/isolation/doc.go": "//\t",
	} {
		lines := strings.Split(readPage(t, path).text, "\n")
		found := false
		for i, line := range lines {
			found = found || (i > 0 &&
				strings.TrimRight(lines[i-1], " \\") == prefix+"Same trust domain: may share a kernel." &&
				line == prefix+"Different trust domain: each brings its own kernel, or another machine.")
		}
		if !found {
			t.Errorf("%s does not quote the rule", path)
		}
	}
}

func TestMakeTargetsInTheDocsExist(t *testing.T) {
	targets := makeTargets(t)
	for _, p := range pages(t) {
		for _, match := range makeCommand.FindAllStringSubmatch(p.text, -1) {
			for word := range strings.FieldsSeq(match[1]) {
				if !strings.Contains(word, "=") && !targets[word] {
					t.Errorf("%s: `make %s`: there is no target %s", p.path, match[1], word)
				}
			}
		}
	}
}
