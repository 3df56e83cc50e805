package performance

import "path"

// fourAxesOps: namespaces of several data classes and privileges, pods of several
// privileges and user namespaces. A tenant has six trust domains, and there are 120.
func fourAxesOps(dir string) []op {
	return append(settled(dir, "namespace-axes.yaml", "pod-axes.yaml"),
		measure(allTenants(), createPods(dir, "measured", "pod-axes.yaml", allTenants())...)...)
}

// kataOps: every pod is in a VM, so that all tenants share nodes.
func kataOps(dir string) []op {
	class := op{"opcode": "createAny", "templatePath": path.Join(dir, "runtimeclass.yaml")}
	return append(append([]op{class}, settled(dir, "namespace.yaml", "pod-kata.yaml")...),
		measure(allTenants(), createPods(dir, "measured", "pod-kata.yaml", allTenants())...)...)
}

// halfUnschedulableOps: every node holds a pod of one of ten tenants, the pods of the
// other ten find no node, and pods that come and go make them try again.
func halfUnschedulableOps(dir, pod string) []op {
	at, without := allTenants()[:tenants/2], allTenants()[tenants/2:]
	ops := []op{createNodes(dir)}
	ops = append(ops, createNamespaces(dir, "resident", "namespace.yaml")...)
	ops = append(ops, createNamespaces(dir, "measured", "namespace.yaml")...)
	ops = append(ops, createNamespaces(dir, "pending", "namespace.yaml")...)
	for _, tenant := range at {
		ops = append(ops, op{
			"opcode": "createPods", "namespace": namespace("resident", tenant), "countParam": "$share",
			"podTemplatePath": path.Join(dir, "pod-placed.yaml"), "skipWaitToCompletion": true,
			"templateParams": map[string]any{"tenant": tenantName(tenant), "number": tenant, "of": len(at)},
		})
	}
	churn := op{
		"opcode": "churn", "mode": "recreate", "number": 10, "intervalMilliseconds": 100,
		"namespace": namespace("resident", 0), "templatePaths": []string{path.Join(dir, "churn-pod.yaml")},
	}
	create := createPods(dir, "pending", pod, without)
	create = append(create, createPods(dir, "measured", pod, at)...)
	return append(append(ops, churn), measure(at, create...)...)
}

// relabelledOps: while pods are placed, namespaces with 100 pods each get another data
// class, four a second.
func relabelledOps(dir string) []op {
	relabel := op{
		"opcode": "updateAny", "count": tenants, "updatePerSecond": 4,
		"templatePath": path.Join(dir, "namespace-relabelled.yaml"),
	}
	return append(settled(dir, "namespace.yaml", "pod.yaml"),
		measure(allTenants(), append(createPods(dir, "measured", "pod.yaml", allTenants()), relabel)...)...)
}

// churnOps: while pods are placed, nodes, pods and namespaces come and go.
func churnOps(dir string) []op {
	churn := op{
		"opcode": "churn", "mode": "recreate", "number": 10, "intervalMilliseconds": 100,
		"namespace":     namespace("resident", 0),
		"templatePaths": []string{path.Join(dir, "churn-pod.yaml"), path.Join(dir, "churn-node.yaml"), path.Join(dir, "churn-namespace.yaml")},
	}
	return append(append(settled(dir, "namespace.yaml", "pod.yaml"), churn),
		measure(allTenants(), createPods(dir, "measured", "pod.yaml", allTenants())...)...)
}
