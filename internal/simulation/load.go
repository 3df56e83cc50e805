package simulation

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"tenantisolation.dev/scheduler/pkg/manifest"
)

// Defaults are for a cluster without nodes, or without RuntimeClasses for VMs.
type Defaults struct {
	Nodes []*corev1.Node
	// RuntimeClasses is a folder with manifests.
	RuntimeClasses fs.FS
}

// LoadOptions say how files become a cluster.
type LoadOptions struct {
	Defaults Defaults
	Trace    TraceOptions
	// Tenants, if any, each get the workload of the manifests, in a namespace of their name.
	Tenants []string
}

// Load reads a cluster from a manifest, a folder of manifests, or a folder of two CSV files
// with nodes and pods.
func Load(from string, o LoadOptions) (*Cluster, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	folder, names := os.DirFS(filepath.Dir(from)), []string{filepath.Base(from)}
	label := filepath.Dir(from)
	if info.IsDir() {
		nodes, pods, err := traceFiles(from)
		if err != nil {
			return nil, err
		}
		if nodes != "" {
			return loadTrace(nodes, pods, from, o)
		}
		folder, label = os.DirFS(from), from
		if names, err = manifest.Files(folder, false); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("%s: it contains neither a manifest (.yaml, .yml, .json) nor a trace (.csv)", from)
		}
	} else if filepath.Ext(from) == ".csv" {
		return nil, fmt.Errorf("%s: a trace is two files, nodes and pods: give their folder", from)
	}
	return LoadManifests(folder, names, label, from, o)
}

// LoadManifests reads a cluster from these manifests of a folder, all of them if names is nil.
func LoadManifests(folder fs.FS, names []string, label, source string, o LoadOptions) (*Cluster, error) {
	if names == nil {
		var err error
		if names, err = manifest.Files(folder, false); err != nil {
			return nil, err
		}
	}
	l := newLoader()
	l.cluster.Source = source
	if err := l.readManifests(folder, names, label); err != nil {
		return nil, err
	}
	return l.finish(o)
}

func loadTrace(nodes, pods, source string, o LoadOptions) (*Cluster, error) {
	c, err := ReadTrace(nodes, pods, o.Trace)
	if err != nil {
		return nil, err
	}
	c.Source = source
	l := newLoader()
	l.cluster = c
	return l.finish(LoadOptions{Defaults: Defaults{RuntimeClasses: o.Defaults.RuntimeClasses}})
}

// traceFiles finds the two files of a trace by their headers.
func traceFiles(folder string) (nodes, pods string, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.csv"))
	if err != nil || len(files) == 0 {
		return "", "", err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", "", err
		}
		header, _, _ := strings.Cut(string(text), "\n")
		columns := strings.Split(strings.TrimSpace(header), ",")
		switch {
		case slices.Contains(columns, "sn") && nodes == "":
			nodes = file
		case slices.Contains(columns, "name") && pods == "":
			pods = file
		default:
			return "", "", fmt.Errorf("%s, line 1: want one file with the columns of nodes (sn, ...) and one with those of pods (name, ...)", file)
		}
	}
	if nodes == "" || pods == "" {
		return "", "", fmt.Errorf("%s: want two CSV files, nodes and pods", folder)
	}
	return nodes, pods, nil
}

func (l *loader) finish(o LoadOptions) (*Cluster, error) {
	c := l.cluster
	note := func(format string, args ...any) { c.Notes = append(c.Notes, fmt.Sprintf(format, args...)) }
	if len(c.Nodes) == 0 {
		if len(o.Defaults.Nodes) == 0 {
			return nil, fmt.Errorf("%s: it contains no Node", c.Source)
		}
		c.Nodes = o.Defaults.Nodes
		note("the manifests contain no Node: the %d nodes of the demo are used", len(c.Nodes))
	}
	if len(o.Tenants) > 0 {
		l.oncePerTenant(o.Tenants)
	}
	l.expandDaemons()
	if err := l.addDefaultClasses(o.Defaults.RuntimeClasses); err != nil {
		return nil, err
	}
	for _, kind := range slices.Sorted(maps.Keys(l.ignored)) {
		note("%d objects of kind %s are left out: they neither create pods nor affect the scheduler", l.ignored[kind], kind)
	}
	if err := l.checkNodeNames(); err != nil {
		return nil, err
	}
	l.fillNamespaces(note)
	l.steer(note)
	if !slices.ContainsFunc(c.Pods, func(p *corev1.Pod) bool { return p.Spec.NodeName == "" }) {
		return nil, fmt.Errorf("%s: it contains no pod to place", c.Source)
	}
	return c, nil
}

