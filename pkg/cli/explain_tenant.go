package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/pkg/cli/admit"
	"tenantisolation.dev/scheduler/pkg/cli/explain"
	"tenantisolation.dev/scheduler/pkg/cli/own"
	"tenantisolation.dev/scheduler/pkg/cli/workload"
	"tenantisolation.dev/scheduler/pkg/isolation"
)

// asTenant explains with the rights of somebody who sees one namespace. denied says which right is missing for more.
func (e *explainOptions) asTenant(ctx context.Context, wanted string, denied error) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	if e.fromFiles() {
		return e.manifestsAsTenant(ctx, client, wanted)
	}
	namespace, err := e.namespace()
	if err != nil {
		return err
	}
	kind, name := workload.Parse(wanted)
	if !workload.Known(kind) {
		return fmt.Errorf("%.40q is no kind of pods: use %s", kind, joinOr(workload.Kinds()))
	}
	read, err := own.Read(ctx, client, namespace, isolation.TenantLabel)
	if err != nil {
		return fmt.Errorf("%w\nFor all nodes: %w", err, denied)
	}
	answer, found := (*own.Answer)(nil), false
	if kind == workload.Pod || kind == "" {
		answer, found = read.Pod(name)
	}
	if !found && kind != workload.Pod {
		workloads, err := workload.Find(ctx, client, namespace, kind, name)
		switch {
		case err != nil:
			return err
		case len(workloads) > 1:
			return fmt.Errorf("%s is ambiguous: name it as KIND/NAME", shownName(wanted))
		case len(workloads) == 1:
			answer, found = read.Workload(&workloads[0]), true
		}
	}
	if !found {
		return fmt.Errorf("no %s in namespace %s", shownName(wanted), namespace)
	}
	return e.tell(answer)
}

// told is the output for programs.
type told struct {
	judgement
	*own.Answer
}

// ofOneNamespace is what an answer with few rights covers.
func ofOneNamespace(unknown bool) judgement {
	j := judgement{Judged: !unknown, NotJudged: []string{}, Source: "one namespace of the cluster", Policy: "the scheduler's own answer"}
	if unknown {
		j.NotJudged = append(j.NotJudged, "nothing in the namespace says why")
	}
	return j
}

func (e *explainOptions) tell(answer *own.Answer) error {
	j := ofOneNamespace(answer.Unknown)
	if e.output != "" {
		if err := e.printObject(e.output, told{j, answer}); err != nil {
			return err
		}
	} else {
		printAnswer(e.Out, answer)
	}
	return j.status(answer.Waits && !answer.Unknown)
}

func printAnswer(out io.Writer, a *own.Answer) {
	paint := newColour(out)
	where := ""
	if a.Node != "" {
		where = " on node " + a.Node
	}
	fmt.Fprintf(out, "%s in namespace %s: %s%s\n", paint.bold(a.Name), a.Namespace, a.State, where)
	if a.Of != "" {
		fmt.Fprintln(out, a.Of)
	}
	help := fmt.Sprintf("%s. Who can help: %s", a.Matter, paint.bold(a.Help))
	if a.Do != "" {
		help += fmt.Sprintf(" (%s)", a.Do)
	}
	fmt.Fprintln(out)
	printFolded(out, "", "", help+".")
	if a.SchedulerSays != "" {
		fmt.Fprintf(out, "\nThe scheduler says: %s\n", a.SchedulerSays)
	}
	for i, event := range a.Events {
		if i == 0 {
			fmt.Fprintln(out, "\nEvents, the newest first:")
		}
		fmt.Fprintf(out, "  %s\n", event)
	}
}

// asked is a pod of a manifest as the API server would make it. Its fields are a contract.
type asked struct {
	Name      string   `json:"name"`
	Namespace string   `json:"namespace"`
	Refused   []string `json:"refused,omitempty"`
	Admission []string `json:"admission,omitempty"`
	// Raised are the checks that keep the pod from the restricted level.
	Raised []explain.Raised `json:"raised,omitempty"`
	// Unasked is why the API server was not asked whether it would make the pod, empty if it was.
	Unasked string `json:"unasked,omitempty"`
}

// manifestsAsTenant asks the API server what it would make of manifests.
func (e *explainOptions) manifestsAsTenant(ctx context.Context, client kubernetes.Interface, wanted string) error {
	namespace, err := e.liveNamespace()
	if err != nil {
		return err
	}
	files, err := e.readFiles(ctx, namespace)
	if err != nil {
		return err
	}
	e.warn(&judgedCluster{Inventory: files})
	subjects, err := choose(candidates(&judgedCluster{Inventory: files}, nil), wanted, namespace, *e.kube.Namespace != "")
	if err != nil {
		return err
	}
	j := ofOneNamespace(false)
	j.Judged, j.NotJudged = false, append(j.NotJudged, "no right to list nodes, so it is unknown which ones can take the pod")
	var all []asked
	refused := false
	for _, subject := range subjects {
		answer, err := ask(ctx, client, &subject)
		if err != nil {
			return err
		}
		if answer.Unasked != "" {
			j.NotJudged = append(j.NotJudged, answer.Unasked)
		}
		refused = refused || len(answer.Refused) > 0
		all = append(all, *answer)
	}
	if e.output != "" {
		err = e.printObject(e.output, struct {
			judgement
			Pods []asked `json:"pods"`
		}{j, all})
	} else {
		printAsked(e.Out, all)
		printNotJudged(e.Out, newColour(e.Out), &j)
	}
	return errors.Join(err, j.status(refused))
}

func ask(ctx context.Context, client kubernetes.Interface, subject *candidate) (*asked, error) {
	made, ok, unasked, err := admit.DryRun(ctx, client, subject.pod)
	if err != nil {
		return nil, err
	}
	answer := &asked{Name: subject.name, Namespace: subject.pod.Namespace, Unasked: unasked}
	pod := subject.pod
	if ok {
		pod, answer.Refused, answer.Admission = made.Pod, made.Refused, admit.Changes(subject.pod, made.Pod)
	}
	answer.Raised, err = explain.RaisedBy(&v1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations}, Spec: pod.Spec}, "")
	return answer, err
}

func printAsked(out io.Writer, all []asked) {
	paint := newColour(out)
	for i := range all {
		x := &explain.Explanation{Refused: all[i].Refused, Admission: all[i].Admission, Raised: all[i].Raised}
		fmt.Fprintf(out, "%s in namespace %s\n", paint.bold(all[i].Name), all[i].Namespace)
		printMaking(out, paint, x)
		switch {
		case all[i].Unasked != "":
			printFolded(out, "", "  ", fmt.Sprintf("%s whether it would be made: %s.", paint.warn("Not judged"), all[i].Unasked))
		case len(x.Refused) == 0:
			fmt.Fprintln(out, "It would be made.")
		}
		printRaised(out, paint, x)
		fmt.Fprintln(out)
	}
}
