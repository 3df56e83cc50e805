package cli_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"tenantisolation.dev/scheduler/pkg/cli"
	"tenantisolation.dev/scheduler/pkg/cli/preflight"
)

// Lines fit a terminal of 80 columns, but for a word that is longer alone. A command can be copied.
func TestPreflightFits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		return strings.Repeat("ö", 1+random.IntN(12)) + strings.Repeat("x", random.IntN(4)*random.IntN(40))
	}
	words := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = word()
		}
		return strings.Join(all, " ")
	}
	for range 200 {
		patch := `--patch='it'\''s ` + words(6) + "'"
		result := preflight.Result{
			Check: "runtime handlers", Status: preflight.Warn, Says: words(1 + random.IntN(40)), Fix: words(1 + random.IntN(30)),
			Run: []string{"helm " + words(1+random.IntN(20)), "kubectl " + words(3) + " " + patch + " -n x", "kubectl version"},
		}
		var out bytes.Buffer
		if err := cli.PrintPreflight(&out, []preflight.Result{result, result}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if strings.Contains(line, patch) {
				// What is in quotes is one word.
				continue
			}
			if utf8.RuneCountInString(line) > 80 && len(strings.Fields(strings.TrimSuffix(line, " \\"))) > 1 {
				t.Fatalf("%d columns: %s", utf8.RuneCountInString(line), line)
			}
		}
		if !strings.Contains(out.String(), patch) {
			t.Fatalf("a quoted word is broken:\n%s", out.String())
		}
		pasted := regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(out.String(), " ")
		for _, command := range result.Run {
			if !strings.Contains(pasted, "       "+command+"\n") {
				t.Fatalf("%q cannot be copied from\n%s", command, out.String())
			}
		}
		if got := strings.Count(unfolded(out.String()), "Fix: as above."); got != 1 {
			t.Fatalf("the same fix is printed again:\n%s", out.String())
		}
	}
}

// Every command of this tool that a text of the tool names is there, with its flags.
func TestAdviceNamesRealCommands(t *testing.T) {
	root := cli.NewCommand(genericiooptions.IOStreams{Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}})
	named := 0
	for _, text := range literals(t) {
		for _, found := range regexp.MustCompile("kubectl isolation [a-z][^|`&;\\n]*").FindAllString(text, -1) {
			words := strings.Fields(strings.TrimPrefix(found, "kubectl isolation "))
			command, rest, err := root.Find(words)
			if err != nil || command == root {
				t.Errorf("there is no command %q in %q", words[0], text)
				continue
			}
			named++
			for _, word := range rest {
				if !hasFlag(command, word) {
					t.Errorf("%q has no flag %s, which %q names", command.Name(), word, text)
				}
			}
		}
	}
	if named < 10 {
		t.Fatalf("only %d commands were found", named)
	}
}

func hasFlag(command *cobra.Command, word string) bool {
	flag, _, _ := strings.Cut(word, "=")
	switch {
	case strings.HasPrefix(flag, "--"):
		return command.Flag(flag[2:]) != nil
	case len(flag) == 2 && flag[0] == '-':
		return command.Flags().ShorthandLookup(flag[1:]) != nil || command.InheritedFlags().ShorthandLookup(flag[1:]) != nil
	}
	return true
}

// literals are the strings in the sources of the tool.
func literals(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Error(err)
				}
				all = append(all, text)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPreflightStatus(t *testing.T) {
	warning, unchecked, failure := preflight.Result{Status: preflight.Warn}, preflight.Result{Status: preflight.Warn, Unchecked: true}, preflight.Result{Status: preflight.Fail}
	got := []int{cli.PreflightStatus(warning), cli.PreflightStatus(warning, unchecked), cli.PreflightStatus(unchecked, failure)}
	if diff := cmp.Diff([]int{0, 2, 1}, got); diff != "" {
		t.Errorf("of a warning, of what was not checked, of a failure beside it (-want +got):\n%s", diff)
	}
}
