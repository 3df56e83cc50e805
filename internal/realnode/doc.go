// Package realnode runs nodes on this machine that are real but for their kernel, which they share: each has its
// own kubelet and containerd, in namespaces of its own (processes, mounts, network, host name) and in cgroups of
// its own. Beside package controlplane it makes a cluster in which containers run, for `make e2e`.
//
// # What it leaves behind
//
// Nothing. Run puts the whole program into namespaces as well: when the first process of a process namespace
// ends, for whatever reason, the kernel kills all others in it and takes mounts, networks and interfaces away
// with them. What is left is one directory and cgroups without a process; Run removes both and then looks whether
// anything is there that was not there before. A process of its own does so if Run itself is killed.
package realnode
