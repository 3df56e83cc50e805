package cli

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// tenantKubeconfig is that of somebody with a role of Kubernetes in one namespace.
func (w *environment) tenantKubeconfig(t *testing.T, namespace, role string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role + "or"}}
	if _, err := w.api.CoreV1().ServiceAccounts(namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// There is no controller that fills the aggregated roles, so their rules are written here as they are aggregated.
	rules := []rbacv1.PolicyRule{
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"pods", "events", "persistentvolumeclaims", "namespaces", "resourcequotas", "replicationcontrollers"}},
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"apps", "batch"}, Resources: []string{"*"}},
	}
	if role == "edit" {
		rules = append(rules, rbacv1.PolicyRule{Verbs: []string{"create", "delete", "patch", "update"}, APIGroups: []string{"", "apps", "batch"}, Resources: []string{"pods", "deployments", "jobs"}})
	}
	_, err := w.api.RbacV1().Roles(namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: namespace}, Rules: rules}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.api.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: namespace}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account.Name}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config, err := w.plane.ServiceAccount(t.Context(), namespace, account.Name)
	if err != nil {
		t.Fatal(err)
	}
	w.awaitRight(t, account, namespace)
	kubeconfig, err := w.plane.WriteKubeconfig(namespace+"-"+role, config)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// awaitRight waits until the API server knows that a service account may list pods.
func (w *environment) awaitRight(t *testing.T, account *corev1.ServiceAccount, namespace string) {
	t.Helper()
	if err := w.plane.AwaitAccess(t.Context(), authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:" + account.Namespace + ":" + account.Name,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "list", Resource: "pods"},
	}); err != nil {
		t.Fatal(err)
	}
}

// pending creates a pod that waits, of which a scheduler says this.
func (w *environment) pending(t *testing.T, pod *corev1.Pod, says string) *corev1.Pod {
	t.Helper()
	w.pod(t, pod)
	return w.status(t, pod.Namespace, pod.Name, corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: says,
	}}})
}

