package cli

import "context"

// testContext is for what outlives a test: the shared control plane, and cleaning up.
func testContext() context.Context { return context.Background() }
