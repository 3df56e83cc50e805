// Package goldentest compares what a test got with a file that people read, and writes the file
// anew if the test is run with -update. A test that uses it has Golden in its name, so that
// make golden finds it.
package goldentest

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew; read what has changed before it is committed")

// Check fails the test if the file at path does not hold got. With -update it writes got there
// instead, except where the variable CI is set: there it would agree with anything.
func Check(t *testing.T, path, got string) {
	t.Helper()
	if complaint := check(*update, os.Getenv("CI") != "", path, got); complaint != "" {
		t.Error(complaint)
	}
}

// check says what is wrong, or nothing.
func check(update, ci bool, path, got string) string {
	if update && ci {
		return "-update would make CI agree with anything"
	}
	if update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			return err.Error()
		}
		return ""
	}
	want, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		return path + " (-want +got), make golden writes it anew:\n" + diff
	}
	return ""
}
