package demo

import (
	"io/fs"

	corev1 "k8s.io/api/core/v1"
)

// Fleet returns the nodes of a demo of this size; the embedded workload is made for
// DefaultNodes.
func Fleet(count int) []*corev1.Node { return fleet(count) }

// Workload returns the embedded manifests, what runs before the scheduler included. The
// first in the order of their names is that.
func Workload() (fs.FS, error) { return fs.Sub(embedded, "workload") }
