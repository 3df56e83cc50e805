package cli

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/pkg/apis/config"
	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/cli/arguments"
	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	judged "tenantisolation.dev/scheduler/pkg/cluster"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// The scheduler's own namespace, and how the name of its configuration begins.
const (
	systemNamespace = "tenant-isolation-system"
	configMapPrefix = "tenant-isolation-scheduler-config"
)

// cluster is everything that a command asks questions of.
type cluster struct {
	*inventory.Inventory
	args *config.TenantIsolationArgs
	// argsFrom says where the arguments come from, for people.
	argsFrom string
	rules    *podfacts.Rules
	gatherer *podfacts.Gatherer
	store    *judged.Store
	engine   *audit.Engine
	// client is nil for files.
	client kubernetes.Interface
}

// load reads what the flags say, and has the rule look at it.
func (o *options) load(ctx context.Context) (*cluster, error) {
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

// readFiles reads what -f names. namespace is that of objects which name none.
func (o *options) readFiles(ctx context.Context, namespace string) (*inventory.Inventory, error) {
	p := newProgress(o.ErrOut)
	defer p.done()
	return inventory.Read(ctx, inventory.Files{
		Names: o.files, Recursive: o.recursive, In: o.In, Namespace: namespace,
		Progress: func(objects int) { p.say("read %d objects", objects) },
		SlowYAML: func(name string) {
			fmt.Fprintf(o.ErrOut, "%s %s is large, and YAML takes several times as long to read as JSON: `kubectl get ... -o json` prints that\n", newColour(o.ErrOut).warn("note:"), name)
		},
	})
}

// judgeFiles has the rule look at files.
func (o *options) judgeFiles(files *inventory.Inventory) (*cluster, error) {
	p := newProgress(o.ErrOut)
	defer p.done()
	p.say("judging %d pods", len(files.Pods))
	c := &cluster{Inventory: files}
	return c, c.finish(o)
}

// loadWith reads a live cluster, and adds the namespaces and classes of manifests that
// are to be applied to it.
func (o *options) loadWith(ctx context.Context, manifests *inventory.Inventory) (*cluster, error) {
	p := newProgress(o.ErrOut)
	defer p.done()
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	c := &cluster{client: client}
	if c.Inventory, err = inventory.Fetch(ctx, client, func(objects int) { p.say("read %d objects", objects) }); err != nil {
		return nil, err
	}
	if o.argsFile == "" {
		c.installedArguments(ctx)
	}
	if manifests != nil {
		c.apply(manifests)
	}
	p.say("judging %d pods", len(c.Pods))
	return c, c.finish(o)
}

// apply puts what manifests say of the pods' surroundings in the place of what is there.
func (c *cluster) apply(manifests *inventory.Inventory) {
	c.Namespaces = overlay(c.Namespaces, manifests.Namespaces)
	c.RuntimeClasses = overlay(c.RuntimeClasses, manifests.RuntimeClasses)
	c.StorageClasses = overlay(c.StorageClasses, manifests.StorageClasses)
	c.Volumes = overlay(c.Volumes, manifests.Volumes)
	c.PVCs = overlay(c.PVCs, manifests.PVCs)
	c.Workloads = manifests.Workloads
	c.Warnings = append(c.Warnings, manifests.Warnings...)
}

func overlay[T metav1.Object](there, applied []T) []T {
	at := map[string]int{}
	for i, object := range there {
		at[object.GetNamespace()+"/"+object.GetName()] = i
	}
	for _, object := range applied {
		if i, exists := at[object.GetNamespace()+"/"+object.GetName()]; exists {
			there[i] = object
		} else {
			there = append(there, object)
		}
	}
	return there
}

// finish settles the arguments and has the rule look at what was read.
func (c *cluster) finish(o *options) error {
	given, err := o.readArguments()
	if err != nil {
		return err
	}
	switch {
	case given != nil:
		c.args, c.argsFrom = given, "--config "+o.argsFile
	case c.args == nil:
		c.args, c.argsFrom = arguments.Default(), "defaults"
	}
	if err := nameTenants(o.tenantKey, c.args, c.Inventory); err != nil {
		return err
	}
	return c.judge()
}

// installedArguments takes those of the scheduler that is installed, if it can be read.
func (c *cluster) installedArguments(ctx context.Context) {
	maps, err := c.client.CoreV1().ConfigMaps(systemNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		c.Warnings = append(c.Warnings, fmt.Sprintf("no right to read ConfigMaps in %s: the default arguments are taken. Name the ones in use with --config", systemNamespace))
		return
	}
	var newest *v1.ConfigMap
	for i := range maps.Items {
		// Each configuration has a name of its own; old ones stay.
		if m := &maps.Items[i]; strings.HasPrefix(m.Name, configMapPrefix) &&
			(newest == nil || cmp.Or(newest.CreationTimestamp.Compare(m.CreationTimestamp.Time), cmp.Compare(m.Name, newest.Name)) < 0) {
			newest = m
		}
	}
	if newest == nil {
		return
	}
	args, err := arguments.FromConfigMap(newest)
	if err != nil {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%v: the default arguments are taken. Name the ones in use with --config", err))
		return
	}
	c.args, c.argsFrom = args, "ConfigMap "+newest.Namespace+"/"+newest.Name
}

func (c *cluster) judge() error {
	var err error
	if c.rules, err = podfacts.NewRules(c.args); err != nil {
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
	return err
}

// complete makes up for kinds that were left out of files, and says so, or refuses where
// nothing can make up for it.
func (c *cluster) complete() error {
	running := c.RunningPods()
	if len(c.Namespaces) == 0 && running > 0 {
		return fmt.Errorf("no namespaces were given, so the tenants of the pods are not known: read namespaces as well (kubectl get nodes,ns,pods,...), or make each of them a tenant with --tenant-key=%s", everyNamespace)
	}
	if c.client == nil && len(c.Nodes) == 0 && running > 0 {
		c.Warnings = append(c.Warnings, "no node was given: those that pods name are taken to exist, with every runtime handler")
		seen := map[string]bool{}
		for _, pod := range c.Pods {
			if name := pod.Spec.NodeName; name != "" && !seen[name] {
				seen[name] = true
				c.Nodes = append(c.Nodes, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
			}
		}
	}
	c.warnOfUnknownNamespaces()
	c.warnOfUnknownPVCs()
	if len(c.Namespaces) > 0 && !c.anyTenant() {
		c.Warnings = append(c.Warnings, fmt.Sprintf(
			"no namespace bears the label %s: no pod has a tenant, so none is protected from another and nothing can be found. Name the label with --tenant-key", c.args.LabelKeys.Tenant))
	}
	return nil
}

func (c *cluster) anyTenant() bool {
	for _, ns := range c.Namespaces {
		if _, managed := ns.Labels[c.args.LabelKeys.Tenant]; managed {
			return true
		}
	}
	return false
}

func (c *cluster) warnOfUnknownNamespaces() {
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
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d namespaces that pods are in were not given: those pods are of no known tenant, and may share with nobody", len(unknown)))
	}
}

// warnOfUnknownPVCs is for `kubectl get` without PVCs: a VM that mounts one would be
// reported as a container, and nobody would see why.
func (c *cluster) warnOfUnknownPVCs() {
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
		c.Warnings = append(c.Warnings, fmt.Sprintf("%d pods with a RuntimeClass mount PVCs that were not given: their volumes are taken for directories of the host, and the pods for containers. Take pvc,pv,sc along", unknown))
	}
}

// warn prints what the answer lacks.
func (o *options) warn(c *cluster) {
	for _, warning := range c.Warnings {
		fmt.Fprintf(o.ErrOut, "%s %s\n", newColour(o.ErrOut).warn("warning:"), warning)
	}
}
