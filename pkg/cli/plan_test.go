package cli_test

import (
	"strings"
	"testing"
)

// What a plan counts, and which sizes make none.
func TestPlanCounts(t *testing.T) {
	acme, globex := namespace("shop", tenant("acme")), namespace("api", tenant("globex"))
	deployment := workload("Deployment", "shop", "web")
	ssd := workload("DaemonSet", "api", "agent", "nodeSelector: {disk: ssd}")
	three := strings.Replace(large(strings.Replace(deployment, "image: example.com/app", `image: example.com/app, resources: {requests: {cpu: "1"}}`, 1)), "spec:\n  selector", "spec:\n  replicas: 3\n  selector", 1)
	heavy := kata + "\noverhead:\n  podFixed: {cpu: \"3\", memory: 1Gi}"
	for name, tc := range map[string]struct {
		input string
		args  []string
		want  int
		says  []string
	}{
		"a Deployment beside a bare pod":                  {list(node("n1"), acme, deployment, pod("shop", "bare", "")), nil, 0, []string{"2 pods to place"}},
		"a DaemonSet on some nodes keeps off those":       {list(labelled("n1", "disk: ssd"), node("n2"), acme, globex, ssd, deployment), nil, 0, []string{"1 pod to place"}},
		"a DaemonSet on the only node keeps off it":       {list(labelled("n1", "disk: ssd"), acme, globex, strings.Replace(ssd, "nodeSelector: {disk: ssd}", "hostPID: true", 1), deployment), nil, 1, []string{"each node has a pod of api/daemonset/agent"}},
		"a DaemonSet that would be refused is on no node": {list(node("n1"), acme, globex, strings.Replace(ssd, "nodeSelector: {disk: ssd}", "hostNetwork: true\n      tolerations: [{operator: Exists}]", 1), deployment), nil, 0, []string{"1 pod to place", "api/daemonset/agent would be refused, so it counts on no node: spec.tolerations"}},
		"a DaemonSet that runs is there, refused or not":  {list(node("n1"), acme, globex, deployment, ofDaemonSet(pod("api", "agent-1", "n1", "tolerations: [{operator: Exists}]"), "agent")), nil, 1, []string{"each node has a pod of api/daemonset/agent"}},
		"the limit of nodes":                              {list(policyInForce(3, limited), node("n1"), node("n2"), acme, three), nil, 0, []string{"tenant acme may have 1 node (maxNodesPerTenant), and 2 pods of it stay Pending"}},
		"pods that would be refused":                      {list(node("n1"), acme, workload("Deployment", "shop", "wrong", "nodeName: n1")), nil, 1, []string{"shop/deployment/wrong would be refused, and counts as it would be without the fault: spec.nodeName"}},
		"pods that would be refused beside another":       {list(node("n1"), acme, deployment, workload("Deployment", "shop", "wrong", "nodeName: n1")), nil, 0, []string{"shop/deployment/wrong would be refused, and counts as it would be without the fault: spec.nodeName"}},
		"a Job that has ended":                            {list(node("n1"), acme, deployment, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: done, namespace: shop}\nspec: {template: {spec: {containers: [{name: c, image: i}]}}}\nstatus: {conditions: [{type: Complete, status: \"True\"}]}"), nil, 0, []string{"1 pod to place"}},
		"fewer pods than none":                            {list(node("n1"), acme, strings.Replace(three, "replicas: 3", "replicas: -3", 1)), nil, 2, []string{"Deployment shop/web: spec.replicas is -3, and must not be negative"}},
		"more pods than a cluster may have":               {list(node("n1"), acme, strings.Replace(three, "replicas: 3", "replicas: 2147483647", 1)), nil, 2, []string{"more than 150000 pods", "shop/deployment/web"}},
		"a CronJob beside pods that run":                  {list(node("n1"), acme, pod("shop", "web", "n1"), "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly, namespace: shop}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i}]}}}}}"), nil, 0, []string{"1 pod to place", "shop/cronjob/nightly counts with the pods that run now"}},
		"further nodes of more CPU":                       {list(node("n1"), acme, three), []string{"--node-cpu=64"}, 0, []string{"on nodes of 64 CPU and 16Gi"}},
		"further nodes of more pods":                      {list(strings.Replace(node("n1"), `pods: "110"`, `pods: "1"`, 1), acme, strings.Replace(deployment, "spec:\n  selector", "spec:\n  replicas: 3\n  selector", 1)), []string{"--node-pods=110"}, 0, []string{"2 with the rule"}},
		"a VM that takes more memory":                     {list(forVMs("n1"), acme, globex, heavy, deployment, workload("Deployment", "api", "web")), []string{"--vm-memory=10Mi"}, 0, []string{"2 with the rule, and VMs"}},
		"nodes of no CPU":                                 {list(acme, deployment), []string{"--node-cpu=0"}, 2, []string{"--node-cpu=0"}},
		"nodes of less than nothing":                      {list(acme, deployment), []string{"--node-memory=-1Gi"}, 2, []string{"--node-memory=-1Gi"}},
		"nodes without pods":                              {list(acme, deployment), []string{"--node-pods=0"}, 2, []string{"--node-pods=0"}},
		"an overhead of less than nothing":                {list(acme, kata, deployment), []string{"--vm-cpu=-1"}, 2, []string{"--vm-cpu=-1"}},
		"DaemonSets that leave no room on a node":         {list(namespace("kube-system"), acme, deployment, strings.Replace(workload("DaemonSet", "kube-system", "agent"), "image: example.com/app", `image: example.com/app, resources: {requests: {cpu: "2"}}`, 1)), []string{"--node-cpu=2"}, 2, []string{"has no room for any pod"}},
		"the RuntimeClass of the namespace, in a plan":    {list(forVMs("n1"), kata, globex, namespace("shop", tenant("acme"), "tenantisolation.dev/runtime-class: kata-qemu"), deployment, strings.Replace(pod("api", "vm", ""), "\nstatus:", "\n  "+inVM+"\nstatus:", 1)), nil, 0, []string{"in VMs, of any tenant: 2 pods"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.input, append([]string{"plan", "-f", "-"}, tc.args...)...)
			if got.status != tc.want {
				t.Errorf("status %d, want %d\n%s%s", got.status, tc.want, got.out, got.errOut)
			}
			for _, text := range tc.says {
				if !strings.Contains(unfolded(got.out+got.errOut), unfolded(text)) {
					t.Errorf("%q is not said:\n%.3000s%s", text, got.out, got.errOut)
				}
			}
		})
	}
}

// ofDaemonSet is a pod that a DaemonSet has made.
func ofDaemonSet(pod, name string) string {
	return strings.Replace(pod, "\nspec:", "\n  ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: "+name+", uid: d, controller: true}]\nspec:", 1)
}
