// Package controlplane runs a real Kubernetes control plane on this machine, for
// the demo and for the integration tests: etcd and kube-apiserver and, on request,
// kube-controller-manager, kwok (which does the part of the kubelets) and schedulers.
//
// The programs come from KUBEBUILDER_ASSETS where that is set, and otherwise from
// bin/control-plane of this repository, which `make control-plane` fills.
//
// # What it leaves behind
//
// Nothing. All that a control plane writes is in one temporary directory, every
// program runs in a process group of its own, and there are three ways for both
// to go away:
//
//   - Stop, which ends each program by SIGTERM and then by SIGKILL;
//   - the end of the context that Start was given, which calls Stop, also while
//     Start is still at work;
//   - the end of this process for whatever reason (a panic in a test, os.Exit,
//     SIGKILL): a guard process notices it and does what Stop would have done.
//
// A process group of its own also means that Ctrl-C in a terminal does not reach
// the programs: the order in which they end stays ours.
//
// Everything listens on loopback addresses only.
package controlplane
