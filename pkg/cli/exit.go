package cli

import "errors"

// The exit statuses.
const (
	// ExitClean: done, and nothing found.
	ExitClean = 0
	// ExitFindings: done, and something breaks the rule or is not ready.
	ExitFindings = 1
	// ExitBadInput: not done, because the input or the request is invalid; or done, and nothing found where
	// not everything could be judged.
	ExitBadInput = 2
)

// errFindings ends a command that did its work and found something. It is never printed,
// because the findings have been.
var errFindings = errors.New("there are findings")

// errNotJudged ends a command that found nothing in what it could judge, which was not everything. It is
// never printed, because what is missing has been.
var errNotJudged = errors.New("not everything was judged")

// ExitStatus returns the exit status for what a command returned.
func ExitStatus(err error) int {
	switch {
	case err == nil:
		return ExitClean
	case errors.Is(err, errFindings):
		return ExitFindings
	}
	return ExitBadInput
}

// Silent reports whether there is nothing to print about an error.
func Silent(err error) bool { return errors.Is(err, errFindings) || errors.Is(err, errNotJudged) }
