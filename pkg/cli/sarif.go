package cli

import (
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"tenantisolation.dev/scheduler/pkg/audit"
)

const informationURI = "https://tenantisolation.dev"

// printSARIF prints findings for tools that collect those of many scanners.
func printSARIF(out io.Writer, c *judgedCluster, report audit.Report, j *judgement) error {
	version, _, _ := strings.Cut(Version(), " ")
	run := sarif.NewRunWithInformationURI("kubectl-isolation", informationURI)
	run.Tool.Driver.WithVersion(version)
	run.AddInvocation(invocation(j))
	for i := range report.Findings {
		f := &report.Findings[i]
		a := adviceOn(f.Reason)
		run.AddRule(string(f.Reason)).
			WithDescription(sentence(a.means)).
			WithHelp(sarif.NewMultiformatMessageString().WithText(sentence("Fix: " + a.fix)))
		run.CreateResultForRule(string(f.Reason)).
			WithLevel("error").
			WithMessage(sarif.NewTextMessage(findingText(f, a))).
			WithLocations([]*sarif.Location{location(c, f)}).
			WithPartialFingerprints(map[string]string{"finding/v1": fmt.Sprintf("%s %s %s", f.Reason, f.Node, f.Volume)})
	}
	if len(report.Findings) == 0 {
		run.WithResults([]*sarif.Result{})
	}
	document := sarif.NewReport()
	document.AddRun(run)
	return document.PrettyWrite(out)
}

// invocation says by what was judged. One that did not judge everything was not successful, and collectors
// do not close earlier results by it.
func invocation(j *judgement) *sarif.Invocation {
	properties := sarif.NewPropertyBag().Add("policy", j.Policy).Add("policyGeneration", j.PolicyGeneration).Add("source", j.Source).Add("judged", j.Judged)
	made := sarif.NewInvocation().WithExecutionSuccessful(j.Judged).WithProperties(properties)
	for _, reason := range j.NotJudged {
		made.AddToolExecutionNotification(sarif.NewNotification().WithLevel("error").WithMessage(sarif.NewTextMessage("Not judged: " + reason + ".")))
	}
	return made
}

func findingText(f *audit.Finding, a advice) string {
	where := "Node " + f.Node
	if f.Node == "" {
		where = "Volume " + f.Volume
	}
	return fmt.Sprintf("%s: %s: %s.", where, a.means, sidesInWords(sidesOf(f)))
}

// location is the object in the cluster, and a file, which is all that collectors know: the one that was read, if it is
// one.
func location(c *judgedCluster, f *audit.Finding) *sarif.Location {
	uri := "cluster"
	if len(c.Files) == 1 && c.Files[0] != "-" {
		uri = (&url.URL{Path: filepath.ToSlash(c.Files[0])}).String()
	}
	kind, name := "node", f.Node
	if name == "" {
		kind, name = "volume", f.Volume
	}
	return sarif.NewLocation().
		WithPhysicalLocation(sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewSimpleArtifactLocation(uri))).
		WithLogicalLocations([]*sarif.LogicalLocation{sarif.NewLogicalLocation().
			WithKind(kind).WithName(name).WithFullyQualifiedName(kind + "/" + name)})
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }
