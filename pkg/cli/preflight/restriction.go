package preflight

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// nodeRestriction checks that a kubelet may change neither the objects of other nodes nor
// the labels of its own that placement relies on. No API lists the admission plugins: they
// show in the API server's metrics after the first request, and in its command line if it
// is a static pod.
func (c *Checker) nodeRestriction(ctx context.Context) ([]Result, error) {
	const plugin = "NodeRestriction"
	fix := advise("start kube-apiserver with --enable-admission-plugins=NodeRestriction and --authorization-mode=Node,RBAC: without them a compromised kubelet can write labels and pods of other nodes")
	for _, pod := range c.Pods {
		if pod.Namespace != "kube-system" || !strings.HasPrefix(pod.Name, "kube-apiserver-") {
			continue
		}
		if slices.ContainsFunc(c.commandLine(ctx, pod.Namespace, pod.Name), func(arg string) bool {
			return strings.HasPrefix(arg, "--enable-admission-plugins=") && strings.Contains(arg, plugin)
		}) {
			return pass("enabled by the flags of kube-apiserver"), nil
		}
		return []Result{fail(fix, "the flags of kube-apiserver do not enable it")}, nil
	}
	rest := c.Client.CoreV1().RESTClient()
	if rest == nil {
		return []Result{unchecked(fix, "cannot be checked")}, nil
	}
	metrics, err := rest.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	plugins := regexp.MustCompile(`(?m)^apiserver_admission_controller_admission_duration_seconds_count\{[^}]*name="([A-Za-z]+)"`).
		FindAllStringSubmatch(string(metrics), -1)
	for _, found := range plugins {
		if found[1] == plugin {
			return pass("enabled, by the metrics of the API server"), nil
		}
	}
	if len(plugins) == 0 {
		return []Result{warn(fix, "does not show in the metrics of the API server")}, nil
	}
	return []Result{fail(fix, "not among the admission plugins in the metrics of the API server")}, nil
}

// commandLine returns the command lines of a pod's containers, which package inventory
// drops.
func (c *Checker) commandLine(ctx context.Context, namespace, name string) []string {
	pod, err := c.Client.CoreV1().Pods(namespace).Get(ctx, name, getOptions())
	if err != nil {
		return nil
	}
	var words []string
	for i := range pod.Spec.Containers {
		words = append(append(words, pod.Spec.Containers[i].Command...), pod.Spec.Containers[i].Args...)
	}
	return words
}
