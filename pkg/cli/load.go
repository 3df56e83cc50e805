package cli

import (
	"context"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cli/admit"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	judged "tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// judgedCluster is what was read, with the rule applied to it.
type judgedCluster struct {
	*inventory.Inventory
	// policy is what the rule goes by, and policyFrom where it comes from, for people.
	policy     *v1alpha1.IsolationPolicySpec
	policyFrom string
	// generation is that of the IsolationPolicy in force, 0 if the rule is another.
	generation int64
	// policyUnread says why it is unknown which policy is in force, empty if it is known.
	policyUnread string
	// tenantLabel is the label of namespaces that names the tenant.
	tenantLabel string
	// asRead are the namespaces before the policy, or --tenant-key, gave them tenants.
	asRead   []*v1.Namespace
	rules    *podfacts.Rules
	gatherer *podfacts.Gatherer
	store    *judged.Store
	engine   *audit.Engine
	// manifests: the pods to be placed are those of manifests, and not those of the cluster.
	manifests bool
	// client is nil for files.
	client kubernetes.Interface
	// shipped evaluates the policies of this release. It is made at the first use.
	shipped *admit.Admitter
}

// load reads what the flags name, and applies the rule to it.
func (o *options) load(ctx context.Context) (*judgedCluster, error) {
	if !o.fromFiles() {
		return o.loadWith(ctx, nil)
	}
	namespace, err := o.namespace()
	if err != nil {
		return nil, err
	}
	files, err := o.readFiles(ctx, namespace)
	if err != nil {
		return nil, err
	}
	return o.judgeFiles(files)
}

// readFiles reads the files of -f. namespace is for objects without one.
func (o *options) readFiles(ctx context.Context, namespace string) (*inventory.Inventory, error) {
	p := newProgress(o.ErrOut)
	defer p.done()
	return inventory.Read(ctx, inventory.Files{
		Names: o.files, Recursive: o.recursive, In: o.In, Namespace: namespace,
		Progress: func(objects int) { p.say("read %d objects", objects) },
		SlowYAML: func(name string) {
			fmt.Fprintf(o.ErrOut, "%s %s is large, and YAML takes several times as long to read as JSON: use `kubectl get ... -o json`\n", newColour(o.ErrOut).warn("note:"), name)
		},
	})
}

// judgeFiles applies the rule to files.
func (o *options) judgeFiles(files *inventory.Inventory) (*judgedCluster, error) {
	p := newProgress(o.ErrOut)
	defer p.done()
	p.say("judging %d pods", len(files.Pods))
	c := &judgedCluster{Inventory: files}
	return c, c.finish(o)
}

// loadWith reads a live cluster, and adds the namespaces, classes and volumes of manifests
// as if they had been applied.
func (o *options) loadWith(ctx context.Context, manifests *inventory.Inventory) (*judgedCluster, error) {
	p := newProgress(o.ErrOut)
	defer p.done()
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	c := &judgedCluster{client: client}
	if c.Inventory, err = inventory.Fetch(ctx, client, func(objects int) { p.say("read %d objects", objects) }); err != nil {
		return nil, err
	}
	if err := c.policyInForce(ctx, o); err != nil {
		if o.policyFile == "" {
			return nil, err
		}
		c.policyUnread = "the policy in force is unknown: " + err.Error()
	}
	if manifests != nil {
		c.apply(manifests)
	}
	p.say("judging %d pods", len(c.Pods))
	return c, c.finish(o)
}

// apply replaces and adds objects as applying the manifests would. Pods are left out.
func (c *judgedCluster) apply(manifests *inventory.Inventory) {
	c.Namespaces = overlay(c.Namespaces, manifests.Namespaces)
	c.RuntimeClasses = overlay(c.RuntimeClasses, manifests.RuntimeClasses)
	c.StorageClasses = overlay(c.StorageClasses, manifests.StorageClasses)
	c.Volumes = overlay(c.Volumes, manifests.Volumes)
	c.PVCs = overlay(c.PVCs, manifests.PVCs)
	c.Workloads = manifests.Workloads
	c.Warnings = append(c.Warnings, manifests.Warnings...)
}

func overlay[T metav1.Object](live, applied []T) []T {
	at := map[string]int{}
	for i, object := range live {
		at[object.GetNamespace()+"/"+object.GetName()] = i
	}
	for _, object := range applied {
		if i, exists := at[object.GetNamespace()+"/"+object.GetName()]; exists {
			live[i] = object
		} else {
			live = append(live, object)
		}
	}
	return live
}

// finish chooses the policy and applies the rule to what was read.
func (c *judgedCluster) finish(o *options) error {
	given, err := o.readPolicy()
	if err != nil {
		return err
	}
	switch {
	case given != nil:
		c.policy, c.policyFrom = &given.Spec, "--policy "+o.policyFile
	case c.policy != nil:
	case c.Policy != nil:
		c.usePolicyInForce()
	default:
		c.policy, c.policyFrom = policy.Default(), "the defaults: no IsolationPolicy is there"
	}
	c.asRead = slices.Clone(c.Namespaces)
	switch c.tenantLabel = isolation.TenantLabel; {
	case o.tenantKey != "":
		c.tenantLabel = o.tenantKey
	case c.policy.TenantFrom != nil:
		c.tenantLabel = c.policy.TenantFrom.NamespaceLabel
	}
	if err := useTenantKey(o.tenantKey, c.policy, c.Inventory); err != nil {
		return err
	}
	return c.judge()
}

// policyInForce reads the policy that the scheduler goes by. Without the right to read it, nothing is
// judged: by another policy, the answer would be another.
func (c *judgedCluster) policyInForce(ctx context.Context, o *options) error {
	client, err := o.objects()
	if err != nil {
		return err
	}
	object, err := client.Resource(v1alpha1.Resource).Get(ctx, v1alpha1.DefaultName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err) && !inventory.ServesPolicies(c.client):
		return nil
	case err != nil:
		return fmt.Errorf("reading the IsolationPolicy %s: %w; --policy judges by a file", v1alpha1.DefaultName, err)
	}
	c.Policy, err = policy.FromObject(object.Object)
	if err != nil {
		return fmt.Errorf("the IsolationPolicy %s is of another release: %w", v1alpha1.DefaultName, err)
	}
	return nil
}

