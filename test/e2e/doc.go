// Package e2e tests what is shipped on real nodes: the image in containerd, installed by Helm, and pods of tenants
// whose containers say which kernel they are in. `make e2e` runs it; other runs leave it out (the build tag e2e),
// as it needs Linux, root and programs that take minutes to build.
//
// # Where to find what
//
//	main_test.go       the cluster that all of it shares, and the order
//	shipped_test.go    the installed scheduler: rollout, drain, a killed leader
//	kernels_test.go    which kernel the containers of two tenants see, by runtime
//	kubelet_test.go    what kubelets do that fake ones do not, also when they are away or their node reboots
//	audit_test.go      static pods and user namespaces
//	monitoring_test.go Prometheus with the shipped alerts and the metrics of the dashboard
//	pods_test.go       the pods of the tenants, and what they say of the kernel that they are in
//	report_test.go     the table at the end
//
// The nodes are namespaces of one machine. So two containers on two nodes see one kernel here, and what is shown of
// containers is that they never meet on one node; what is shown of gVisor and of virtual machines is that each has
// a kernel of its own.
package e2e