func (w *environment) status(t *testing.T, namespace, name string, status corev1.PodStatus) *corev1.Pod {
	t.Helper()
	pod, err := w.api.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err == nil {
		pod.Status = status
		pod, err = w.api.CoreV1().Pods(namespace).UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func (w *environment) event(t *testing.T, kind, namespace, name string, uid types.UID, reason, by, message string) {
	t.Helper()
	_, err := w.api.CoreV1().Events(namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e-", Namespace: namespace}, Reason: reason, Message: message, Type: corev1.EventTypeWarning,
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: namespace, Name: name, UID: uid},
		Source:         corev1.EventSource{Component: by}, LastTimestamp: metav1.Now(),
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func ownedBy(pod *corev1.Pod, kind, name string, uid types.UID) *corev1.Pod {
	yes := true
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: uid, Controller: &yes}}
	return pod
}

// With the rights of one namespace, one command says what is the matter and who can help.
func TestExplainWithRightsInOneNamespace(t *testing.T) {
	w := newEnvironment(t)
	const ns = "own-acme"
	w.namespace(t, ns, "acme")
	w.node(t, "own-1")
	full := "0/6 nodes are available: 2 Insufficient cpu, 4 " + isolation.ForeignResident.Sentence() + ". preemption: 0/6 nodes are available: 6 Preemption is not helpful for scheduling."
	w.pending(t, plainPod(ns, "full", ""), full)
	limited := "0/6 nodes are available: 3 " + isolation.NodeLimit.Sentence() + ", 3 node(s) had untolerated taint {tenantisolation.dev/tenant: globex}."
	w.pending(t, plainPod(ns, "limited", ""), limited)
	w.pod(t, plainPod(ns, "unseen", ""))
	w.pod(t, plainPod(ns, "runs", "own-1"))
	w.status(t, ns, "runs", corev1.PodStatus{Phase: corev1.PodRunning})
	w.pod(t, plainPod(ns, "image", "own-1"))
	w.status(t, ns, "image", corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}},
	}}})
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Spec: corev1.PodSpec{Containers: plainPod("", "", "").Spec.Containers}}
	selector := &metav1.LabelSelector{MatchLabels: template.Labels}
	deployment, err := w.api.AppsV1().Deployments(ns).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	set, err := w.api.AppsV1().ReplicaSets(ns).Create(t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: deployment.UID, Controller: &yes}}},
		Spec:       appsv1.ReplicaSetSpec{Selector: selector, Template: template},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.pending(t, ownedBy(plainPod(ns, "web-1-x", ""), "ReplicaSet", set.Name, set.UID), full)
	jobTemplate := *template.DeepCopy()
	jobTemplate.Spec.RestartPolicy = corev1.RestartPolicyNever
	job, err := w.api.BatchV1().Jobs(ns).Create(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "load"}, Spec: batchv1.JobSpec{Template: jobTemplate}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.event(t, "Job", ns, "load", job.UID, "FailedCreate", "job-controller", `Error creating: pods "load-" is forbidden: exceeded quota: q`)
	cron, err := w.api.BatchV1().CronJobs(ns).Create(t.Context(), &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "nightly"}, Spec: batchv1.CronJobSpec{Schedule: "0 0 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: jobTemplate}}},
	}, metav1.CreateOptions{})
	if err != nil || cron.Name == "" {
		t.Fatal(err)
	}
	edit, view := w.tenantKubeconfig(t, ns, "edit"), w.tenantKubeconfig(t, ns, "view")
	for name, tc := range map[string]struct {
		args   []string
		status int
		says   []string
	}{
		"a node for it is in use":      {[]string{"full"}, 1, []string{"pod/full in namespace own-acme: Pending", "in use by others", "Who can help: the cluster's autoscaler", "The scheduler says: 0/6 nodes are available"}},
		"the limit of nodes":           {[]string{"pod/limited"}, 1, []string{"as many nodes as it may have. Who can help: you", "untolerated taint {...}"}},
		"no scheduler has seen it":     {[]string{"unseen"}, 2, []string{"No scheduler has looked at it yet"}},
		"it runs":                      {[]string{"runs"}, 0, []string{"It runs. Who can help: nobody has to"}},
		"its image is missing":         {[]string{"image"}, 1, []string{"container app does not start: ImagePullBackOff. Who can help: you"}},
		"a Deployment by its pod":      {[]string{"deployment/web"}, 1, []string{"pod/web-1-x", "deployment/web: 0 of its 1 pods are on nodes"}},
		"a ReplicaSet by its pod":      {[]string{"rs/web-1"}, 1, []string{"pod/web-1-x"}},
		"a Job whose pods are refused": {[]string{"job/load"}, 1, []string{"quota has no room", "Who can help: an administrator"}},
		"a CronJob before its time":    {[]string{"cj/nightly"}, 0, []string{"has made no pod yet"}},
		"JSON":                         {[]string{"full", "-o", "json"}, 1, []string{`"whoCanHelp": "the cluster's autoscaler"`, `"judged": true`}},
		"what is not there":            {[]string{"deployment/none"}, 2, []string{"no \"deployment/none\" in namespace own-acme"}},
		"no kind of pods":              {[]string{"service/web"}, 2, []string{"is no kind of pods: use pod, deployment"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kubeconfig := range []string{edit, view} {
				got := w.run(t, kubeconfig, append([]string{"explain", "-n", ns}, tc.args...)...)
				if got.status != tc.status {
					t.Errorf("status %d, want %d:\n%s%s", got.status, tc.status, got.out, got.errOut)
				}
				for _, text := range tc.says {
					if !strings.Contains(unfolded(got.out+got.errOut), unfolded(text)) {
						t.Errorf("%q is not said:\n%s%s", text, got.out, got.errOut)
					}
				}
				if strings.Contains(got.out+got.errOut, "globex") {
					t.Errorf("another tenant is named:\n%s%s", got.out, got.errOut)
				}
			}
		})
	}
	t.Run("a manifest is tried", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pod.yaml")
		text := "apiVersion: v1\nkind: Pod\nmetadata: {name: new}\nspec:\n  hostPID: true\n  containers: [{name: c, image: a}]\n---\n" +
			"apiVersion: v1\nkind: Pod\nmetadata: {name: wrong}\nspec:\n  runtimeClassName: none\n  containers: [{name: c, image: a}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := w.run(t, edit, "explain", "-n", ns, "-f", path)
		for _, text := range []string{"pod/new", "It would be made.", "host namespaces", `It would be refused: pod rejected: RuntimeClass "none" not found`, "no right to list nodes"} {
			if !strings.Contains(unfolded(got.out+got.errOut), text) {
				t.Errorf("%q is not said:\n%s%s", text, got.out, got.errOut)
			}
		}
		if got.status != 1 {
			t.Errorf("status %d, want 1", got.status)
		}
		// One that may not create pods has not asked.
		got = w.run(t, view, "explain", "pod/new", "-n", ns, "-f", path)
		if got.status != 2 || strings.Contains(got.out, "It would be made.") || !strings.Contains(unfolded(got.out), "Not judged whether it would be made: no right to create pods") {
			t.Errorf("with the role view: status %d, want 2 and that it was not judged:\n%s%s", got.status, got.out, got.errOut)
		}
	})
}

