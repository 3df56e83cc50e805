package demo

import (
	"io/fs"

	corev1 "k8s.io/api/core/v1"
)

// Fleet returns the nodes that the embedded workload is made for.
func Fleet() []*corev1.Node { return fleet(DefaultNodes) }

// Workload returns the embedded manifests, what runs before the scheduler included. The
// first in the order of their names is that.
func Workload() (fs.FS, error) { return fs.Sub(embedded, "workload") }
