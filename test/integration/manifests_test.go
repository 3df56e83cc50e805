package integration

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
	"tenantisolation.dev/scheduler/pkg/apis/config/scheme"
	"tenantisolation.dev/scheduler/pkg/policy"
)

const (
	systemNamespace = "tenant-isolation-system"
	schedulerName   = "tenant-isolation-scheduler"
	pluginName      = "TenantIsolation"
)

func TestManifestsApplyTwice(t *testing.T) {
	c := controlplanetest.Start(t, controlplane.Options{})

	for _, dir := range []string{"crds", "base", "examples/kata-runtimeclasses", "overlays/audit", "overlays/default"} {
		t.Run(dir, func(t *testing.T) {
			apply(t, c, dir)
			once := versions(t, c, dir)
			apply(t, c, dir)
			if diff := cmp.Diff(once, versions(t, c, dir)); diff != "" {
				t.Errorf("applied a second time, it still changes something (-once +twice):\n%s", diff)
			}
		})
	}

	t.Run("the namespace accepts the scheduler's own pods", func(t *testing.T) {
		client := mustClient(t, c)
		deployment := schedulerDeployment(t, client)
		pod := &corev1.Pod{ObjectMeta: deployment.Spec.Template.ObjectMeta, Spec: deployment.Spec.Template.Spec}
		pod.Name = "replica"
		if _, err := client.CoreV1().Pods(systemNamespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	})

	t.Run("the disruption budget is that of the scheduler's pods", func(t *testing.T) {
		client := mustClient(t, c)
		deployment := schedulerDeployment(t, client)
		budget, err := client.PolicyV1().PodDisruptionBudgets(systemNamespace).Get(t.Context(), schedulerName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if !selects(t, budget, deployment.Spec.Template.Labels) {
			t.Errorf("selector %v does not match the pods' labels %v", budget.Spec.Selector, deployment.Spec.Template.Labels)
		}
		if least := budget.Spec.MinAvailable.IntValue(); int32(least) >= *deployment.Spec.Replicas {
			t.Errorf("%d of %d replicas have to be available: no node with one could ever be drained", least, *deployment.Spec.Replicas)
		}
	})

	t.Run("the deployment runs the configuration that is shipped", func(t *testing.T) {
		client := mustClient(t, c)
		volume := schedulerDeployment(t, client).Spec.Template.Spec.Volumes[0]
		mounted, err := client.CoreV1().ConfigMaps(systemNamespace).Get(t.Context(), volume.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// The overlay that was applied last goes by an IsolationPolicy.
		want := map[string]string{"scheduler-config.yaml": readFile(t, manifests(t, "components", "policy", "scheduler-config.yaml"))}
		if diff := cmp.Diff(want, mounted.Data); diff != "" {
			t.Errorf("mounted configuration (-want +got):\n%s", diff)
		}
	})
}

func TestManifestsRightsAreEnough(t *testing.T) {
	c := controlplanetest.Start(t, controlplane.Options{})
	apply(t, c, "base")
	client := mustClient(t, c)
	if _, err := buildProgram(); err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme-web", Labels: labelMap([]label{tenant("acme")})}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Nodes().Create(t.Context(), newNode("node-1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.PodSpec{SchedulerName: schedulerName, Containers: []corev1.Container{{Name: "c", Image: "none"}}},
	}
	if _, err := client.CoreV1().Pods(namespace.Name).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	user, err := c.ServiceAccount(t.Context(), systemNamespace, schedulerName)
	if err != nil {
		t.Fatal(err)
	}
	scheduler, err := c.StartScheduler(t.Context(), controlplane.SchedulerOptions{
		Config: schedulerConfigFile(t),
		User:   user,
		// Without the right to identify who calls its endpoints it ends, too.
		Args: []string{"--authentication-tolerate-lookup-failure=false", "--v=2"},
	})
	if err != nil {
		t.Fatal(err)
	}

	eventually(t, "a node for the pod", func(ctx context.Context) (bool, error) {
		if err := c.Failed(); err != nil {
			return false, err
		}
		pod, err := client.CoreV1().Pods(namespace.Name).Get(ctx, pod.Name, metav1.GetOptions{})
		return err == nil && pod.Spec.NodeName == "node-1", err
	})
	// Written after the bind, with rights of its own.
	eventually(t, "the event about it", func(ctx context.Context) (bool, error) {
		events, err := client.EventsV1().Events(namespace.Name).List(ctx, metav1.ListOptions{FieldSelector: "reason=Scheduled"})
		return err == nil && len(events.Items) == 1, err
	})

	lease, err := client.CoordinationV1().Leases(systemNamespace).Get(t.Context(), schedulerName, metav1.GetOptions{})
	if err != nil {
		t.Fatalf("its lease: %v", err)
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		t.Error("it schedules without holding its lease")
	}
	renewed := lease.Spec.RenewTime
	eventually(t, "a renewed lease", func(ctx context.Context) (bool, error) {
		lease, err := client.CoordinationV1().Leases(systemNamespace).Get(ctx, schedulerName, metav1.GetOptions{})
		return err == nil && renewed.Before(lease.Spec.RenewTime), err
	})
	others, err := client.CoordinationV1().Leases(metav1.NamespaceSystem).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range others.Items {
		if strings.Contains(other.Name, "scheduler") {
			t.Errorf("it took kube-scheduler's lease: %s", other.Name)
		}
	}

	for line := range strings.Lines(readFile(t, scheduler.Log())) {
		if strings.Contains(strings.ToLower(line), "forbidden") {
			t.Errorf("it is refused something: %s", line)
		}
	}
}

// The golden file holds the rules of the bound stock roles as well: a release that gives
// kube-scheduler a new right gives it to this scheduler, too, and this test shows it.
// Where it goes by an IsolationPolicy it has a few more, and none where it does not.
func TestManifestsRightsAreExact(t *testing.T) {
	c := controlplanetest.Start(t, controlplane.Options{})
	client := mustClient(t, c)
	// What the leader reads and writes for an IsolationPolicy, and to dedicate nodes.
	policyRights := []string{
		"everywhere: clusterreports.openreports.io: delete,get,update [tenant-isolation]",
		"everywhere: clusterreports.openreports.io: create",
		"everywhere: isolationpolicies.tenantisolation.dev: create,get,list,watch",
		"everywhere: isolationpolicies/status.tenantisolation.dev: update",
		"everywhere: mutatingadmissionpolicies.admissionregistration.k8s.io: get,list,watch",
		"everywhere: mutatingadmissionpolicybindings.admissionregistration.k8s.io: get,list,watch",
		"everywhere: mutatingwebhookconfigurations.admissionregistration.k8s.io: get,list,watch",
		"everywhere: namespaces: patch",
		"everywhere: nodes: patch",
		"everywhere: validatingadmissionpolicies.admissionregistration.k8s.io: get,list,watch",
		"everywhere: validatingadmissionpolicybindings.admissionregistration.k8s.io: get,list,watch",
		"in tenant-isolation-system: configmaps: create",
		"in tenant-isolation-system: configmaps: delete,get,update [tenant-isolation-policy]",
		"in tenant-isolation-system: configmaps: get,patch,update [tenant-isolation-dedicated-nodes]",
	}
	applyCRDs(t, c)
	base := strings.Split(strings.TrimSpace(readFile(t, filepath.Join("testdata", "scheduler-rights.txt"))), "\n")
	for _, tc := range []struct {
		dir  string
		more []string
	}{
		{"base", nil},
		{"overlays/audit", policyRights},
		{"overlays/default", policyRights},
	} {
		t.Run(tc.dir, func(t *testing.T) {
			apply(t, c, tc.dir)
			got := rightsOf(t, client, systemNamespace, schedulerName)
			want := slices.Sorted(slices.Values(slices.Concat(base, tc.more)))
			if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(got), "\n")); diff != "" {
				t.Errorf("rights of the scheduler (-want +got):\n%s\nall of them:\n%s", diff, got)
			}
		})
	}
}