// Whatever is in a cluster, what a tenant is told names no other tenant, namespace, pod or node but those of its own pods.
func TestExplainNamesNobodyElse(t *testing.T) {
	w := newEnvironment(t)
	random := rand.New(rand.NewPCG(18, 6))
	for round := range 3 {
		word := func() string { return fmt.Sprintf("q%08x", random.Uint32()) }
		me, namespace := word(), word()
		w.namespace(t, namespace, me)
		foreign := sets.New[string]()
		nodes := []string{}
		for range 3 {
			nodes = append(nodes, word())
			w.node(t, nodes[len(nodes)-1])
		}
		foreign.Insert(nodes...)
		for range 3 {
			tenant, ns, pod := word(), word(), word()
			foreign.Insert(tenant, ns, pod)
			w.namespace(t, ns, tenant)
			w.pod(t, plainPod(ns, pod, nodes[random.IntN(len(nodes))]))
		}
		secrets := foreign.UnsortedList()
		secret := func() string { return secrets[random.IntN(len(secrets))] }
		sentences := []func() string{
			func() string { return isolation.ForeignResident.Sentence() },
			func() string { return isolation.NodeLimit.Sentence() },
			func() string { return "Insufficient cpu" },
			func() string { return "node(s) had untolerated taint {tenantisolation.dev/tenant: " + secret() + "}" },
			func() string {
				return "node(s) had untolerated taint(s) {tenantisolation.dev/tenant=" + secret() + ":NoSchedule}"
			},
			func() string { return "node(s) didn't match Pod's node affinity/selector" },
			func() string { return "node(s) didn't tolerate tenantisolation.dev/tenant=" + secret() },
		}
		kubeconfig := w.tenantKubeconfig(t, namespace, "edit")
		for i := range 4 {
			name := fmt.Sprintf("own%d-%d", round, i)
			message := "0/3 nodes are available:"
			for range 1 + random.IntN(4) {
				message += fmt.Sprintf(" %d %s,", 1+random.IntN(3), sentences[random.IntN(len(sentences))]())
			}
			pod := w.pending(t, plainPod(namespace, name, ""), strings.TrimSuffix(message, ",")+".")
			for reason, by := range map[string]string{"NotTriggerScaleUp": "cluster-autoscaler", "FailedScheduling": "karpenter", "TriggeredScaleUp": "cluster-autoscaler", "Odd": secret()} {
				if random.IntN(2) == 0 {
					w.event(t, "Pod", namespace, name, pod.UID, reason, by, fmt.Sprintf(
						"pod didn't fit: [{%s 1->2}], incompatible with nodepool %q, did not tolerate %s=%s, node %s", secret(), secret(), secret(), secret(), secret()))
				}
			}
			for _, format := range []string{"", "json", "yaml"} {
				args := []string{"explain", name, "-n", namespace}
				if format != "" {
					args = append(args, "-o", format)
				}
				got := w.run(t, kubeconfig, args...)
				if got.status != 1 || !strings.Contains(got.out, name) {
					t.Fatalf("status %d, want 1 and an answer:\n%s%s", got.status, got.out, got.errOut)
				}
				for _, text := range secrets {
					if strings.Contains(got.out+got.errOut, text) {
						t.Errorf("%s, which is of others, is named:\n%s%s", text, got.out, got.errOut)
					}
				}
			}
		}
	}
}

// What is not of the rule keeps a pod off nodes as well, and a pod that can go nowhere has status 1.
func TestExplainOnALiveCluster(t *testing.T) {
	w := newEnvironment(t)
	const ns = "reach-acme"
	w.node(t, "reach-1")
	w.node(t, "reach-2")
	w.namespace(t, ns, "reach")
	selects := plainPod(ns, "selects", "")
	selects.Spec.NodeSelector = map[string]string{"disk": "ssd"}
	w.pod(t, selects)
	huge := plainPod(ns, "huge", "")
	huge.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("99")}
	w.pending(t, huge, "0/2 nodes are available: 2 Insufficient cpu.")
	mounts := plainPod(ns, "mounts", "")
	mounts.Spec.Volumes = []corev1.Volume{{Name: "d", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "none"}}}}
	w.pod(t, mounts)
	for name, says := range map[string][]string{
		"selects": {"0 of ", "NodeAffinity: node(s) didn't match Pod's node affinity/selector"},
		"huge":    {"NodeResourcesFit: Insufficient cpu", "The scheduler says: 0/2 nodes are available: 2 Insufficient cpu."},
		"mounts":  {`persistentvolumeclaim "none" not found`},
	} {
		got := w.run(t, w.plane.AdminKubeconfig(), "explain", name, "-n", ns)
		for _, text := range says {
			if !strings.Contains(got.out, text) {
				t.Errorf("%s: %q is not said:\n%s%s", name, text, got.out, got.errOut)
			}
		}
		if got.status != 1 {
			t.Errorf("%s: status %d, want 1", name, got.status)
		}
	}
}
