package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/isolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

func (c *Checker) runtimeClasses(context.Context) ([]Result, error) {
	var isolating, unlisted, handlers []string
	for _, class := range c.RuntimeClasses {
		switch {
		case c.Rules.Isolates(c.Rules.BoundaryOf(class.Handler)):
			isolating = append(isolating, class.Name)
		case c.Rules.BoundaryOf(class.Handler) == isolation.BoundaryContainer && c.Policy.Boundaries.Handlers[class.Handler] == "":
			unlisted, handlers = append(unlisted, fmt.Sprintf("%s (handler %s)", class.Name, class.Handler)), append(handlers, class.Handler)
		}
	}
	var results []Result
	if len(unlisted) > 0 {
		results = append(results, warn(c.changePolicy("if it isolates, say so; `sandbox` is for user-space kernels", listHandlers(handlers)), "%s: the handler is unknown, so its pods count as containers", some(unlisted)))
	}
	var demanding []string
	for _, ns := range c.Namespaces {
		if demand, err := isolation.ParseDemand(ns.Labels[isolation.BoundaryLabel]); err == nil && demand.Boundary > isolation.BoundaryContainer {
			demanding = append(demanding, ns.Name)
		}
	}
	switch {
	case len(isolating) > 0:
		results = append(results, pass("pods of %s may share a node with other trust domains", some(isolating))...)
	case len(demanding) > 0:
		results = append(results, fail(advise("install Kata Containers with its RuntimeClasses (chart kata-deploy)"),
			"there is none for VMs, and %s demand one: their pods stay Pending", some(demanding)))
	default:
		results = append(results, warn(advise("install Kata Containers with its RuntimeClasses (chart kata-deploy), if nodes are to be shared"),
			"there is none for VMs: every trust domain needs nodes of its own"))
	}
	return results, nil
}

func (c *Checker) runtimeHandlers(context.Context) ([]Result, error) {
	silent := 0
	offering := map[string]int{}
	for _, node := range c.Nodes {
		handlers := podfacts.ReportedHandlers(node)
		if handlers == nil {
			silent++
		}
		for handler := range handlers {
			offering[handler]++
		}
	}
	var results []Result
	if silent > 0 {
		results = append(results, warn(advise("use a container runtime that reports them (containerd 2, CRI-O 1.31), or give RuntimeClasses a scheduling.nodeSelector"),
			"%d of %d nodes report no runtime handlers: they are assumed to have all of them", silent, len(c.Nodes)))
	}
	for _, class := range c.RuntimeClasses {
		if silent == 0 && len(c.Nodes) > 0 && offering[class.Handler] == 0 {
			results = append(results, fail(advise("install the handler, or delete the RuntimeClass", "kubectl delete runtimeclass "+class.Name), "no node has handler %s of RuntimeClass %s: its pods stay Pending", class.Handler, class.Name))
		}
	}
	if len(results) == 0 {
		results = pass("every node reports them, and each RuntimeClass has a node")
	}
	return results, nil
}

// daemonSets finds DaemonSets that keep tenants off every node, and those that the taints
// of dedicated nodes would repel or evict.
func (c *Checker) daemonSets(ctx context.Context) ([]Result, error) {
	list, err := c.Client.AppsV1().DaemonSets("").List(ctx, listOptions())
	if err != nil {
		return nil, err
	}
	var unmanaged, namespaces, several, repelled, restarts []string
	for i := range list.Items {
		d := &list.Items[i]
		name := d.Namespace + "/" + d.Name
		pod := &v1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
		pod.Namespace = d.Namespace
		facts := podfacts.Facts{Privilege: isolation.PrivilegeRestricted}
		subject := c.Rules.Subject(pod, &facts, c.Store)
		if subject.Platform() {
			if c.Policy.Dedication.Mode == v1alpha1.ModeEnabled && !tolerates(pod, c.Policy) {
				repelled = append(repelled, name)
				restarts = append(restarts, restart("daemonset", d.Namespace, d.Name))
			}
			continue
		}
		if _, managed := subject.TrustDomain(); managed {
			several = append(several, name)
			continue
		}
		unmanaged = append(unmanaged, name)
		namespaces = append(namespaces, d.Namespace)
	}
	var results []Result
	if len(unmanaged) > 0 {
		results = append(results, fail(c.changePolicy("if they belong to the platform, add their namespaces to it; else keep them off tenants' nodes", addPlatform(distinct(namespaces))),
			"%s have no tenant and are not platform: no pod of a tenant may join a node where they run", some(unmanaged)))
	}
	if len(several) > 0 {
		results = append(results, warn(advise("give them a node pool, or a VM RuntimeClass"),
			"%s belong to tenants: they keep every other tenant off the nodes where they run", some(several)))
	}
	if len(repelled) > 0 {
		results = append(results, fail(advise("restart them: the policies add tolerations for "+isolation.TenantTaint+", "+isolation.DataClassTaint+" and "+isolation.BoundaryTaint, first(restarts)...),
			"%s would be repelled, or evicted, by the taints of dedicated nodes", some(repelled)))
	}
	if len(results) == 0 {
		results = pass("all %d are platform", len(list.Items))
	}
	return results, nil
}

// tolerates reports whether a pod tolerates the taints of dedicated nodes.
func tolerates(pod *v1.Pod, spec *v1alpha1.IsolationPolicySpec) bool {
	return !slices.ContainsFunc(isolation.DedicationTaints(), func(key string) bool {
		taint := v1.Taint{Key: key, Value: "x", Effect: v1.TaintEffect(strings.TrimSpace(string(spec.Dedication.TaintEffect)))}
		return !corev1.TolerationsTolerateTaint(klog.Background(), pod.Spec.Tolerations, &taint, true)
	})
}
