package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/manifests"
	"tenantisolation.dev/scheduler/pkg/manifest"
)

const (
	lifecycleManager = "tenant-isolation-lifecycle"
	lifecycleRetry   = time.Second
	lifecycleRequest = 10 * time.Second
	// lifecyclePatience ends before the five minutes that Helm waits for a hook, so that Helm has a log to show.
	lifecyclePatience = 4 * time.Minute
)

// A lifecycleStep is tried until it returns no error. Doing it again must be harmless.
type lifecycleStep func(context.Context, dynamic.Interface) error

// newLifecycleCommand returns the commands that the hooks of the Helm chart run.
func newLifecycleCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "lifecycle",
		Short: "Run one step of an installation or of its removal, as the hooks of the Helm chart do",
		Args:  cobra.NoArgs,
		// In place of that of the scheduler, which asks the API servers for their versions.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
	}
	// In place of the scheduler's, which print its flags.
	command.SetUsageFunc((&cobra.Command{}).UsageFunc())
	command.SetHelpFunc((&cobra.Command{}).HelpFunc())
	kubeconfig := command.PersistentFlags().String("kubeconfig", "", "how to reach the API server; a pod needs none")
	patience := command.PersistentFlags().Duration("timeout", lifecyclePatience, "how long to try")
	for _, c := range []struct {
		name, short string
		step        lifecycleStep
	}{
		{"apply-crds", "Apply what manifests/crds has, and wait until the API server serves it", applyCRDs},
		{"drain", "Switch dedication off, and wait until no node has a trace of it", drain},
		{"remove", "Remove what manifests/crds has, the keepers last", removeCRDs},
	} {
		command.AddCommand(&cobra.Command{
			Use: c.name, Short: c.short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
				if err != nil {
					return err
				}
				config.Timeout = lifecycleRequest
				client, err := dynamic.NewForConfig(config)
				if err != nil {
					return err
				}
				return c.step.run(cmd.Context(), client, *patience)
			},
		})
	}
	return command
}

// run tries the step until it is done, and logs what it waits for.
func (step lifecycleStep) run(ctx context.Context, client dynamic.Interface, patience time.Duration) error {
	var last error
	// A try does not end with the patience: its error would be about that, and not about what is wrong.
	err := wait.PollUntilContextTimeout(ctx, lifecycleRetry, patience, true, func(context.Context) (bool, error) {
		err := step(ctx, client)
		if ctx.Err() != nil {
			return false, err
		}
		if err != nil && (last == nil || err.Error() != last.Error()) {
			klog.FromContext(ctx).Info("Not done yet, trying again", "because", err)
		}
		last = err
		return err == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// applyCRDs applies the CustomResourceDefinition and the keepers, and returns an error until the former is served.
func applyCRDs(ctx context.Context, client dynamic.Interface) error {
	objects, err := shippedCRDs()
	if err != nil {
		return err
	}
	for _, object := range objects {
		resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		applied, err := client.Resource(resource).Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: lifecycleManager, Force: true})
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if object.GetKind() == crdKind && !established(applied) {
			return fmt.Errorf("%s %s is not established yet", object.GetKind(), object.GetName())
		}
	}
	return nil
}

// drain switches dedication off and returns an error until the leader says that no node has a trace of it. It
// makes the IsolationPolicy if there is none: without one the leader frees no node.
func drain(ctx context.Context, client dynamic.Interface) error {
	off := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": v1alpha1.Kind.Kind,
		"metadata": map[string]any{"name": v1alpha1.DefaultName},
		"spec":     map[string]any{"dedication": map[string]any{"mode": string(v1alpha1.ModeDisabled)}},
	}}
	applied, err := client.Resource(v1alpha1.Resource).Apply(ctx, v1alpha1.DefaultName, off, metav1.ApplyOptions{FieldManager: lifecycleManager, Force: true})
	if err != nil {
		return fmt.Errorf("switching dedication off: %w", err)
	}
	policy := &v1alpha1.IsolationPolicy{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(applied.Object, policy); err != nil {
		return err
	}
	return drained(policy)
}

func drained(policy *v1alpha1.IsolationPolicy) error {
	if policy.Status.ObservedGeneration != policy.Generation {
		return errors.New("the scheduler has not seen yet that dedication is off: it has to run until the nodes are free")
	}
	if accepted := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionAccepted); accepted == nil || accepted.Status != metav1.ConditionTrue {
		return fmt.Errorf("the IsolationPolicy is not accepted, so dedication is not off: correct its spec: %s", messageOf(accepted))
	}
	dedication := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionDedication)
	if dedication == nil || dedication.ObservedGeneration != policy.Generation || dedication.Reason != v1alpha1.ReasonOff {
		return fmt.Errorf("nodes are not free yet: %s", messageOf(dedication))
	}
	return nil
}

func messageOf(condition *metav1.Condition) string {
	if condition == nil {
		return "there is no condition"
	}
	return condition.Message
}

// removeCRDs removes the CustomResourceDefinition, and then the keepers: they go after everything else.
func removeCRDs(ctx context.Context, client dynamic.Interface) error {
	objects, err := shippedCRDs()
	if err != nil {
		return err
	}
	for _, object := range objects {
		guessed, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
		resource, name := client.Resource(guessed), object.GetName()
		if err := resource.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting %s %s: %w", object.GetKind(), name, err)
		}
		if _, err := resource.Get(ctx, name, metav1.GetOptions{}); err == nil {
			return fmt.Errorf("%s %s is still being deleted", object.GetKind(), name)
		} else if !apierrors.IsNotFound(err) {
			return fmt.Errorf("reading %s %s: %w", object.GetKind(), name, err)
		}
	}
	return nil
}

const crdKind = "CustomResourceDefinition"

// shippedCRDs returns the CustomResourceDefinition and the keepers, in this order.
func shippedCRDs() ([]*unstructured.Unstructured, error) {
	files := []string{"crds/tenantisolation.dev_isolationpolicies.yaml", "crds/keepers.yaml"}
	read, err := manifest.ReadFiles(manifests.Files, files, "manifests")
	if err != nil {
		return nil, err
	}
	objects := make([]*unstructured.Unstructured, 0, len(read))
	for _, object := range read {
		whole, err := object.Unstructured()
		if err != nil {
			return nil, err
		}
		objects = append(objects, whole)
	}
	return objects, nil
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] == "Established" && condition["status"] == "True" {
			return true
		}
	}
	return false
}
