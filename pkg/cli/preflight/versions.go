package preflight

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"
)

// The releases of the API server that this one runs with.
const (
	oldestServer = "1.37.0"
	tooNewServer = "1.39.0"
)

func (c *Cluster) apiServer(context.Context) ([]Result, error) {
	server, err := version.ParseGeneric(c.Server)
	switch {
	case err != nil:
		//nolint:nilerr // a version that nobody understands is a finding, and no error of the check
		return []Result{warn("look at `kubectl version`", "version %q of the API server is not understood", c.Server)}, nil
	case server.LessThan(version.MustParseGeneric(oldestServer)):
		return []Result{fail("upgrade it, or use an older release of this project", "version %s is older than %s", c.Server, oldestServer)}, nil
	case server.AtLeast(version.MustParseGeneric(tooNewServer)):
		return []Result{warn("upgrade the scheduler", "version %s is newer than what was tested", c.Server)}, nil
	}
	return pass("version %s", c.Server), nil
}

// admissionTypes looks for the types that the policies are made of.
func (c *Cluster) admissionTypes(context.Context) ([]Result, error) {
	const group = "admissionregistration.k8s.io/v1"
	list, err := c.Client.Discovery().ServerResourcesForGroupVersion(group)
	if err != nil {
		return nil, err
	}
	var there []string
	for i := range list.APIResources {
		there = append(there, list.APIResources[i].Name)
	}
	var missing []string
	for _, resource := range []string{
		"validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
	} {
		if !slices.Contains(there, resource) {
			missing = append(missing, resource)
		}
	}
	if len(missing) > 0 {
		return []Result{fail("upgrade the API server, or enable its feature gates", "%s does not serve %s", group, some(missing))}, nil
	}
	return pass("%s serves validating and mutating policies", group), nil
}
