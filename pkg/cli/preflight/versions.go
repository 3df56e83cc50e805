package preflight

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"tenantisolation.dev/scheduler/pkg/serverversion"
)

func (c *Checker) apiServer(context.Context) ([]Result, error) {
	info, err := c.Client.Discovery().ServerVersion()
	if err != nil {
		return nil, err
	}
	offered, err := serverversion.Of(info)
	if err != nil {
		//nolint:nilerr // an unknown version is a finding, not an error of the check
		return []Result{warn(advise("look what it is", "kubectl version"), "version %q of the API server is unknown", info.GitVersion)}, nil
	}
	says := "version " + info.GitVersion
	if own, err := version.ParseGeneric(info.GitVersion); err == nil && offered.Minor() != own.Minor() {
		says += fmt.Sprintf(", which emulates %s,", offered)
	}
	switch {
	case offered.LessThan(version.MustParseGeneric(serverversion.Oldest)):
		return []Result{fail(upgradeServer(), "%s is older than %s, the oldest that this release works with", says, serverversion.Oldest)}, nil
	case offered.GreaterThan(version.MustParseGeneric(serverversion.Newest)):
		return []Result{warn(advise("upgrade the scheduler and this tool. This one is", "kubectl isolation version"), "%s is newer than %s, the newest that this release was tested with", says, serverversion.Newest)}, nil
	}
	return pass("%s works with this release", says), nil
}

// admissionTypes checks that the API server serves the types of the policies.
func (c *Checker) admissionTypes(context.Context) ([]Result, error) {
	const group = "admissionregistration.k8s.io/v1"
	list, err := c.Client.Discovery().ServerResourcesForGroupVersion(group)
	if apierrors.IsNotFound(err) {
		list, err = &metav1.APIResourceList{}, nil
	}
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
		return []Result{fail(advise("upgrade the API server, or start it with its feature gates. It is", "kubectl version"), "%s does not serve %s", group, some(missing))}, nil
	}
	return pass("%s serves validating and mutating policies", group), nil
}

func upgradeServer() advice { return advise("upgrade the API server. It is", "kubectl version") }