// addDefaultClasses adds the missing RuntimeClasses.
func (l *loader) addDefaultClasses(folder fs.FS) error {
	if folder == nil {
		return nil
	}
	names, err := manifest.Files(folder, false)
	if err != nil {
		return err
	}
	d := newLoader()
	if err := d.readManifests(folder, slices.DeleteFunc(names, isKustomization), "RuntimeClasses"); err != nil {
		return err
	}
	for _, class := range d.cluster.RuntimeClasses {
		if l.cluster.runtimeClass(class.Name) != nil {
			continue
		}
		if l.cluster.Mapping != "" {
			class.Scheduling = nil // every machine of a trace is assumed to run VMs
		}
		l.cluster.RuntimeClasses = append(l.cluster.RuntimeClasses, class)
	}
	return nil
}

func isKustomization(name string) bool { return strings.HasPrefix(name, "kustomization.") }

// oncePerTenant copies the whole workload for every tenant.
func (l *loader) oncePerTenant(tenants []string) {
	c := l.cluster
	pods, daemons := c.Pods, l.daemons
	c.Pods, l.daemons, c.Namespaces = nil, nil, nil
	for _, tenant := range tenants {
		for _, pod := range pods {
			p := pod.DeepCopy()
			p.Namespace = tenant
			l.addPod(p)
		}
		for _, daemon := range daemons {
			d := daemon.DeepCopy()
			d.Namespace = tenant
			l.daemons = append(l.daemons, d)
		}
		c.Namespaces = append(c.Namespaces, tenantNamespace(tenant))
	}
	c.Others = nil
}

func (l *loader) checkNodeNames() error {
	known := map[string]bool{}
	for _, node := range l.cluster.Nodes {
		known[node.Name] = true
	}
	var errs []error
	for _, pod := range l.cluster.Pods {
		if name := pod.Spec.NodeName; name != "" && !known[name] {
			errs = append(errs, fmt.Errorf("%s, Pod %s/%s, spec.nodeName: there is no node %q", l.cluster.Source, pod.Namespace, pod.Name, name))
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func tenantNamespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{tenantLabel: name}}}
}

// fillNamespaces adds the missing namespaces of pods, each for a tenant of its own, except
// kube-system and the like, which belong to the platform.
func (l *loader) fillNamespaces(note func(string, ...any)) {
	for _, pod := range l.cluster.Pods {
		name := pod.Namespace
		if l.cluster.namespace(name) != nil {
			continue
		}
		ns := tenantNamespace(name)
		if strings.HasPrefix(name, "kube-") {
			ns.Labels = nil
		} else {
			note("namespace %s is missing in the manifests: it is added for a tenant of the same name", name)
		}
		l.cluster.Namespaces = append(l.cluster.Namespaces, ns)
	}
}

// steer sets the scheduler of tenants' pods that name none, as the admission policies do,
// and leaves out pods that wait for another scheduler.
func (l *loader) steer(note func(string, ...any)) {
	c := l.cluster
	left := 0
	c.Pods = slices.DeleteFunc(c.Pods, func(pod *corev1.Pod) bool {
		_, managed := c.namespace(pod.Namespace).Labels[tenantLabel]
		if pod.Spec.SchedulerName == "" && (managed || strings.HasPrefix(pod.Namespace, "kube-")) {
			pod.Spec.SchedulerName = schedulerName
		}
		if pod.Spec.NodeName == "" && pod.Spec.SchedulerName != schedulerName {
			left++
			return true
		}
		return false
	})
	if left > 0 {
		note("%d pods without a node wait for another scheduler and are left out", left)
	}
}
