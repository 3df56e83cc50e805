package simulation

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// An informer lists and then watches, and a pod may be created in between.
func TestWatchBeginsAtTheList(t *testing.T) {
	c := load(t, "testdata/manifests", kataClasses())
	client, api := newClient(c)
	pods := client.CoreV1().Pods(metav1.NamespaceAll)
	list, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	api.create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "between"}})
	w, err := pods.Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	api.create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "after"}})
	for _, want := range []string{"between", "after"} {
		event := <-w.ResultChan()
		if pod, ok := event.Object.(*corev1.Pod); !ok || pod.Name != want {
			t.Fatalf("got %v, want the pod %s", event.Object, want)
		}
	}
}

// A pod that never gets an outcome ends the simulation with an error.
func TestPodWithoutAnOutcome(t *testing.T) {
	c := load(t, "testdata/manifests", kataClasses())
	c.admit()
	r, err := newRun(t.Context(), c, shippedProfile(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	why := errors.New("the user does not wait any longer")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	nobody := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: types.UID("p")}}
	if err := r.schedule(ctx, nobody); !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
}