// usePolicyInForce takes what is in force of the IsolationPolicy, or else what it asks for.
func (c *judgedCluster) usePolicyInForce() {
	inForce := c.Policy.Status.InForce
	if inForce == nil {
		c.policy, c.policyFrom = &c.Policy.Spec, fmt.Sprintf("IsolationPolicy %s, not in force", c.Policy.Name)
		return
	}
	c.policy, c.generation = &inForce.Spec, inForce.Generation
	c.policyFrom = fmt.Sprintf("IsolationPolicy %s, generation %d in force", c.Policy.Name, inForce.Generation)
	if c.Policy.Generation > inForce.Generation {
		c.policyFrom += fmt.Sprintf(", and not generation %d, which it has now", c.Policy.Generation)
	}
}

func (c *judgedCluster) judge() error {
	var err error
	if c.rules, err = podfacts.NewRules(c.policy); err != nil {
		return err
	}
	if c.gatherer, err = podfacts.NewGatherer(); err != nil {
		return err
	}
	if err := c.complete(); err != nil {
		return err
	}
	c.store = judged.New(c.rules, c.gatherer)
	c.Objects(func(object runtime.Object) bool {
		err = c.store.Set(object)
		return err == nil
	})
	c.engine = audit.New(c.store)
	c.engine.SetHidden(c.Hidden())
	return err
}

// complete fills in for kinds that the input leaves out, with a warning, or returns an error
// where it cannot.
func (c *judgedCluster) complete() error {
	running := c.RunningPods()
	if len(c.Namespaces) == 0 && running > 0 {
		return fmt.Errorf("no namespaces in the input, so the tenants of the pods are not known: add them (kubectl get nodes,ns,pods,...), or make each namespace a tenant with --tenant-key=%s", everyNamespace)
	}
	if c.client == nil && len(c.Nodes) == 0 && running > 0 {
		c.Warnings = append(c.Warnings, "no nodes in the input: the nodes that pods name are assumed to exist, with every runtime handler")
		seen := map[string]bool{}
		for _, pod := range c.Pods {
			if name := pod.Spec.NodeName; name != "" && !seen[name] {
				seen[name] = true
				c.Nodes = append(c.Nodes, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
			}
		}
	}
	c.addPVCsToCome()
	c.warnOfUnknownNamespaces()
	c.warnOfUnknownPVCs()
	return nil
}

// addPVCsToCome adds the PVCs that StatefulSets will make.
func (c *judgedCluster) addPVCsToCome() {
	known := map[string]bool{}
	for _, pvc := range c.PVCs {
		known[pvc.Namespace+"/"+pvc.Name] = true
	}
	for i := range c.Workloads {
		for _, pvc := range c.Workloads[i].PVCs {
			if key := pvc.Namespace + "/" + pvc.Name; !known[key] {
				known[key] = true
				c.PVCs = append(c.PVCs, pvc)
			}
		}
	}
}

func (c *judgedCluster) anyTenant() bool {
	for _, ns := range c.Namespaces {
		if _, managed := ns.Labels[isolation.TenantLabel]; managed {
			return true
		}
	}
	return false
}

func (c *judgedCluster) warnOfUnknownNamespaces() {
	known := map[string]bool{}
	for _, ns := range c.Namespaces {
		known[ns.Name] = true
	}
	unknown := map[string]bool{}
	for _, pod := range c.Pods {
		if !known[pod.Namespace] {
			unknown[pod.Namespace] = true
		}
	}
	if len(unknown) > 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("the namespaces of some pods are missing in the input (%d): the tenant of those pods is unknown, and they may not share a node", len(unknown)))
	}
}

// warnOfUnknownPVCs is for input without PVCs: a VM that mounts one counts as a container,
// and the output would not show why.
func (c *judgedCluster) warnOfUnknownPVCs() {
	known := map[string]bool{}
	for _, pvc := range c.PVCs {
		known[pvc.Namespace+"/"+pvc.Name] = true
	}
	unknown := 0
	for _, pod := range c.Pods {
		if podfacts.RuntimeClassName(pod) == "" {
			continue
		}
		for _, key := range podfacts.PVCKeys(pod) {
			if !known[key] {
				unknown++
				break
			}
		}
	}
	if unknown > 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d pods with a RuntimeClass mount PVCs that are missing in the input: the volumes count as directories of the host, and the pods as containers. Add pvc,pv,sc", unknown))
	}
}

// warn prints the warnings.
func (o *options) warn(c *judgedCluster) {
	for _, warning := range c.Warnings {
		o.warnOf(warning)
	}
}

func (o *options) warnOf(what string) {
	printFolded(o.ErrOut, "", "  ", newColour(o.ErrOut).warn("warning:")+" "+what)
}
