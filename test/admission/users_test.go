package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// user is a user of the API server.
type user string

const (
	// editor and namespaceAdmin hold the ClusterRole edit or admin in tenants' namespaces.
	editor         user = "edith"
	namespaceAdmin user = "adam"
	// owner may do everything in tenants' namespaces, by a Role with nothing but stars: also
	// bind pods, write their status and change the Namespace itself.
	owner user = "olga"
	// namespaceKeeper may create and change any namespace, and no more.
	namespaceKeeper user = "nadia"
	// nodeKeeper may do everything with Nodes, mapKeeper with ConfigMaps of any namespace.
	nodeKeeper user = "nora"
	mapKeeper  user = "mona"
	// policyKeeper may do everything with IsolationPolicies.
	policyKeeper user = "petra"
	// nodeAgent may write the status of any Node and pod, as a virtual kubelet does.
	nodeAgent user = "vera"
	// classKeeper may do everything with RuntimeClasses, and no more.
	classKeeper user = "karl"
	// karpenter has the rights of its chart as far as Nodes are concerned, and may make NodeClaims.
	karpenter user = "system:serviceaccount:kube-system:karpenter"
	// The components of the cluster.
	stockScheduler user = "system:kube-scheduler"
	ourScheduler   user = "system:serviceaccount:" + systemNamespace + ":" + schedulerName
	podCollector   user = "system:serviceaccount:kube-system:pod-garbage-collector"
	pvcController  user = "system:serviceaccount:kube-system:pvc-protection-controller"
	// kubelet is that of attackedNode.
	kubelet user = "system:node:" + attackedNode
	// administrator is in system:masters.
	administrator user = "admin"
)

func (w *environment) addUsers(ctx context.Context) error {
	for _, name := range []user{editor, namespaceAdmin, owner, namespaceKeeper, classKeeper, nodeAgent, nodeKeeper, mapKeeper, policyKeeper, karpenter, stockScheduler} {
		config, err := w.plane.AddUser(string(name))
		if err != nil {
			return err
		}
		w.users[name] = config
	}
	var err error
	if w.users[kubelet], err = w.plane.AddUser(string(kubelet), "system:nodes"); err != nil {
		return err
	}
	if w.users[ourScheduler], err = w.plane.ServiceAccount(ctx, systemNamespace, schedulerName); err != nil {
		return err
	}
	w.users[administrator] = w.plane.Admin()
	// Made by the controllers themselves, one by one.
	for who, name := range map[user]string{podCollector: "pod-garbage-collector", pvcController: "pvc-protection-controller"} {
		err = poll(ctx, func(ctx context.Context) (bool, error) {
			config, err := w.plane.ServiceAccount(ctx, metav1.NamespaceSystem, name)
			w.users[who] = config
			return err == nil, nil
		})
		if err != nil {
			return fmt.Errorf("the service account %s: %w", name, err)
		}
	}
	anything := []string{"*"}
	err = errors.Join(
		w.allow(ctx, namespaceKeeper, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"namespaces", "namespaces/status", "namespaces/finalize"}, Verbs: anything,
		}),
		w.allow(ctx, nodeKeeper, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: anything}),
		w.allow(ctx, karpenter, rbacv1.PolicyRule{
			APIGroups: []string{"karpenter.sh"}, Resources: []string{"nodeclaims"}, Verbs: []string{"create", "delete", "update", "patch"},
		}, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"create", "delete", "patch", "update"},
		}),
		w.allow(ctx, nodeAgent, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes/status", "pods/status"}, Verbs: []string{"patch", "update"}}),
		// The leader's right to write the parameters.
		w.allow(ctx, ourScheduler, rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "create", "update", "delete"},
		}, rbacv1.PolicyRule{
			APIGroups: []string{"tenantisolation.dev"}, Resources: []string{"isolationpolicies/status"}, Verbs: []string{"update"},
		}),
		w.allow(ctx, policyKeeper, rbacv1.PolicyRule{
			APIGroups: []string{"tenantisolation.dev"}, Resources: []string{"isolationpolicies", "isolationpolicies/status"}, Verbs: anything,
		}),
		w.allow(ctx, mapKeeper, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: anything}),
		w.allow(ctx, classKeeper, rbacv1.PolicyRule{
			APIGroups: []string{"node.k8s.io"}, Resources: []string{"runtimeclasses"}, Verbs: anything,
		}),
	)
	if err != nil {
		return err
	}
	// The roles edit and admin are put together by a controller.
	return poll(ctx, func(ctx context.Context) (bool, error) {
		for _, name := range []string{"edit", "admin"} {
			role, err := w.admin.RbacV1().ClusterRoles().Get(ctx, name, metav1.GetOptions{})
			if err != nil || len(role.Rules) == 0 {
				return false, err
			}
		}
		return true, nil
	})
}

// allow gives a user a right in the whole cluster.
func (w *environment) allow(ctx context.Context, who user, rules ...rbacv1.PolicyRule) error {
	name := metav1.ObjectMeta{Name: "test:" + string(who)}
	_, err := w.admin.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: name, Rules: rules}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = w.admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: name,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: string(who)}},
	}, metav1.CreateOptions{})
	return err
}

// settle gives the tenants' users their rights in a namespace, and waits until the API server knows
// them.
func (w *environment) settle(ctx context.Context, namespace string) error {
	everything := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "everything"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}},
			// The star includes this already; here it is explicit.
			{APIGroups: []string{"isolation.tenantisolation.dev"}, Resources: []string{"*"}, Verbs: []string{"administer", "force-delete"}},
		},
	}
	if _, err := w.admin.RbacV1().Roles(namespace).Create(ctx, everything, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, binding := range []struct {
		who        user
		kind, role string
	}{
		{editor, "ClusterRole", "edit"},
		{namespaceAdmin, "ClusterRole", "admin"},
		{owner, "Role", everything.Name},
	} {
		_, err := w.admin.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: string(binding.who)},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: binding.kind, Name: binding.role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: string(binding.who)}},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	// A controller makes it too, a moment later.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, _ = w.admin.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
	for _, who := range []user{editor, namespaceAdmin, owner} {
		err := w.plane.AwaitAccess(ctx, authorizationv1.SubjectAccessReviewSpec{
			User:               string(who),
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "create", Resource: "pods"},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// client returns a client of a user; warned receives the warnings that the user gets.
func (w *environment) client(who user, warned *warnings) (*kubernetes.Clientset, error) {
	config := rest.CopyConfig(w.users[who])
	config.QPS = -1
	config.WarningHandler = warned
	return kubernetes.NewForConfig(config)
}

// patience is long enough for a machine whose cores are all busy.
const patience = 30 * time.Second

func poll(ctx context.Context, condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, patience, true, condition)
}
