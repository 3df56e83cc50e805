package preflight

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"tenantisolation.dev/scheduler/pkg/admission"
)

// Names of what is installed.
const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
)

// Lease is the lease of the scheduler as its configuration is shipped, namespace/name.
const Lease = systemNamespace + "/" + schedulerName

// componentLabels are on the Deployment of a scheduler and on its pods.
var componentLabels = labels.SelectorFromSet(labels.Set{
	"app.kubernetes.io/component": "scheduler", "app.kubernetes.io/part-of": "tenant-isolation",
})

// deployments returns the Deployments of schedulers of this project, wherever they are. They may have any name.
func (c *Checker) deployments(ctx context.Context) ([]appsv1.Deployment, error) {
	list, err := c.Client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{LabelSelector: componentLabels.String()})
	if err != nil {
		return nil, err
	}
	if len(list.Items) > 0 {
		return list.Items, nil
	}
	deployment, err := c.Client.AppsV1().Deployments(systemNamespace).Get(ctx, schedulerName, getOptions())
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []appsv1.Deployment{*deployment}, nil
}

// schedulerNames are the names by which pods ask for the schedulers that isolate, or else the shipped one.
func (c *Checker) schedulerNames(ctx context.Context) ([]string, error) {
	names, err := SchedulerNames(ctx, c.Client)
	if err == nil && len(names) == 0 {
		names = []string{schedulerName}
	}
	return names, err
}

// SchedulerNames returns the names by which pods ask for the schedulers that isolate, as the leader has written them; none if
// it has not, or without the right to read them.
func SchedulerNames(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	parameters, err := client.CoreV1().ConfigMaps(admission.Namespace).Get(ctx, admission.ParametersName, getOptions())
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return strings.Fields(parameters.Data["schedulerNames"]), nil
}

// leader holds a lease.
type leader struct {
	lease, holder string
	// lately: it has renewed its lease.
	lately bool
	// ours: it is a pod of a Deployment that was found.
	ours bool
}

// leaders returns who holds the lease of the scheduler, and which of the pods of Deployments hold others.
func (c *Checker) leaders(ctx context.Context, deployments []appsv1.Deployment) ([]leader, error) {
	shipped := cmp.Or(c.Lease, Lease)
	namespace, name, found := strings.Cut(shipped, "/")
	if !found {
		return nil, fmt.Errorf("the lease %s is not NAMESPACE/NAME", shipped)
	}
	var all []coordinationv1.Lease
	lease, err := c.Client.CoordinationV1().Leases(namespace).Get(ctx, name, getOptions())
	switch {
	case err == nil:
		all = append(all, *lease)
	case !apierrors.IsNotFound(err):
		return nil, err
	}
	var namespaces []string
	for i := range deployments {
		namespaces = append(namespaces, deployments[i].Namespace)
	}
	for _, in := range distinct(append(namespaces, systemNamespace)) {
		list, err := c.Client.CoordinationV1().Leases(in).List(ctx, listOptions())
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(list.Items, func(l coordinationv1.Lease) bool { return l.Namespace == namespace && l.Name == name })...)
	}
	hosts := c.schedulerHosts()
	var leaders []leader
	for i := range all {
		l := &all[i]
		if l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity == "" || l.Spec.RenewTime == nil {
			continue
		}
		// kube-scheduler makes it of the host's name and a random part.
		host, _, _ := strings.Cut(*l.Spec.HolderIdentity, "_")
		found := leader{
			lease: l.Namespace + "/" + l.Name, holder: host, ours: slices.Contains(hosts, host),
			// As long as three leases: the clocks differ.
			lately: c.Now().Sub(l.Spec.RenewTime.Time) < time.Minute,
		}
		if found.lease == shipped || found.ours && found.lately {
			leaders = append(leaders, found)
		}
	}
	return leaders, nil
}

// schedulerHosts are the names of the hosts that the pods of the scheduler see.
func (c *Checker) schedulerHosts() []string {
	var hosts []string
	for _, pod := range c.Pods {
		switch {
		case !componentLabels.Matches(labels.Set(pod.Labels)):
		case pod.Spec.HostNetwork:
			hosts = append(hosts, pod.Spec.NodeName)
		default:
			hosts = append(hosts, pod.Name)
		}
	}
	return hosts
}

