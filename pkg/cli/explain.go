package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/cli/explain"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
)

type explainOptions struct {
	*options
	output string
}

func newExplainCommand(o *options) *cobra.Command {
	e := &explainOptions{options: o}
	cmd := &cobra.Command{
		Use:   "explain [POD | KIND/NAME]",
		Short: "Explain the trust domain of a pod, and which nodes admit it",
		Long: paragraphs(
			`Shows the trust domain of a pod and the source of each part of it, the boundary and what voided it, the
nodes by verdict, and which changes would let more nodes admit the pod.`,
			`The pod may run, be Pending, or not exist yet. With -f, a manifest is judged against the cluster of the
current context, or against the nodes in the files if there are any. Deployments, StatefulSets, DaemonSets,
ReplicaSets, Jobs and CronJobs stand for the pods that they create.`,
			`It applies the isolation rule alone. CPU and memory, taints, selectors and volumes may leave fewer nodes.`,
			`Exit status: 0 if a node admits the pod, 1 if none does, 2 if the input or the request is invalid, or if it was
not judged: no node is known, the policy is not in force, or the admission policies are not enforced.`,
		),
		Example: examples(
			"# Why a pod is Pending",
			"kubectl isolation explain web-0 -n shop",
			"",
			"# Before you apply a manifest",
			"kubectl isolation explain -f deployment.yaml -n shop",
			"",
			"# One of several workloads in files, with every namespace a tenant of its own",
			"kubectl isolation explain deployment/frontend -f manifests/ --tenant-key=namespace",
		),
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd.Context(), args) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			return o.completePods(cmd.Context(), args, toComplete)
		},
	}
	o.addInputFlags(cmd)
	outputFlag(cmd, &e.output, "json", "yaml")
	return cmd
}

func (e *explainOptions) run(ctx context.Context, args []string) error {
	if err := oneOf(e.output, "", "json", "yaml"); err != nil {
		return err
	}
	if len(args) == 0 && !e.fromFiles() {
		return fmt.Errorf("name a pod, or a manifest with -f\nSee `%s explain --help`", name)
	}
	c, manifests, err := e.loadWithManifests(ctx)
	if err != nil {
		return err
	}
	e.warn(c)
	namespace, err := e.namespace()
	if err != nil {
		return err
	}
	wanted := ""
	if len(args) > 0 {
		wanted = args[0]
	}
	subjects, err := choose(candidates(c, manifests), wanted, namespace, *e.kube.Namespace != "" || !e.fromFiles())
	if err != nil {
		return err
	}
	return e.explainAll(c, subjects)
}

func (e *explainOptions) explainAll(c *judgedCluster, pods []candidate) error {
	explainer := explain.Explainer{
		Policy: c.policy, Rules: c.rules, Gatherer: c.gatherer, Store: c.store,
		Nodes: c.Nodes, RuntimeClasses: c.RuntimeClasses,
	}
	var all []*explain.Explanation
	nowhere := false
	for _, pod := range pods {
		x, err := explainer.Explain(pod.name, pod.pod)
		if err != nil {
			return err
		}
		all = append(all, x)
		nowhere = nowhere || x.Denied != "" || (x.Admitting == 0 && x.Total > 0)
	}
	j := c.judgement(c.unjudgedNodes(), c.Unread, c.unjudgedPolicy(e.options))
	if err := e.printAll(c, all, &j); err != nil {
		return err
	}
	return j.status(nowhere)
}

// explained is the output for programs.
type explained struct {
	judgement
	*explain.Explanation
}

func (e *explainOptions) printAll(c *judgedCluster, all []*explain.Explanation, j *judgement) error {
	if e.output == "" {
		for i, x := range all {
			if i > 0 {
				fmt.Fprintln(e.Out)
			}
			printExplanation(e.Out, c, x)
		}
		printNotJudged(e.Out, newColour(e.Out), j)
		return nil
	}
	objects := make([]explained, 0, len(all))
	for _, x := range all {
		objects = append(objects, explained{*j, x})
	}
	if len(objects) == 1 {
		return e.printObject(e.output, objects[0])
	}
	return e.printObject(e.output, objects)
}

// unjudgedNodes is for input without nodes, where it is unknown what admits a pod.
func (c *judgedCluster) unjudgedNodes() []string {
	if len(c.Nodes) == 0 {
		return []string{"no node is known, so it is unknown which one admits it"}
	}
	return nil
}

// candidate is a pod that can be explained.
type candidate struct {
	// name is "pod/name" or "deployment/name".
	name string
	pod  *v1.Pod
}

