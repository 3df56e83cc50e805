package goldentest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		update, ci bool
		got        string
		complains  bool
		after      string
	}{
		"what is in the file is fine":                  {got: "old", after: "old"},
		"what differs is told":                         {got: "new", complains: true, after: "old"},
		"what differs is told in CI":                   {ci: true, got: "new", complains: true, after: "old"},
		"with -update the file is written":             {update: true, got: "new", after: "new"},
		"with -update in CI nothing is written":        {update: true, ci: true, got: "new", complains: true, after: "old"},
		"with -update in CI even the same is an error": {update: true, ci: true, got: "old", complains: true, after: "old"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "golden.txt")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			if complaint := check(tc.update, tc.ci, path, tc.got); (complaint != "") != tc.complains {
				t.Errorf("it says %q, want a complaint: %v", complaint, tc.complains)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(after) != tc.after {
				t.Errorf("the file holds %q afterwards, want %q", after, tc.after)
			}
		})
	}
	if check(false, false, filepath.Join(t.TempDir(), "none.txt"), "") == "" {
		t.Error("a file that is not there is the same as an empty one")
	}
}
