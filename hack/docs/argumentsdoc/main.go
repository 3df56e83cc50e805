// Command argumentsdoc writes docs/reference/arguments.md: the arguments of the
// TenantIsolation plugin, their meaning from the comments of the versioned type and their
// defaults from the code that sets them. Run it from the root of the repository, as make
// generate does.
package main

import (
	"fmt"
	"os"
)

const (
	typesFile = "pkg/apis/config/v1/types.go"
	pageFile  = "docs/reference/arguments.md"
)

func main() {
	text, err := page(typesFile)
	if err == nil {
		err = os.WriteFile(pageFile, []byte(text), 0o644) //nolint:gosec // a public page
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "argumentsdoc:", err)
		os.Exit(1)
	}
}
