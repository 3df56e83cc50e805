package podfacts

import (
	"iter"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// ReportedHandlers returns the names of a node's runtime handlers, nil if the node does
// not report any.
func ReportedHandlers(node *v1.Node) map[string]bool {
	if len(node.Status.RuntimeHandlers) == 0 {
		return nil
	}
	handlers := make(map[string]bool, len(node.Status.RuntimeHandlers))
	for _, h := range node.Status.RuntimeHandlers {
		handlers[h.Name] = true
	}
	return handlers
}

// VMCapable reports whether a node can start VM-isolated pods: by the handlers that it
// reports, or else by the node selectors of the RuntimeClasses whose handlers isolate.
func (r *Rules) VMCapable(node *v1.Node, handlers map[string]bool, classes iter.Seq[RuntimeClass]) bool {
	if handlers != nil {
		for handler := range handlers {
			if r.Isolates(r.BoundaryOf(handler)) {
				return true
			}
		}
		return false
	}
	for class := range classes {
		if class.Nodes != nil && r.Isolates(r.BoundaryOf(class.Handler)) && class.Nodes.Matches(labels.Set(node.Labels)) {
			return true
		}
	}
	return false
}
