package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/cli/admit"
	"tenantisolation.dev/scheduler/pkg/cli/explain"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/cli/preflight"
	"tenantisolation.dev/scheduler/pkg/cli/reach"
)

type explainOptions struct {
	*options
	output string
}

func newExplainCommand(o *options) *cobra.Command {
	e := &explainOptions{options: o}
	cmd := &cobra.Command{
		Use:   "explain [POD | KIND/NAME]",
		Short: "Explain why a pod is Pending, and which nodes can take it",
		Long: paragraphs(
			`Shows the trust domain of a pod and the source of each part of it, the boundary and what voided it, the
nodes by verdict, and which changes would let more nodes admit the pod.`,
			`The pod may run, be Pending, or not exist yet. With -f, a manifest is judged against the cluster of the
current context, or against the nodes in the files if there are any. Deployments, StatefulSets, DaemonSets,
ReplicaSets, Jobs and CronJobs stand for the pods that they create.`,
			`A node counts if the rule admits the pod and the scheduler's own plugins have nothing against it: resources,
selectors, affinity, spread, taints and volumes. A pod that is not made yet is explained as admission would make it:
the API server is asked with a dry run, or else the policies of this release are evaluated here.`,
			`Without the right to list nodes and pods of others, it reads what the namespace of the pod has, and says what is the
matter and who can help.`,
			`Exit status: 0 if a node can take the pod, 1 if none can or it would be refused, 2 if the input or the request is invalid, or if it was
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
	wanted := ""
	if len(args) > 0 {
		wanted = args[0]
	}
	c, manifests, err := e.loadWithManifests(ctx)
	if apierrors.IsForbidden(err) && e.policyFile == "" {
		return e.asTenant(ctx, wanted, err)
	}
	if err != nil {
		return err
	}
	e.warn(c)
	namespace, err := e.namespace()
	if err != nil {
		return err
	}
	all := candidates(c, manifests)
	if c.client != nil && manifests == nil {
		if all, err = liveCandidates(ctx, c, namespace, wanted); err != nil {
			return err
		}
	}
	subjects, err := choose(all, wanted, namespace, *e.kube.Namespace != "" || !e.fromFiles())
	if err != nil {
		return err
	}
	return e.explainAll(ctx, c, subjects)
}

func (e *explainOptions) explainAll(ctx context.Context, c *judgedCluster, pods []candidate) error {
	explainer, err := c.explainer(ctx)
	if err != nil {
		return err
	}
	defer explainer.Plugins.Close()
	var all []*explain.Explanation
	nowhere := false
	for _, pod := range pods {
		x, err := c.explain(ctx, explainer, &pod)
		if err != nil {
			return err
		}
		all = append(all, x)
		nowhere = nowhere || x.Denied != "" || len(x.Refused) > 0 || (x.Admitting == 0 && x.Total > 0)
	}
	j := c.judgement(c.unjudgedNodes(), c.unjudgedTenants(), c.unjudgedPolicy(e.options))
	if err := e.printAll(c, all, &j); err != nil {
		return err
	}
	return j.status(nowhere)
}

// explainer returns what explains pods of this cluster. Its plugins have to be closed.
func (c *judgedCluster) explainer(ctx context.Context) (*explain.Explainer, error) {
	plugins, err := reach.New(ctx, &reach.Cluster{
		Nodes: c.Nodes, Namespaces: c.Namespaces, Pods: c.Pods, PVCs: c.PVCs, Volumes: c.Volumes, StorageClasses: c.StorageClasses,
		Incomplete: c.client == nil,
	})
	if err != nil {
		return nil, err
	}
	admitter, err := c.admitter()
	if err != nil {
		return nil, err
	}
	var schedulers []string
	if c.client != nil {
		if schedulers, err = preflight.SchedulerNames(ctx, c.client); err != nil {
			return nil, err
		}
	}
	return &explain.Explainer{
		Schedulers: schedulers,
		Policy:     c.policy, Rules: c.rules, Gatherer: c.gatherer, Store: c.store, Nodes: c.Nodes, RuntimeClasses: c.RuntimeClasses, Plugins: plugins,
		Under: func(pod *v1.Pod, class *nodev1.RuntimeClass) (*v1.Pod, error) {
			return admitter.Under(ctx, pod, class, c.RuntimeClasses)
		},
	}, nil
}

// explain explains one pod, as admission would make it if it is not made yet.
func (c *judgedCluster) explain(ctx context.Context, explainer *explain.Explainer, of *candidate) (*explain.Explanation, error) {
	if made(of.pod) {
		x, err := explainer.Explain(ctx, of.name, of.pod)
		if err == nil {
			x.Of = of.of
		}
		return x, err
	}
	admitted, err := c.admit(ctx, of.pod)
	if err != nil {
		return nil, err
	}
	x, err := explainer.Explain(ctx, of.name, admitted.Pod.Pod)
	if err != nil {
		return nil, err
	}
	x.Of, x.Refused, x.Admission = of.of, admitted.Refused, admit.Changes(of.pod, admitted.Pod.Pod)
	if admitted.unasked != "" {
		x.NotCounted = append(x.NotCounted, admitted.unasked)
	}
	return x, nil
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
