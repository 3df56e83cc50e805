// Package docs holds what the documents say to what the tree does: commands that nobody
// runs, snippets that would not be accepted, links that lead nowhere and tests that are not
// there all fail here.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// page is one Markdown file, with its path below the root.
type page struct {
	path string
	text string
}

// pages returns every Markdown file of the tree.
func pages(t *testing.T) []page {
	t.Helper()
	var found []page
	walk(t, ".md", func(path, text string) { found = append(found, page{path, text}) })
	if len(found) < 10 {
		t.Fatalf("found %d Markdown files: is the tree complete?", len(found))
	}
	return found
}

// docs returns the pages that users read.
func docs(t *testing.T) []page {
	t.Helper()
	return slices.DeleteFunc(pages(t), func(p page) bool {
		return p.path != "README.md" && !strings.HasPrefix(p.path, "docs/")
	})
}

func readPage(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return page{path, string(text)}
}

func walk(t *testing.T, suffix string, visit func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != root && (entry.Name() == "bin" || strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, suffix) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		visit(filepath.ToSlash(relative), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fence is a fenced code block.
type fence struct {
	language string
	text     string
	line     int
}

var fenceLine = regexp.MustCompile("^ *```([a-z]*)$")

func (p page) fences(t *testing.T) []fence {
	t.Helper()
	var found []fence
	open := false
	for i, line := range strings.Split(p.text, "\n") {
		switch match := fenceLine.FindStringSubmatch(line); {
		case match != nil && !open:
			found, open = append(found, fence{language: match[1], line: i + 1}), true
		case match != nil:
			open = false
		case open:
			found[len(found)-1].text += line + "\n"
		}
	}
	if open {
		t.Fatalf("%s: a code block is never closed", p.path)
	}
	return found
}

// prose is the page without its code blocks.
func (p page) prose() string {
	var lines []string
	open := false
	for line := range strings.Lines(p.text) {
		if fenceLine.MatchString(strings.TrimSuffix(line, "\n")) {
			open = !open
			continue
		}
		if !open {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// testCode is where a test is and the strings in its file, which have its cases in them.
type testCode struct {
	file    string
	strings map[string]bool
}

// tests returns every test, fuzz target and benchmark of the tree by name.
func tests(t *testing.T) map[string][]testCode {
	t.Helper()
	found := map[string][]testCode{}
	walk(t, "_test.go", func(path, text string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, text, 0)
		if err != nil {
			// Somebody is editing it; the compiler tells more.
			t.Logf("%s: %v", path, err)
			return
		}
		code := testCode{file: path, strings: map[string]bool{}}
		ast.Inspect(file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if value, err := strconv.Unquote(literal.Value); err == nil {
					code.strings[value] = true
				}
			}
			return true
		})
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if ok && f.Recv == nil && testName.MatchString(f.Name.Name) {
				found[f.Name.Name] = append(found[f.Name.Name], code)
			}
		}
	})
	return found
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*$`)

// makeTargets returns the targets of the Makefile.
func makeTargets(t *testing.T) map[string]bool {
	t.Helper()
	targets := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^([a-z0-9-]+):`).FindAllStringSubmatch(readPage(t, "Makefile").text, -1) {
		targets[match[1]] = true
	}
	if !targets["help"] {
		t.Fatal("the Makefile has no target help")
	}
	return targets
}
