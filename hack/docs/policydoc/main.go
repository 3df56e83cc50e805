// Command policydoc writes docs/reference/isolationpolicy.md from the schema of the CustomResourceDefinition:
// what `kubectl explain isolationpolicy.spec` says, with the defaults and the rules. Run it from the root of the
// repository, as make generate does.
package main

import (
	"fmt"
	"os"
)

const pageFile = "docs/reference/isolationpolicy.md"

func main() {
	text, err := page()
	if err == nil {
		err = os.WriteFile(pageFile, []byte(text), 0o644) //nolint:gosec // a public page
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "policydoc:", err)
		os.Exit(1)
	}
}
