package preflight

import (
	"context"
	"strings"
)

// people lists who may undo the isolation.
func (c *Checker) people(ctx context.Context) ([]Result, error) {
	rules, err := c.readRules(ctx)
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, power := range []struct {
		verbs           []string
		group, resource string
		may, fix        string
		// inNamespaces: a right in one namespace is enough to do harm.
		inNamespaces bool
	}{
		{
			[]string{"administer"},
			"tenantisolation.dev", "isolation",
			"may change isolation labels of namespaces (the verb administer)", "keep it to administrators of the platform", false,
		},
		{
			[]string{"force-delete"},
			"tenantisolation.dev", "isolation",
			"may delete pods at once while their containers may still run (the verb force-delete)",
			"keep it to those who know that a machine is off", false,
		},
		{
			[]string{"update", "patch"},
			"", "namespaces",
			"may edit Namespaces, and their isolation labels wherever the policy tenant-isolation-namespaces is not enforced",
			"enforce the policies, or remove the right", true,
		},
		{
			[]string{"create"},
			"", "pods/binding",
			"may bind pods to nodes, wherever the policy tenant-isolation-binding is not enforced", "leave it to schedulers", true,
		},
		{
			[]string{"create"},
			"", "bindings",
			"may bind pods to nodes, wherever the policy tenant-isolation-binding is not enforced", "leave it to schedulers", true,
		},
		{
			[]string{"update", "patch"},
			"", "nodes",
			"may edit Nodes: their labels, their taints and the runtime handlers that they report", "keep it to administrators of the platform", false,
		},
		{
			[]string{"create", "update", "patch", "delete"},
			"node.k8s.io", "runtimeclasses",
			"may change the handler of a RuntimeClass", "keep it to administrators of the platform", false,
		},
		{
			[]string{"update", "patch", "delete"},
			"admissionregistration.k8s.io", "validatingadmissionpolicybindings",
			"may switch the policies off", "keep it to administrators of the platform", false,
		},
	} {
		var found holders
		for _, verb := range power.verbs {
			found.add(rules.who(verb, power.group, power.resource, power.inNamespaces))
		}
		results = append(results, judgePower(&found, power.may, advise(power.fix+". These give the right", first(found.look)...))...)
	}
	if len(results) == 0 {
		results = pass("by RBAC, only Kubernetes itself may edit isolation labels, bind pods or change RuntimeClasses")
	}
	return results, nil
}

func judgePower(found *holders, may string, fix advice) []Result {
	all := append(found.everywhere, found.somewhere...)
	if len(all) == 0 {
		return nil
	}
	for _, name := range all {
		if strings.HasPrefix(name, "group system:") {
			return []Result{fail(fix, "%s %s: this group includes all users", name, may)}
		}
	}
	return []Result{warn(fix, "%s %s", some(all), may)}
}
