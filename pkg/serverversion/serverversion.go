// Package serverversion finds out which release of Kubernetes the API servers of a cluster offer.
// A scheduler that is newer than an API server waits for ever for kinds that this one does not
// serve, so it has to know before it starts.
package serverversion

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

// The API servers that this release works with.
const (
	Oldest = "1.36"
	Newest = "1.38"
)

const (
	// answerWithin is the time that a server has to answer.
	answerWithin = 5 * time.Second
	// apiService has the addresses of all API servers, which they write themselves into one
	// EndpointSlice of that name.
	apiService = "kubernetes"
)

// Of returns the release, major and minor alone, whose API a server offers: the emulated one if
// it emulates one.
func Of(info *apiversion.Info) (*version.Version, error) {
	text := info.GitVersion
	if info.EmulationMajor != "" && info.EmulationMinor != "" {
		text = info.EmulationMajor + "." + info.EmulationMinor
	}
	v, err := version.ParseGeneric(text)
	if err != nil {
		return nil, err
	}
	return version.MajorMinor(v.Major(), v.Minor()), nil
}

// Supported returns an error for a release that is too old to work with.
func Supported(v *version.Version) error {
	if v.LessThan(version.MustParseGeneric(Oldest)) {
		return fmt.Errorf("the API server offers Kubernetes %s, and this release works with %s to %s: upgrade the API server", v, Oldest, Newest)
	}
	return nil
}

// Answer is what the API servers of a cluster said.
type Answer struct {
	// Lowest is the lowest release of those that answered.
	Lowest *version.Version
	// Complete is false if one did not answer, which may be the oldest.
	Complete bool
}

// Ask asks every API server of a cluster for its version. The servers are those behind the
// Service kubernetes: behind one address they can differ while a control plane is upgraded. Where
// their addresses cannot be read or reached, the configured server alone is asked.
func Ask(ctx context.Context, config *rest.Config) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	servers := direct(ctx, config)
	versions, errs := askAll(ctx, servers)
	if len(versions) == 0 {
		versions, errs = askAll(ctx, []*rest.Config{config})
	}
	if len(versions) == 0 {
		return Answer{}, errors.Join(errs...)
	}
	answer := Answer{Lowest: versions[0], Complete: len(errs) == 0}
	for _, v := range versions[1:] {
		if v.LessThan(answer.Lowest) {
			answer.Lowest = v
		}
	}
	return answer, nil
}

// direct returns a configuration for each API server by its own address, none if they are unknown.
func direct(ctx context.Context, config *rest.Config) []*rest.Config {
	configured, _, err := rest.DefaultServerUrlFor(config)
	// Whoever writes an address must not be given the credentials: each server has to prove by its
	// certificate that it is the configured one.
	if err != nil || configured.Scheme != "https" || config.Insecure {
		return nil
	}
	client, err := discoveryclient.NewForConfig(limited(config))
	if err != nil {
		return nil
	}
	slice, err := client.EndpointSlices(metav1.NamespaceDefault).Get(ctx, apiService, metav1.GetOptions{})
	if err != nil {
		klog.FromContext(ctx).V(4).Info("The addresses of the API servers cannot be read: only the configured one is asked", "err", err)
	}
	var servers []*rest.Config
	for _, address := range addresses(slice) {
		server := rest.CopyConfig(config)
		server.Host, server.APIPath = "https://"+address, ""
		if server.ServerName == "" {
			server.ServerName = configured.Hostname()
		}
		servers = append(servers, server)
	}
	return servers
}

func addresses(slice *discoveryv1.EndpointSlice) []string {
	var all []string
	for _, port := range slice.Ports {
		if port.Port == nil || ptr.Deref(port.Name, "https") != "https" {
			continue
		}
		for i := range slice.Endpoints {
			for _, address := range slice.Endpoints[i].Addresses {
				all = append(all, net.JoinHostPort(address, strconv.Itoa(int(*port.Port))))
			}
		}
	}
	return all
}

// askAll asks all at once. It returns the versions of those that answered and the errors of the
// others.
func askAll(ctx context.Context, servers []*rest.Config) ([]*version.Version, []error) {
	var (
		asking   sync.WaitGroup
		mu       sync.Mutex
		versions []*version.Version
		errs     []error
	)
	for _, server := range servers {
		asking.Go(func() {
			v, err := ask(ctx, server)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", server.Host, err))
				return
			}
			versions = append(versions, v)
		})
	}
	asking.Wait()
	return versions, errs
}

func ask(ctx context.Context, server *rest.Config) (*version.Version, error) {
	client, err := discovery.NewDiscoveryClientForConfig(limited(server))
	if err != nil {
		return nil, err
	}
	info, err := client.ServerVersionWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return Of(info)
}

func limited(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Timeout = answerWithin
	return config
}