// The two configurations differ in where the policy is.
func TestConfigurationsDifferInOneArgument(t *testing.T) {
	without := func(path ...string) (*config.KubeSchedulerConfiguration, string) {
		read := decodeConfig(t, readFile(t, manifests(t, path...)))
		for i, plugin := range read.Profiles[0].PluginConfig {
			if plugin.Name == pluginName {
				read.Profiles[0].PluginConfig[i].Args = nil
				spec, name, err := policy.OfArguments(plugin.Args)
				if err != nil {
					t.Fatal(err)
				}
				if spec != nil {
					name = "inline"
				}
				return read, name
			}
		}
		t.Fatalf("%v: no arguments of the plugin", path)
		return nil, ""
	}
	base, from := without("base", "scheduler-config.yaml")
	if from != "inline" {
		t.Errorf("manifests/base goes by the IsolationPolicy %s: it has to run without one", from)
	}
	shipped, from := without("components", "policy", "scheduler-config.yaml")
	if from != v1alpha1.DefaultName {
		t.Errorf("the overlays go by the policy %s", from)
	}
	if diff := cmp.Diff(base, shipped); diff != "" {
		t.Errorf("beyond the policy they differ (-base +overlays):\n%s", diff)
	}
}

func TestShippedConfigurationDecodesStrictly(t *testing.T) {
	got := decodeConfig(t, readFile(t, schedulerConfigFile(t)))

	if len(got.Profiles) != 1 {
		t.Fatalf("%d profiles, want 1", len(got.Profiles))
	}
	profile := got.Profiles[0]
	if profile.SchedulerName != schedulerName {
		t.Errorf("schedulerName is %q, want %q", profile.SchedulerName, schedulerName)
	}
	plugin := func(p config.Plugin) bool { return p.Name == pluginName }
	everywhere := slices.IndexFunc(profile.Plugins.MultiPoint.Enabled, plugin)
	if everywhere < 0 {
		t.Fatalf("%s is not enabled at every extension point", pluginName)
	}
	if weight := profile.Plugins.MultiPoint.Enabled[everywhere].Weight; weight != 100 {
		t.Errorf("its weight is %d, want 100", weight)
	}
	// Enabled at both places it precedes the in-tree filters.
	if filters := profile.Plugins.Filter.Enabled; len(filters) != 1 || !plugin(filters[0]) {
		t.Errorf("filters enabled by name are %v, want %s alone", filters, pluginName)
	}
	election := got.LeaderElection
	if !election.LeaderElect || election.ResourceName != schedulerName || election.ResourceNamespace != systemNamespace {
		t.Errorf("leader election %+v, want one for %s/%s", election, systemNamespace, schedulerName)
	}
	if !slices.ContainsFunc(profile.PluginConfig, func(p config.PluginConfig) bool { return p.Name == pluginName }) {
		t.Errorf("no arguments for %s, not even the defaults", pluginName)
	}
}

