// Command kubectldoc writes the reference of kubectl isolation below docs/kubectl, from the
// commands themselves.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra/doc"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"tenantisolation.dev/scheduler/pkg/cli"
)

func main() {
	if err := write("docs/kubectl"); err != nil {
		fmt.Fprintln(os.Stderr, "kubectldoc:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	// Defaults of flags must not name the user's folders.
	if err := os.Setenv("HOME", "$HOME"); err != nil {
		return err
	}
	root := cli.NewCommand(genericiooptions.IOStreams{Out: io.Discard, ErrOut: io.Discard})
	root.DisableAutoGenTag = true
	header := func(string) string { return "<!-- Generated from the command: run make generate. -->\n\n" }
	return doc.GenMarkdownTreeCustom(root, folder, header, filepath.Base)
}
