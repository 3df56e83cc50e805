//go:build e2e

package e2e

import (
	"context"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// withoutPlugin names the part that shows what the others keep from happening.
const withoutPlugin = "with the stock scheduler, tenants meet in one kernel"

// testWithoutPlugin runs before anything is installed: what the stock scheduler places side by side, the later parts
// refuse. So each of them has been seen to fail without the plugin.
func testWithoutPlugin(l lab) {
	l.addTenants()
	node := workers[0]
	a, b := podOf("acme", "container", on(node)), podOf("globex", "container", on(node))
	sandbox := podOf("initech", "sandbox", on(node), class(sandboxClass))
	vm := podOf("initech", "vm", on(node), class(vmClass))
	l.create(a, b, sandbox, vm)
	l.awaitRunning(a, b, sandbox, vm)
	first, second := l.of("acme", "container"), l.of("globex", "container")
	if first.Node != second.Node || first.Boot == "" || first.Boot != second.Boot {
		l.Errorf("want two tenants in one kernel of one node, have %+v and %+v", first, second)
	}
	result := l.check("sandbox")
	broken := map[string]bool{}
	for _, pair := range result.Broken {
		broken[pair.A+" "+pair.B], broken[pair.B+" "+pair.A] = true, true
	}
	for _, pair := range []string{"acme/container globex/container", "acme/container initech/sandbox", "acme/container initech/vm"} {
		if !broken[pair] {
			l.Errorf("the checker does not report %s: %s", pair, result)
		}
	}
	l.remove(a, b, sandbox, vm)
}

// testContainers gives two tenants no choice but one node, and then the whole cluster.
func testContainers(l lab) {
	a, b := podOf("acme", "container", on(workers[0])), podOf("globex", "container", on(workers[0]))
	elsewhere, third := podOf("globex", "elsewhere"), podOf("initech", "third")
	again := podOf("acme", "again", on(workers[0]))
	l.create(a)
	l.awaitRunning(a)
	l.create(b, again, elsewhere)
	l.awaitRunning(again, elsewhere)
	l.awaitRefused(b, "node(s)")
	l.create(third)
	l.awaitRefused(third, "node(s)")
	if first, second := l.of("acme", "container"), l.of("globex", "elsewhere"); first.Node == second.Node {
		l.Errorf("containers of two tenants are on one node: %+v and %+v", first, second)
	}
	l.expectSound("")
	l.remove(a, b, again, elsewhere, third)
	l.awaitFree()
}

// testKernelsOfTheirOwn puts two tenants on one node with a runtime, and tries to put a container beside them.
func (l lab) testKernelsOfTheirOwn(runtime, minimum string, kernel *regexp.Regexp) {
	l.Helper()
	node := workers[0]
	a, b := podOf("acme", runtime, on(node), class(runtime)), podOf("globex", runtime, on(node), class(runtime))
	container := podOf("initech", "beside-"+runtime, on(node))
	l.create(a, b)
	l.awaitRunning(a, b)
	l.create(container)
	l.awaitRefused(container, "node(s)")

	first, second := l.of("acme", runtime), l.of("globex", runtime)
	if first.Node != node || second.Node != node {
		l.Errorf("want both on %s, have %s and %s", node, first.Node, second.Node)
	}
	machine := l.kernelOf(node)
	for _, one := range []sighting{first, second} {
		if !kernel.MatchString(one.Version) {
			l.Errorf("%s sees the kernel %q, want one like %s", one.Pod, one.Version, kernel)
		}
		if one.Version == machine.Version || (one.Boot != "" && one.Boot == machine.Boot) {
			l.Errorf("%s sees the kernel of the node, %+v", one.Pod, machine)
		}
	}
	if runtime == vmClass && (first.Boot == "" || second.Boot == "" || first.Boot == second.Boot) {
		l.Errorf("want two boot ids, have %q and %q", first.Boot, second.Boot)
	}
	l.expectSound(minimum)
	l.remove(a, b, container)
	l.awaitFree()
}

// kernelOf is the kernel of a node as a container of the platform sees it there.
func (l lab) kernelOf(node string) sighting {
	l.Helper()
	pod := podOf("kube-system", "kernel", func(pod *corev1.Pod) { pod.Spec.NodeName = node })
	l.create(pod)
	l.awaitRunning(pod)
	seen := l.of("kube-system", "kernel")
	l.remove(pod)
	return seen
}

func testSandbox(l lab) {
	l.setPolicy(`{"spec":{"boundaries":{"minimum":"sandbox"}}}`)
	// gVisor answers for an old Linux, whatever the node has.
	l.testKernelsOfTheirOwn(sandboxClass, "sandbox", regexp.MustCompile(`gvisor`))
	l.setPolicy(`{"spec":{"boundaries":{"minimum":"vm"}}}`)
	// The same two are refused where only virtual machines are strong enough.
	a, b := podOf("acme", "sandbox", on(workers[0]), class(sandboxClass)), podOf("globex", "sandbox", on(workers[0]), class(sandboxClass))
	l.create(a)
	l.awaitRunning(a)
	l.create(b)
	l.awaitRefused(b, "node(s)")
	l.expectSound("")
	l.remove(a, b)
	l.awaitFree()
}

func testVirtualMachines(l lab) {
	l.testKernelsOfTheirOwn(vmClass, "vm", regexp.MustCompile(`^Linux version .*cloud-amd64`))
}

// testHandlers expects of every node the handlers that its containerd has, and of a node whose handler goes away
// that the kubelet says so.
func testHandlers(l lab) {
	has := func(ctx context.Context, node, handler string) bool {
		got, err := l.api.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			l.Fatal(err)
		}
		for _, h := range got.Status.RuntimeHandlers {
			if h.Name == handler {
				return true
			}
		}
		return false
	}
	for _, node := range workers {
		for _, handler := range []string{"runc", "runsc", "test-vm"} {
			if !has(l.Context(), node, handler) {
				l.Errorf("%s does not report the handler %s", node, handler)
			}
		}
	}
	node := l.cluster.Node(workers[0])
	if err := node.SetSandboxHandler(l.Context(), false); err != nil {
		l.Fatal(err)
	}
	l.eventually("the handler is gone from the node", func(ctx context.Context) (bool, string) {
		return !has(ctx, node.Name, "runsc"), "it is still there"
	})
	pod := podOf("acme", "without-handler", on(node.Name), class(sandboxClass))
	l.create(pod)
	l.awaitRefused(pod, "don't offer the runtime handler")
	if err := node.SetSandboxHandler(l.Context(), true); err != nil {
		l.Fatal(err)
	}
	l.eventually("the handler is back", func(ctx context.Context) (bool, string) {
		return has(ctx, node.Name, "runsc"), "it is not there"
	})
	l.awaitRunning(pod)
	l.expectSound("")
	l.remove(pod)
	l.awaitFree()
}
