package checker

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// A mistake in shared code would be made by both and seen by neither.
func TestCheckerSharesNoCodeWithTheScheduler(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 5 {
		t.Fatalf("found the files %v (%v)", files, err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range file.Imports {
			if strings.Contains(imported.Path.Value, "tenantisolation.dev/") {
				t.Errorf("%s imports %s", name, imported.Path.Value)
			}
		}
	}
}
