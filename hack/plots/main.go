// Command plots draws the pictures of the documentation from docs/data into docs/images: make generate.
package main

import (
	"fmt"
	"os"

	"tenantisolation.dev/scheduler/internal/plots"
)

func main() {
	if err := plots.DrawAll("docs"); err != nil {
		fmt.Fprintln(os.Stderr, "plots:", err)
		os.Exit(1)
	}
}
