package clusterreport

import (
	"context"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// writeEvery is how often the report is brought in step with what is found.
	writeEvery = 5 * time.Second
	// lookEvery is how often it is read, in case somebody else has changed it, and how long an error lasts.
	lookEvery = time.Minute
)

// Writer keeps the report in the API in step with what is found. Only the leader runs one.
type Writer struct {
	Objects dynamic.Interface
	// Input returns what the report is made of, nil if there is to be none.
	Input  func() *Input
	Clock  clock.WithTicker
	Logger klog.Logger

	// written is what the API has as far as is known, nil for no report, known only until next.
	written map[string]any
	known   bool
	next    time.Time
}

// Run writes until the context ends.
func (w *Writer) Run(ctx context.Context) {
	ticker := w.Clock.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		w.step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
	}
}

// step writes the report, or deletes it, where that changes anything.
func (w *Writer) step(ctx context.Context) {
	now := w.Clock.Now()
	wanted, err := w.wanted()
	if err == nil {
		if w.known && reflect.DeepEqual(wanted, w.written) && (wanted == nil || now.Before(w.next)) {
			return
		}
		if !w.known && now.Before(w.next) {
			return // it has failed a moment ago
		}
		err = w.write(ctx, wanted)
	}
	w.next = now.Add(lookEvery)
	w.known, w.written = err == nil, wanted
	if err != nil && ctx.Err() == nil {
		w.Logger.Error(err, "The report of the audit could not be written: are the kinds of openreports.io installed, and may the scheduler write them?")
	}
}

func (w *Writer) wanted() (map[string]any, error) {
	in := w.Input()
	if in == nil {
		return nil, nil
	}
	return Object(Make(in))
}

func (w *Writer) write(ctx context.Context, wanted map[string]any) error {
	reports := w.Objects.Resource(Resource)
	if wanted == nil {
		err := reports.Delete(ctx, Name, metav1.DeleteOptions{})
		// Without the kind, or without the right, this process has never written one.
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return nil
		}
		return err
	}
	found, err := reports.Get(ctx, Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = reports.Create(ctx, &unstructured.Unstructured{Object: wanted}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	update := &unstructured.Unstructured{Object: wanted}
	update = update.DeepCopy()
	update.SetResourceVersion(found.GetResourceVersion())
	if same(found.Object, update.Object) {
		return nil
	}
	_, err = reports.Update(ctx, update, metav1.UpdateOptions{})
	return err
}

// same compares what the writer owns of a report.
func same(found, wanted map[string]any) bool {
	for _, field := range []string{"source", "configuration", "summary", "results"} {
		if !equality.Semantic.DeepEqual(found[field], wanted[field]) {
			return false
		}
	}
	a, b := unstructured.Unstructured{Object: found}, unstructured.Unstructured{Object: wanted}
	return reflect.DeepEqual(a.GetAnnotations(), b.GetAnnotations()) && reflect.DeepEqual(a.GetLabels(), b.GetLabels()) &&
		reflect.DeepEqual(a.GetOwnerReferences(), b.GetOwnerReferences())
}