func TestShippedPolicyShowsTheDefaults(t *testing.T) {
	shipped := readFile(t, manifests(t, "overlays", "default", "policy.yaml"))
	turned := regexp.MustCompile(`(?m)^( *)#([^ ].*|  .*)$`).ReplaceAllString(shipped, "$1$2")
	if turned == shipped {
		t.Fatal("there are no knobs")
	}
	var specs []*v1alpha1.IsolationPolicy
	for _, text := range []string{shipped, turned} {
		read, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, read)
	}
	if diff := cmp.Diff(specs[0], specs[1]); diff != "" {
		t.Errorf("without the comment signs it means something else (-want +got):\n%s", diff)
	}
}

func mustClient(t *testing.T, c *controlplane.ControlPlane) *kubernetes.Clientset {
	t.Helper()
	client, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func manifests(t *testing.T, path ...string) string {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root, "manifests"}, path...)...)
}

func schedulerConfigFile(t *testing.T) string {
	t.Helper()
	return manifests(t, "base", "scheduler-config.yaml")
}

// apply treats a warning as an error: an API server warns of pods that a namespace would
// not accept, and of fields that are about to go.
func apply(t *testing.T, c *controlplane.ControlPlane, dir string) {
	t.Helper()
	if _, err := c.Kubectl(t.Context(), "apply", "--warnings-as-errors", "-k", manifests(t, dir)); err != nil {
		t.Fatal(err)
	}
}

