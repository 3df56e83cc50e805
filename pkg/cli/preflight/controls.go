package preflight

import (
	"context"

	"k8s.io/client-go/kubernetes"
)

// Controls compares the admission policies of a cluster with the shipped ones, as Run does.
func Controls(ctx context.Context, client kubernetes.Interface) ([]Result, error) {
	return (&Checker{Client: client}).policies(ctx)
}