// scheduler checks that one scheduler leads, and that another can take over.
func (c *Checker) scheduler(ctx context.Context) ([]Result, error) {
	deployments, err := c.deployments(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.leaders(ctx, deployments)
	if err != nil {
		return nil, err
	}
	lead := slices.DeleteFunc(slices.Clone(found), func(l leader) bool { return !l.lately })
	if len(deployments) == 0 {
		return []Result{c.outside(found, lead)}, nil
	}
	if len(lead) > 1 {
		return []Result{rivals(lead)}, nil
	}
	if len(lead) == 1 && !lead[0].ours {
		return append(pass("%s leads, which is no pod of %s: these stand by", lead[0].holder, some(namesOf(deployments))), notReady(deployments, Warn)...), nil
	}
	results := notReady(deployments, Fail)
	ready := int32(0)
	for i := range deployments {
		ready += deployments[i].Status.ReadyReplicas
	}
	first := &deployments[0]
	switch {
	case ready == 0:
	case len(lead) == 0 && len(found) > 0:
		results = append(results, fail(advise("find out why none takes it", fmt.Sprintf("kubectl logs --namespace=%s deployment/%s", first.Namespace, first.Name)),
			"%d replicas are ready, and none of them leads: %s, which held the lease %s, has not renewed it for a minute: tenants' pods stay Pending", ready, found[0].holder, found[0].lease))
	case ready == 1:
		results = append(results, warn(advise("run two", fmt.Sprintf("kubectl scale --namespace=%s deployment/%s --replicas=2", first.Namespace, first.Name)),
			"one replica of %s is ready: while it restarts, tenants' pods stay Pending", some(namesOf(deployments))))
	default:
		results = append(results, pass("%d replicas of %s are ready", ready, some(namesOf(deployments)))...)
	}
	return results, nil
}

// outside judges a scheduler without a Deployment.
func (c *Checker) outside(found, lead []leader) Result {
	lease := cmp.Or(c.Lease, Lease)
	switch {
	case len(lead) > 0:
		return pass("no Deployment of it is in the cluster, and %s leads by the lease %s", lead[0].holder, lease)[0]
	case len(found) > 0:
		namespace, name, _ := strings.Cut(lease, "/")
		return fail(advise("start the scheduler on "+found[0].holder+" again, and see who holds the lease", fmt.Sprintf("kubectl get lease --namespace=%s %s", namespace, name)),
			"no Deployment of it is in the cluster, and %s, which led, has not renewed the lease %s for a minute: tenants' pods stay Pending", found[0].holder, lease)
	}
	made := c.install(nil)
	made.says = "if it runs outside of the cluster by another lease, name that with --lease; else " + made.says
	return fail(made, "not installed: there is no Deployment of it, and nobody holds the lease %s", lease)
}

// rivals is for schedulers of this project that lead at the same time.
func rivals(lead []leader) Result {
	var names []string
	for _, l := range lead {
		names = append(names, fmt.Sprintf("%s by the lease %s", l.holder, l.lease))
	}
	return fail(advise("give them one lease (leaderElection.resourceNamespace and resourceName of their configuration), or stop all but one. These are they",
		"kubectl get deployments --all-namespaces --selector="+componentLabels.String()),
		"%d schedulers lead at the same time: %s. Each writes the policy that is in force, and where nodes are dedicated, only the one that began last places pods", len(lead), some(names))
}

// notReady has a line for each Deployment without a ready replica.
func notReady(deployments []appsv1.Deployment, status Status) []Result {
	var results []Result
	for i := range deployments {
		if d := &deployments[i]; d.Status.ReadyReplicas == 0 {
			says := fmt.Sprintf("no replica of %s/%s is ready", d.Namespace, d.Name)
			if status == Fail && len(deployments) == 1 {
				says += ": tenants' pods stay Pending"
			}
			made := fail(advise("see why", fmt.Sprintf("kubectl describe --namespace=%s deployment,pods", d.Namespace)), "%s", says)
			made.Status = status
			results = append(results, made)
		}
	}
	return results
}

func namesOf(deployments []appsv1.Deployment) []string {
	var names []string
	for i := range deployments {
		names = append(names, deployments[i].Namespace+"/"+deployments[i].Name)
	}
	return names
}
