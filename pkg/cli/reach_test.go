package cli_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"

	"tenantisolation.dev/scheduler/api/v1alpha1"
)

// labelled is a node with labels.
func labelled(name string, labels ...string) string {
	return strings.Replace(node(name), "\nstatus:", "\n  labels:\n    "+strings.Join(append(labels, "kubernetes.io/hostname: "+name), "\n    ")+"\nstatus:", 1)
}

// limited dedicates nodes, of which a tenant may have half.
func limited(spec *v1alpha1.IsolationPolicySpec) {
	dedicating(spec)
	half := intstr.FromString("50%")
	spec.Dedication.MaxNodesPerTenant = &half
}

// What keeps a pod off nodes is named, with counts, and a pod that can go nowhere has status 1.
func TestExplainReach(t *testing.T) {
	acme, globex := namespace("shop", tenant("acme")), namespace("api", tenant("globex"))
	affine := []string{"affinity:", "  podAffinity:", "    requiredDuringSchedulingIgnoredDuringExecution:", "    - topologyKey: kubernetes.io/hostname", "      labelSelector: {matchLabels: {inst: a1}}"}
	spread := []string{"topologySpreadConstraints:", "- {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: zone}}}"}
	inZone := func(name, zone string) string { return labelled(name, "topology.kubernetes.io/zone: "+zone) }
	withLabel := func(pod, label string) string {
		return strings.Replace(pod, "\nspec:", "\n  labels:\n    "+label+"\nspec:", 1)
	}
	const claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: d-db-0\n  namespace: shop\nspec:\n  accessModes: [ReadWriteOnce]\n  storageClassName: local-disk\n  volumeName: local-n1\n  resources: {requests: {storage: 1Gi}}"
	const volume = "apiVersion: v1\nkind: PersistentVolume\nmetadata:\n  name: local-n1\nspec:\n  capacity: {storage: 1Gi}\n  accessModes: [ReadWriteOnce]\n  storageClassName: local-disk\n  local: {path: /mnt}\n" +
		"  claimRef: {namespace: shop, name: d-db-0}\n  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n1]}]}]}}"
	const disk = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata:\n  name: local-disk\nprovisioner: kubernetes.io/no-provisioner\nvolumeBindingMode: WaitForFirstConsumer"
	mounting := pod("shop", "db-0", "", "volumes:", "- name: d", "  persistentVolumeClaim:", "    claimName: d-db-0")
	free := strings.Replace(strings.Replace(volume, "  claimRef: {namespace: shop, name: d-db-0}\n", "", 1), "local-n1", "free-n1", 1)
	set := workload("StatefulSet", "shop", "db") + "\n  volumeClaimTemplates:\n  - metadata: {name: d}\n    spec: {accessModes: [ReadWriteOnce], storageClassName: local-disk, resources: {requests: {storage: 1Gi}}}"
	tainted := strings.Replace(node("n2"), "\nstatus:", "\nspec:\n  taints:\n  - {key: pool, value: gpu, effect: NoSchedule}\nstatus:", 1)
	closed := strings.Replace(node("n2"), "\nstatus:", "\nspec:\n  unschedulable: true\nstatus:", 1)
	heavy := strings.Replace(kata, "metadata:", "overhead:\n  podFixed: {cpu: \"3800m\"}\nmetadata:", 1)
	for name, tc := range map[string]struct {
		input string
		pod   string
		want  int
		says  []string
	}{
		"a selector that matches no node":      {list(node("n1"), node("n2"), acme, pod("shop", "web", "", "nodeSelector: {disk: ssd}")), "web", 1, []string{"0 of 2 admit it, as it can reach none", "2  denied  NodeAffinity: node(s) didn't match Pod's node affinity/selector"}},
		"a selector, where no RuntimeClass is": {list(labelled("n1", "disk: ssd"), acme, pod("shop", "web", "", "nodeSelector: {disk: ssd}")), "web", 0, []string{"1 of 1 admit it"}},
		"requests that no node has room for": {
			list(node("n1"), strings.Replace(node("n2"), `"4"`, "100m", 1), acme, pod("shop", "web", "")), "web", 0,
			[]string{"1 of the 1 that it can reach admit it, of 2 in all", "1  denied  NodeResourcesFit: Insufficient cpu, for example n2"},
		},
		"a taint":                           {list(node("n1"), tainted, acme, globex, pod("api", "a", "n1"), pod("shop", "web", "")), "web", 1, []string{"0 of the 1", "TaintToleration: node(s) had untolerated taint(s), for example n2", "1  denied  ForeignResident"}},
		"a node that is closed":             {list(closed, acme, pod("shop", "web", "")), "web", 1, []string{"NodeUnschedulable: node(s) were unschedulable"}},
		"affinity to a pod where it is not": {list(labelled("n1"), labelled("n2"), acme, withLabel(pod("shop", "assistant", "n1"), "inst: a1"), pod("shop", "build", "", append([]string{"hostPID: true"}, affine...)...)), "build", 1, []string{"0 of the 1 that it can reach", "ForeignResident", "InterPodAffinity: node(s) didn't match pod affinity rules, for example n2"}},
		"spread over zones that are in use": {
			list(inZone("n1", "a"), inZone("n2", "b"), acme, globex, pod("api", "a", "n2"), withLabel(pod("shop", "zone-1", "n1"), "app: zone"), withLabel(pod("shop", "zone-2", "", spread...), "app: zone")), "zone-2", 1,
			[]string{"0 of the 1 that it can reach", "1  denied  PodTopologySpread: node(s) didn't match pod topology spread constraints, for example n1"},
		},
		"a volume on the disk of a node":            {list(labelled("n1"), labelled("n2"), acme, globex, claim, volume, disk, pod("api", "a", "n1"), mounting), "db-0", 1, []string{"0 of the 1", "ForeignResident", "1  denied  "}},
		"a volume that a StatefulSet will claim":    {list(labelled("n1"), labelled("n2"), acme, disk, free, set), "statefulset/db", 0, []string{"1 of the 1 that it can reach", "VolumeBinding: node(s) didn't find available persistent volumes to bind, for example n2"}},
		"a PVC of which nothing is known":           {list(node("n1"), acme, mounting), "db-0", 0, []string{"1 of 1 admit it", "PVC d-db-0 is not counted"}},
		"scheduling gates":                          {list(node("n1"), acme, pod("shop", "web", "", "schedulingGates: [{name: quota}]")), "web", 1, []string{"SchedulingGates: pod waits for its scheduling gates quota"}},
		"as many nodes as the tenant may have":      {list(policyInForce(3, limited), dedicatedNode("n1", "acme"), node("n2"), acme, large(pod("shop", "web-0", "n1")), large(pod("shop", "web-1", ""))), "web-1", 1, []string{"1  denied  NodeLimit", "1  denied  NodeResourcesFit: Insufficient cpu"}},
		"the RuntimeClass of the namespace":         {list(forVMs("n1"), node("n2"), kata, namespace("shop", tenant("acme"), "tenantisolation.dev/runtime-class: kata-qemu"), pod("shop", "web", "")), "web", 0, []string{"Admission adds: RuntimeClass kata-qemu", "boundary=vm"}},
		"the overhead of the namespace's class":     {list(forVMs("n1"), heavy, namespace("shop", tenant("acme"), "tenantisolation.dev/runtime-class: kata-qemu"), pod("shop", "web", "")), "web", 1, []string{"an overhead of 3800m CPU", "Insufficient cpu"}},
		"several faults are named at once":          {list(node("n1"), acme, pod("shop", "web", "", "priorityClassName: system-node-critical", "tolerations: [{operator: Exists}]")), "web", 1, []string{"It would be refused: ", "spec.priorityClassName is a class of the system", "has an entry without a key"}},
		"a RuntimeClass that does not exist":        {list(node("n1"), acme, pod("shop", "web", "", "runtimeClassName: none")), "web", 1, []string{`It would be refused: pod rejected: RuntimeClass "none" not found`}},
		"a VM would need more than the node has":    {list(forVMs("n1"), heavy, acme, globex, pod("api", "vm", "n1", inVM), pod("shop", "web", "")), "web", 1, []string{"ForeignResident"}},
		"the message of the scheduler":              {list(node("n1"), acme, pod("shop", "web", "")+"\n  conditions:\n  - {type: PodScheduled, status: \"False\", reason: Unschedulable, message: \"0/1 nodes are available: 1 Insufficient cpu.\"}"), "web", 0, []string{"The scheduler says: 0/1 nodes are available: 1 Insufficient cpu."}},
		"a toleration that admission gives":         {list(policyInForce(3, dedicating), dedicatedNode("n1", "acme"), acme, pod("shop", "web", "")), "web", 0, []string{"1 of 1 admit it", "DedicatedNode"}},
		"a node that is dedicated to somebody else": {list(policyInForce(3, dedicating), dedicatedNode("n1", "globex"), acme, pod("shop", "web", "")), "web", 1, []string{"0 of 1 admit it", "ForeignDedication"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.input, "explain", tc.pod, "-n", "shop", "-f", "-")
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