// candidates lists the pods that an argument may name. Manifests hide the cluster's pods:
// the question is then what applying the manifests would do.
func candidates(c *judgedCluster, manifests *inventory.Inventory) []candidate {
	from := c.Inventory
	if manifests != nil {
		from = manifests
	}
	all := make([]candidate, 0, len(from.Pods)+len(from.Workloads))
	for _, pod := range from.Pods {
		all = append(all, candidate{"pod/" + pod.Name, pod})
	}
	for i := range from.Workloads {
		w := &from.Workloads[i]
		all = append(all, candidate{strings.ToLower(w.Kind) + "/" + w.Pod.Name, w.Pod})
	}
	return all
}

// maxExplained is how many manifests are explained at once without a name.
const maxExplained = 50

// choose finds the wanted pods, by name if one is given, and in this namespace alone if
// onlyNamespace is set.
func choose(all []candidate, wanted, namespace string, onlyNamespace bool) ([]candidate, error) {
	kind, plain, hasKind := strings.Cut(wanted, "/")
	if !hasKind {
		kind, plain = "", wanted
	}
	kind = strings.ToLower(kind)
	if short, ok := map[string]string{
		"po": "pod", "pods": "pod", "deploy": "deployment", "deployments": "deployment", "sts": "statefulset", "statefulsets": "statefulset",
		"ds": "daemonset", "daemonsets": "daemonset", "rs": "replicaset", "replicasets": "replicaset", "jobs": "job", "cj": "cronjob", "cronjobs": "cronjob",
		"rc": "replicationcontroller",
	}[kind]; ok {
		kind = short
	}
	var found, elsewhere []candidate
	for _, c := range all {
		ofKind, itsName, _ := strings.Cut(c.name, "/")
		if wanted != "" && (itsName != plain || (kind != "" && kind != ofKind)) {
			continue
		}
		if onlyNamespace && c.pod.Namespace != namespace {
			elsewhere = append(elsewhere, c)
			continue
		}
		found = append(found, c)
	}
	switch {
	case len(found) == 0 && len(elsewhere) > 0 && wanted != "":
		return nil, fmt.Errorf("no %s in namespace %s, but one in namespace %s: name it with -n", shownName(wanted), namespace, elsewhere[0].pod.Namespace)
	case len(found) == 0 && wanted != "":
		return nil, fmt.Errorf("no %s in namespace %s: `kubectl get pods -A` lists all pods", shownName(wanted), namespace)
	case len(found) == 0:
		return nil, errors.New("the files contain no pod and no workload")
	case len(found) > 1 && wanted != "":
		var names []string
		for _, c := range found {
			names = append(names, c.name+" in "+c.pod.Namespace)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("%s is ambiguous: %s. Name one as KIND/NAME, with -n", shownName(wanted), fewOf(names))
	case len(found) > maxExplained:
		return nil, fmt.Errorf("the files contain %d pods and workloads: name one of them", len(found))
	}
	return found, nil
}

func shownName(wanted string) string {
	if strings.Contains(wanted, "/") {
		return fmt.Sprintf("%.100q", wanted)
	}
	return fmt.Sprintf("pod or workload %.100q", wanted)
}

// loadWithManifests reads the files of -f. If these are manifests without nodes or running
// pods, it also reads the cluster of the current context, if there is one.
func (o *options) loadWithManifests(ctx context.Context) (c *judgedCluster, manifests *inventory.Inventory, err error) {
	if !o.fromFiles() {
		c, err = o.load(ctx)
		return c, nil, err
	}
	namespace, err := o.liveNamespace()
	if err != nil {
		return nil, nil, err
	}
	files, err := o.readFiles(ctx, namespace)
	if err != nil {
		return nil, nil, err
	}
	live := *o
	live.files = nil
	if len(files.Nodes) > 0 || files.RunningPods() > 0 || !o.hasContext() {
		c, err = o.judgeFiles(files)
		return c, nil, err
	}
	c, err = live.loadWith(ctx, files)
	if err != nil {
		return nil, nil, fmt.Errorf("the files contain no nodes, so they are judged against a cluster: %w", err)
	}
	return c, files, nil
}

// hasContext reports whether a cluster is configured.
func (o *options) hasContext() bool {
	if *o.kube.APIServer != "" || os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return true
	}
	raw, err := o.kube.ToRawKubeConfigLoader().RawConfig()
	return err == nil && len(raw.Clusters) > 0
}

func (o *options) liveNamespace() (string, error) {
	if *o.kube.Namespace != "" || !o.hasContext() {
		return o.namespace()
	}
	namespace, _, err := o.kube.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// completePods completes the name of a pod in the shell.
func (o *options) completePods(ctx context.Context, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || o.fromFiles() {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	client, err := o.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	namespace, err := o.namespace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 500})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for i := range pods.Items {
		names = append(names, pods.Items[i].Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
