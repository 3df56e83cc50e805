package preflight

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/admission"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// deployed is a Deployment of a scheduler, with so many ready replicas.
func deployed(name string, ready int32) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name, Labels: map[string]string{
		"app.kubernetes.io/component": "scheduler", "app.kubernetes.io/part-of": "tenant-isolation",
	}}}
	d.Status.ReadyReplicas = ready
	d.Spec.Template.Spec.ServiceAccountName = schedulerName
	return d
}

// held is a lease that was renewed so long ago.
func held(name, holder string, ago time.Duration) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To(holder + "_1234"), RenewTime: ptr.To(metav1.NewMicroTime(noon.Add(-ago)))},
	}
}

func schedulerPod(name, node string, change func(*v1.Pod)) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name, Labels: deployed("", 0).Labels}, Spec: v1.PodSpec{NodeName: node}}
	if change != nil {
		change(pod)
	}
	return pod
}

func TestScheduler(t *testing.T) {
	two := []*v1.Pod{schedulerPod("s-1", "n1", nil), schedulerPod("s-2", "n2", nil)}
	for name, tc := range map[string]struct {
		objects []runtime.Object
		pods    []*v1.Pod
		lease   string
		want    []Status
		says    string
		fix     string
	}{
		"nothing is installed": {want: []Status{Fail}, says: "nobody holds the lease tenant-isolation-system/tenant-isolation-scheduler", fix: "--lease"},
		"it runs outside of the cluster": {
			objects: []runtime.Object{held(schedulerName, "host-7", 0)},
			want:    []Status{Pass}, says: "host-7 leads by the lease tenant-isolation-system/tenant-isolation-scheduler",
		},
		"it runs outside of the cluster, by a lease of its own": {
			objects: []runtime.Object{held("mine", "host-7", 0)}, lease: systemNamespace + "/mine",
			want: []Status{Pass}, says: "host-7 leads by the lease tenant-isolation-system/mine",
		},
		"it ran outside of the cluster": {
			objects: []runtime.Object{held(schedulerName, "host-7", time.Hour)},
			want:    []Status{Fail}, says: "host-7, which led", fix: "start the scheduler on host-7 again",
		},
		"two replicas, one leads": {
			objects: []runtime.Object{deployed("s", 2), held(schedulerName, "s-1", 0)}, pods: two,
			want: []Status{Pass}, says: "2 replicas of tenant-isolation-system/s are ready",
		},
		"two replicas in the network of their hosts": {
			objects: []runtime.Object{deployed("s", 2), held(schedulerName, "n1", 0)},
			pods:    []*v1.Pod{schedulerPod("s-1", "n1", func(p *v1.Pod) { p.Spec.HostNetwork = true })},
			want:    []Status{Pass}, says: "2 replicas",
		},
		"one replica": {
			objects: []runtime.Object{deployed("s", 1), held(schedulerName, "s-1", 0)}, pods: two[:1],
			want: []Status{Warn}, says: "while it restarts", fix: "run two",
		},
		"no replica is ready": {objects: []runtime.Object{deployed("s", 0)}, want: []Status{Fail}, says: "tenants' pods stay Pending", fix: "see why"},
		"none of the replicas leads": {
			objects: []runtime.Object{deployed("s", 2), held(schedulerName, "gone", time.Hour)}, pods: two,
			want: []Status{Fail}, says: "none of them leads: gone", fix: "find out why",
		},
		"two Deployments with one lease": {
			objects: []runtime.Object{deployed("a", 1), deployed("b", 1), held(schedulerName, "s-1", 0)}, pods: two,
			want: []Status{Pass}, says: "2 replicas of tenant-isolation-system/a, tenant-isolation-system/b are ready",
		},
		"two Deployments with a lease each": {
			objects: []runtime.Object{deployed("a", 1), deployed("b", 1), held(schedulerName, "s-1", 0), held("other", "s-2", 0)}, pods: two,
			want: []Status{Fail}, says: "2 schedulers lead at the same time: s-1 by the lease tenant-isolation-system/tenant-isolation-scheduler, s-2", fix: "one lease",
		},
		"the lease of another component is nobody's business": {
			objects: []runtime.Object{deployed("s", 2), held(schedulerName, "s-1", 0), held("other", "operator-1", 0)}, pods: two,
			want: []Status{Pass}, says: "2 replicas",
		},
		"one outside leads, and the Deployment stands by": {
			objects: []runtime.Object{deployed("s", 2), held(schedulerName, "host-7", 0)}, pods: two,
			want: []Status{Pass}, says: "host-7 leads, which is no pod of tenant-isolation-system/s",
		},
		"one outside leads, and the Deployment is not ready": {
			objects: []runtime.Object{deployed("s", 0), held(schedulerName, "host-7", 0)},
			want:    []Status{Pass, Warn}, says: "host-7 leads",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Checker{Client: fake.NewClientset(tc.objects...), Lease: tc.lease, Now: func() time.Time { return noon }, Pods: tc.pods}
			results, err := c.scheduler(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []Status
			for _, r := range results {
				got = append(got, r.Status)
			}
			if !slices.Equal(got, tc.want) || !strings.Contains(results[0].Says, tc.says) || !strings.Contains(results[0].Fix, tc.fix) {
				t.Errorf("got %+v, want %v, %q and the fix %q", results, tc.want, tc.says, tc.fix)
			}
		})
	}
}

// Of a scheduler outside of the cluster no object says as whom it runs.
func TestRightsOfASchedulerOutside(t *testing.T) {
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Rules: schedulerNeeds()}
	bound := func(subjects ...rbacv1.Subject) *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "s"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "s"}, Subjects: subjects}
	}
	for name, tc := range map[string]struct {
		subjects []rbacv1.Subject
		want     Status
		says     string
		run      string
	}{
		"nobody has the rights": {nil, Fail, "no user and no service account", "kubectl isolation chart tenant-isolation.tgz"},
		"a user": {
			[]rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "it's"}},
			Warn, "it's", `kubectl auth can-i create pods/binding --as='it'\''s'`,
		},
		"a service account": {
			[]rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "ops", Name: "s"}},
			Warn, "system:serviceaccount:ops:s", "kubectl auth can-i create pods/binding --as='system:serviceaccount:ops:s'",
		},
		"a group may be anybody": {[]rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "ops"}}, Fail, "a group is not looked at", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Checker{Client: fake.NewClientset(role, bound(tc.subjects...), held(schedulerName, "host-7", 0)), Now: func() time.Time { return noon }}
			got, err := c.schedulerRights(t.Context())
			if err != nil || len(got) != 1 || got[0].Status != tc.want || !strings.Contains(got[0].Says, tc.says) || !strings.Contains(strings.Join(got[0].Run, "\n"), tc.run) {
				t.Errorf("%+v, %v, want %s, %q and the command %q", got, err, tc.want, tc.says, tc.run)
			}
		})
	}
}

// A profile may have any name: the leader writes which of them isolate.
func TestPodsOfARenamedProfile(t *testing.T) {
	parameters := &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: admission.Namespace, Name: admission.ParametersName}, Data: map[string]string{"schedulerNames": "walls doors"}}
	c := &Checker{Client: fake.NewClientset(parameters)}
	if names, err := c.schedulerNames(t.Context()); err != nil || !slices.Equal(names, []string{"walls", "doors"}) {
		t.Errorf("%v, %v, want the names in the parameter", names, err)
	}
	c.Client = fake.NewClientset()
	if names, err := c.schedulerNames(t.Context()); err != nil || !slices.Equal(names, []string{schedulerName}) {
		t.Errorf("%v, %v, want the shipped name", names, err)
	}
}