// applyCRDs installs what has to be there before an overlay.
func applyCRDs(t *testing.T, c *controlplane.ControlPlane) {
	t.Helper()
	apply(t, c, "crds")
	if _, err := c.Kubectl(t.Context(), "wait", "--for=condition=Established", "customresourcedefinition/isolationpolicies.tenantisolation.dev"); err != nil {
		t.Fatal(err)
	}
}

// versions returns the resource version of each object of dir in the cluster. kubectl's own output
// does not help: it reports an unchanged disruption budget as configured.
func versions(t *testing.T, c *controlplane.ControlPlane, dir string) []string {
	t.Helper()
	output, err := c.Kubectl(t.Context(), "get", "-k", manifests(t, dir), "-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{"\n"}{end}`)
	if err != nil {
		t.Fatal(err)
	}
	objects := strings.Split(strings.TrimSpace(output), "\n")
	if len(objects) < 2 {
		t.Fatalf("%s has no objects:\n%s", dir, output)
	}
	return objects
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func decodeConfig(t *testing.T, text string) *config.KubeSchedulerConfiguration {
	t.Helper()
	object, _, err := scheme.Codecs.UniversalDecoder().Decode([]byte(text), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return object.(*config.KubeSchedulerConfiguration)
}

func schedulerDeployment(t *testing.T, client kubernetes.Interface) *appsv1.Deployment {
	t.Helper()
	deployment, err := client.AppsV1().Deployments(systemNamespace).Get(t.Context(), schedulerName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return deployment
}

func selects(t *testing.T, budget *policyv1.PodDisruptionBudget, set labels.Set) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(set)
}

func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, condition); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// rightsOf lists every rule that bindings give to the service account by name, a line for
// each resource.
func rightsOf(t *testing.T, client kubernetes.Interface, namespace, name string) string {
	t.Helper()
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
	rights := map[string]bool{}

	clusterBindings, err := client.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, binding := range clusterBindings.Items {
		if slices.Contains(binding.Subjects, subject) {
			addRights(rights, "everywhere", rulesOf(t, client, "", binding.RoleRef))
		}
	}
	bindings, err := client.RbacV1().RoleBindings(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, binding := range bindings.Items {
		if slices.Contains(binding.Subjects, subject) {
			addRights(rights, "in "+binding.Namespace, rulesOf(t, client, binding.Namespace, binding.RoleRef))
		}
	}
	var text bytes.Buffer
	for _, right := range slices.Sorted(maps.Keys(rights)) {
		fmt.Fprintln(&text, right)
	}
	return text.String()
}

func rulesOf(t *testing.T, client kubernetes.Interface, namespace string, ref rbacv1.RoleRef) []rbacv1.PolicyRule {
	t.Helper()
	if ref.Kind == "ClusterRole" {
		role, err := client.RbacV1().ClusterRoles().Get(t.Context(), ref.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return role.Rules
	}
	role, err := client.RbacV1().Roles(namespace).Get(t.Context(), ref.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return role.Rules
}

func addRights(rights map[string]bool, where string, rules []rbacv1.PolicyRule) {
	for _, rule := range rules {
		verbs := strings.Join(slices.Sorted(slices.Values(rule.Verbs)), ",")
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				if group != "" {
					resource += "." + group
				}
				line := where + ": " + resource + ": " + verbs
				if len(rule.ResourceNames) > 0 {
					line += " [" + strings.Join(rule.ResourceNames, ",") + "]"
				}
				rights[line] = true
			}
		}
		for _, url := range rule.NonResourceURLs {
			rights[where+": "+url+": "+verbs] = true
		}
	}
}
