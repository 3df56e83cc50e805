package isolation

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/token"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowedImports is all that the core may import, and what for. No clock, no
// chance, no I/O and no Kubernetes type can come in unseen: whoever needs another
// package gives the reason here.
var allowedImports = map[string]string{
	"cmp":     "compares UIDs",
	"errors":  "joins the faults of a config",
	"fmt":     "makes errors and evidence; of it only what makes strings, see allowedFmt",
	"maps":    "keeps a copy of the config's",
	"slices":  "sorts residents",
	"strings": "finds the prefix of an annotation",
	"unique":  "interns trust domains",
}

// allowedFmt is what of fmt does no I/O.
var allowedFmt = []string{"Errorf", "Sprintf"}

func TestCoreImportsNothingThatCouldSurprise(t *testing.T) {
	used := map[string]bool{}
	for _, file := range packageFiles(t) {
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			used[path] = true
			if allowedImports[path] == "" {
				t.Errorf("imports %s: not one of the allowed ones", path)
			}
			if spec.Name != nil {
				t.Errorf("imports %s under the name %s, which hides it from these tests", path, spec.Name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := selector.X.(*ast.Ident); ok && pkg.Name == "fmt" && !slices.Contains(allowedFmt, selector.Sel.Name) {
				t.Errorf("uses fmt.%s: the core does no I/O", selector.Sel.Name)
			}
			return true
		})
		for _, group := range file.Comments {
			for _, comment := range group.List {
				if strings.HasPrefix(comment.Text, "//go:") {
					t.Errorf("%s: a directive may reach what an import may not", comment.Text)
				}
			}
		}
	}
	for path := range allowedImports {
		if !used[path] {
			t.Errorf("%s is allowed and not used: take it off the list", path)
		}
	}
}

// L2 wants no globals: a package-level variable is one.
func TestCoreHasNoPackageLevelVariables(t *testing.T) {
	for _, file := range packageFiles(t) {
		for _, decl := range file.Decls {
			block, ok := decl.(*ast.GenDecl)
			if !ok || block.Tok != token.VAR {
				continue
			}
			for _, spec := range block.Specs {
				if values, ok := spec.(*ast.ValueSpec); ok {
					t.Errorf("variable %v: a verdict reads nothing but its arguments", values.Names)
				}
			}
		}
	}
}

func TestCoreNeedsTheStandardLibraryOnly(t *testing.T) {
	const self = "tenantisolation.dev/scheduler/pkg/isolation"
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Standard", ".")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	packages := 0
	for {
		var p struct {
			ImportPath string
			Standard   bool
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packages++
		if !p.Standard && p.ImportPath != self {
			t.Errorf("needs %s, which is not of the standard library", p.ImportPath)
		}
	}
	if packages <= len(allowedImports) {
		t.Errorf("%v lists only %d packages: this test looks at nothing", cmd, packages)
	}
}
