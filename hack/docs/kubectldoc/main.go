// Command kubectldoc writes the reference of kubectl isolation, docs/kubectl, from the
// commands themselves.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"tenantisolation.dev/scheduler/pkg/cli"
)

const (
	folder = "docs/kubectl"
	// width is how long a line of a page may be.
	width  = 116
	header = "<!-- Generated from the command itself: run `go run ./hack/docs/kubectldoc`. -->\n\n"
)

func main() {
	if err := write(folder); err != nil {
		fmt.Fprintln(os.Stderr, "kubectldoc:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	// Some defaults are in the home of who asks.
	if err := os.Setenv("HOME", "$HOME"); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // documentation is for everybody
		return err
	}
	root := cli.NewCommand(genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}})
	root.InitDefaultHelpFlag()
	for name, page := range pages(root) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(page), 0o644); err != nil { //nolint:gosec // as above
			return err
		}
	}
	return nil
}

// pages returns the pages by their file names.
func pages(root *cobra.Command) map[string]string {
	all := map[string]string{"reference.md": reference(root)}
	for _, command := range root.Commands() {
		if command.Name() != "help" && command.Name() != "completion" {
			all[command.Name()+".md"] = page(command)
		}
	}
	return all
}

// reference lists the commands, and the flags that all of them have.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(header + "# Commands\n\n| command | does |\n|---|---|\n")
	for _, command := range root.Commands() {
		if command.Name() != "help" && command.Name() != "completion" {
			fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", command.CommandPath(), command.Name(), command.Short)
		}
	}
	b.WriteString("\n`kubectl isolation completion SHELL` prints the completion for a shell.\n\n## Flags of every command\n\nThose of kubectl:\n\n")
	b.WriteString(code(root.PersistentFlags().FlagUsagesWrapped(width)))
	return b.String()
}

func page(command *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s# %s\n\n%s.\n\n%s", header, command.CommandPath(), command.Short, code(command.UseLine()))
	if command.Long != "" {
		b.WriteString("\n" + prose(command.Long) + "\n")
	}
	if command.Example != "" {
		b.WriteString("\n## Examples\n\n```sh\n" + unindent(command.Example) + "\n```\n")
	}
	command.InitDefaultHelpFlag()
	if usage := command.LocalNonPersistentFlags().FlagUsagesWrapped(width); usage != "" && hasOwn(command) {
		b.WriteString("\n## Flags\n\n" + code(usage))
	}
	b.WriteString("\nAnd [those of every command](reference.md#flags-of-every-command).\n")
	return b.String()
}

func hasOwn(command *cobra.Command) bool {
	own := false
	command.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { own = own || f.Name != "help" })
	return own
}

func code(text string) string { return "```text\n" + strings.TrimRight(text, "\n") + "\n```\n" }

// prose has a blank line between paragraphs; indented ones are code.
func prose(text string) string {
	var parts []string
	for part := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(part, "    ") {
			part = "```text\n" + unindent(part) + "\n```"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "\n\n")
}

func unindent(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
