package preflight

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// nodeRestriction looks whether a kubelet may change other nodes' objects, or labels of
// its own that placement relies on. The API server does not say which plugins it runs;
// its metrics do, once a plugin was asked, and so does its command line where it is a
// static pod.
func (c *Cluster) nodeRestriction(ctx context.Context) ([]Result, error) {
	const (
		plugin = "NodeRestriction"
		fix    = "start kube-apiserver with --enable-admission-plugins=NodeRestriction and --authorization-mode=Node,RBAC: without them a kubelet that was taken over writes labels and pods of other nodes"
	)
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
		return []Result{warn(fix, "cannot be seen")}, nil
	}
	metrics, err := rest.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	plugins := regexp.MustCompile(`(?m)^apiserver_admission_controller_admission_duration_seconds_count\{[^}]*name="([A-Za-z]+)"`).
		FindAllStringSubmatch(string(metrics), -1)
	for _, found := range plugins {
		if found[1] == plugin {
			return pass("the API server asks it"), nil
		}
	}
	if len(plugins) == 0 {
		return []Result{warn(fix, "cannot be seen in the metrics of the API server")}, nil
	}
	return []Result{fail(fix, "the API server asks other admission plugins and not this one")}, nil
}

// commandLine returns the command line of a pod's containers. What was read of the
// cluster has been shortened.
func (c *Cluster) commandLine(ctx context.Context, namespace, name string) []string {
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
