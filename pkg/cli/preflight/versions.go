package preflight

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"
)

// The API server is supported from oldestServer up to, but without, tooNewServer.
const (
	oldestServer = "1.37.0"
	tooNewServer = "1.39.0"
)

func (c *Checker) apiServer(context.Context) ([]Result, error) {
	server, err := version.ParseGeneric(c.Server)
	switch {
	case err != nil:
		//nolint:nilerr // an unknown version is a finding, not an error of the check
		return []Result{warn("look at `kubectl version`", "version %q of the API server is unknown", c.Server)}, nil
	case server.LessThan(version.MustParseGeneric(oldestServer)):
		return []Result{fail("upgrade it, or use an older release of this project", "version %s is older than %s", c.Server, oldestServer)}, nil
	case server.AtLeast(version.MustParseGeneric(tooNewServer)):
		return []Result{warn("upgrade the scheduler", "version %s is newer than the tested ones", c.Server)}, nil
	}
	return pass("version %s", c.Server), nil
}

// admissionTypes checks that the API server serves the types of the policies.
func (c *Checker) admissionTypes(context.Context) ([]Result, error) {
	const group = "admissionregistration.k8s.io/v1"
	list, err := c.Client.Discovery().ServerResourcesForGroupVersion(group)
	if err != nil {
		return nil, err
	}
	var served []string
	for i := range list.APIResources {
		served = append(served, list.APIResources[i].Name)
	}
	var missing []string
	for _, resource := range []string{
		"validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
	} {
		if !slices.Contains(served, resource) {
			missing = append(missing, resource)
		}
	}
	if len(missing) > 0 {
		return []Result{fail("upgrade the API server, or enable its feature gates", "%s does not serve %s", group, some(missing))}, nil
	}
	return pass("%s serves validating and mutating policies", group), nil
}
