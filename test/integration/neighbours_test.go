package integration

import (
	"context"
	"net/http"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/internal/controlplane"
	"tenantisolation.dev/scheduler/internal/controlplane/controlplanetest"
)

// limitedClass limits a priority class to namespaces with a quota for it, as GKE does.
const limitedClass = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: ResourceQuota
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: ResourceQuotaConfiguration
    limitedResources:
    - resource: pods
      matchScopes:
      - scopeName: PriorityClass
        operator: In
        values: ["system-cluster-critical"]
`

func TestSchedulerWhereItsPriorityClassIsLimited(t *testing.T) {
	plane := controlplanetest.Start(t, controlplane.Options{
		ControllerManager: true,
		APIServerFlags:    map[string]string{"admission-control-config-file": writeFile(t, "admission.yaml", limitedClass)},
	})
	client := mustClient(t, plane)
	apply(t, plane, "base")

	t.Run("its Deployment gets its pods", func(t *testing.T) {
		eventually(t, "both replicas", func(ctx context.Context) (bool, error) {
			deployment, err := client.AppsV1().Deployments(systemNamespace).Get(ctx, schedulerName, metav1.GetOptions{})
			return err == nil && deployment.Status.Replicas == 2, err
		})
	})
	t.Run("without the quota it gets none", func(t *testing.T) {
		if err := client.CoreV1().ResourceQuotas(systemNamespace).Delete(t.Context(), schedulerName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		pods := client.CoreV1().Pods(systemNamespace)
		if err := pods.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a refusal", func(ctx context.Context) (bool, error) {
			deployment, err := client.AppsV1().Deployments(systemNamespace).Get(ctx, schedulerName, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			for _, condition := range deployment.Status.Conditions {
				if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
					return strings.Contains(condition.Message, "insufficient quota to match these scopes"), nil
				}
			}
			return false, nil
		})
	})
}

// The API server says in each answer in which queues the request waited.
func TestRequestsOfTheSchedulerHaveQueuesOfTheirOwn(t *testing.T) {
	plane := controlplanetest.Start(t, controlplane.Options{})
	client := mustClient(t, plane)
	apply(t, plane, "base")
	user, err := plane.ServiceAccount(t.Context(), systemNamespace, schedulerName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plane.Kubectl(t.Context(), "create", "serviceaccount", "tenant"); err != nil {
		t.Fatal(err)
	}
	tenant, err := plane.ServiceAccount(t.Context(), metav1.NamespaceDefault, "tenant")
	if err != nil {
		t.Fatal(err)
	}
	const lease = "/apis/coordination.k8s.io/v1/namespaces/" + systemNamespace + "/leases/" + schedulerName
	for name, tc := range map[string]struct {
		user                *rest.Config
		path, schema, level string
	}{
		"what the scheduler reads":            {user, "/api/v1/pods", schedulerName, schedulerName},
		"the version that the scheduler asks": {user, "/version", schedulerName, schedulerName},
		"the scheduler's lease":               {user, lease, schedulerName + "-leader-election", "leader-election"},
		"another service account":             {tenant, "/api/v1/pods", "service-accounts", "workload-low"},
	} {
		t.Run(name, func(t *testing.T) {
			// The API server reads new rules shortly after they were made.
			eventually(t, "an answer from "+tc.schema+" and "+tc.level, func(ctx context.Context) (bool, error) {
				schema, level := queuesOf(ctx, t, client, tc.user, tc.path)
				return schema == tc.schema && level == tc.level, nil
			})
		})
	}
}

// queuesOf returns the FlowSchema and the priority level of a request.
func queuesOf(ctx context.Context, t *testing.T, admin *kubernetes.Clientset, user *rest.Config, path string) (schema, level string) {
	t.Helper()
	client, err := rest.HTTPClientFor(user)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(user.Host, "/")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	schemas, err := admin.FlowcontrolV1().FlowSchemas().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	levels, err := admin.FlowcontrolV1().PriorityLevelConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range schemas.Items {
		if string(schemas.Items[i].UID) == response.Header.Get(flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID) {
			schema = schemas.Items[i].Name
		}
	}
	for i := range levels.Items {
		if string(levels.Items[i].UID) == response.Header.Get(flowcontrolv1.ResponseHeaderMatchedPriorityLevelConfigurationUID) {
			level = levels.Items[i].Name
		}
	}
	return schema, level
}
