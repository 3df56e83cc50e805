package serverversion_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	"k8s.io/utils/ptr"

	"tenantisolation.dev/scheduler/pkg/serverversion"
)

// apiServer answers like an API server of one version; one with an empty version answers nothing
// about it.
type apiServer struct {
	*httptest.Server
	version apiversion.Info
	// slice has the addresses of all API servers, nil if it may not be read; behind says which server
	// is at each.
	slice  *discoveryv1.EndpointSlice
	behind map[string]string
	// asked counts the requests for the version.
	asked int
	token string
}

func newServer(t *testing.T, gitVersion string) *apiServer {
	t.Helper()
	s := &apiServer{version: apiversion.Info{GitVersion: gitVersion}, behind: map[string]string{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	var answer any
	switch r.URL.Path {
	case "/version":
		s.asked++
		s.token = r.Header.Get("Authorization")
		if s.version.GitVersion == "" {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		answer = s.version
	case "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes":
		if s.slice == nil {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		answer = s.slice
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// lists makes the server list these servers, at addresses that no certificate names.
func (s *apiServer) lists(servers ...*apiServer) {
	s.slice = &discoveryv1.EndpointSlice{
		TypeMeta:    metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("https"), Port: ptr.To[int32](6443)}},
	}
	for i, server := range servers {
		address := fmt.Sprintf("192.0.2.%d", i+1)
		s.slice.Endpoints = append(s.slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
		s.behind[address+":6443"] = server.Listener.Addr().String()
	}
}

// config connects to listed addresses where their servers are, and trusts the certificate that all
// servers of net/http/httptest have.
func (s *apiServer) config() *rest.Config {
	trusted := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return &rest.Config{
		Host: s.URL, BearerToken: "secret", TLSClientConfig: rest.TLSClientConfig{CAData: trusted},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, cmp.Or(s.behind[address], address))
		},
	}
}

func TestAsk(t *testing.T) {
	for name, tc := range map[string]struct {
		// configured is the version of the configured server, servers are those of the servers behind
		// the Service; none if they cannot be read.
		configured string
		servers    []string
		want       string
		incomplete bool
	}{
		"a server that answers for itself":            {"v1.37.2", []string{"v1.37.2"}, "1.37", false},
		"the lowest of several versions counts":       {"v1.38.0", []string{"v1.38.0", "v1.36.3", "v1.37.2"}, "1.36", false},
		"numbers are compared, not texts":             {"v1.100.0", []string{"v1.100.0", "v1.37.0"}, "1.37", false},
		"a version with a vendor's suffix":            {"v1.36.3-gke.1203000", nil, "1.36", false},
		"a version before its release":                {"v1.38.0-beta.0", nil, "1.38", false},
		"one that does not answer does not count":     {"v1.37.2", []string{"v1.37.2", ""}, "1.37", true},
		"addresses that cannot be read":               {"v1.36.3", nil, "1.36", false},
		"none of them answers but the configured one": {"v1.36.3", []string{"", ""}, "1.36", false},
	} {
		t.Run(name, func(t *testing.T) {
			configured := newServer(t, tc.configured)
			var servers []*apiServer
			for _, v := range tc.servers {
				servers = append(servers, newServer(t, v))
			}
			if servers != nil {
				configured.lists(servers...)
			}
			got, err := serverversion.Ask(t.Context(), configured.config())
			if err != nil {
				t.Fatal(err)
			}
			if got.Lowest.String() != tc.want || got.Complete == tc.incomplete {
				t.Errorf("%s, complete: %t; want %s, %t", got.Lowest, got.Complete, tc.want, !tc.incomplete)
			}
		})
	}
}

func TestAskNobodyAnswers(t *testing.T) {
	configured := newServer(t, "")
	configured.lists(newServer(t, ""))
	if got, err := serverversion.Ask(t.Context(), configured.config()); err == nil {
		t.Errorf("answered %v by nobody", got)
	}
}

// An address of somebody else must not be given the credentials.
func TestAskGivesNoCredentialsToOthers(t *testing.T) {
	configured, other := newServer(t, "v1.37.2"), newServer(t, "v1.36.3")
	configured.lists(other)
	if _, err := serverversion.Ask(t.Context(), configured.config()); err != nil || other.token != "Bearer secret" {
		t.Fatalf("%v, token %q: a server with the right certificate gets them", err, other.token)
	}
	other.asked = 0
	t.Run("no certificate is asked for", func(t *testing.T) {
		config := configured.config()
		config.TLSClientConfig = rest.TLSClientConfig{Insecure: true}
		got, err := serverversion.Ask(t.Context(), config)
		if err != nil || got.Lowest.String() != "1.37" || other.asked > 0 {
			t.Errorf("%v, %v, asked %d times, want the configured server alone", got, err, other.asked)
		}
	})
	t.Run("a server with a certificate of its own", func(t *testing.T) {
		stranger := newStranger(t)
		configured.lists(stranger)
		got, err := serverversion.Ask(t.Context(), configured.config())
		if err != nil || got.Lowest.String() != "1.37" || stranger.asked > 0 {
			t.Errorf("%v, %v, asked %d times, want the configured server alone", got, err, stranger.asked)
		}
	})
}

// newStranger returns a server whose certificate nobody has signed, for the right name.
func newStranger(t *testing.T) *apiServer {
	t.Helper()
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	s := &apiServer{version: apiversion.Info{GitVersion: "v1.36.3"}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestOf(t *testing.T) {
	for name, tc := range map[string]struct {
		info apiversion.Info
		want string
	}{
		"a server that emulates": {apiversion.Info{GitVersion: "v1.37.2", EmulationMajor: "1", EmulationMinor: "36"}, "1.36"},
		"a server that does not": {apiversion.Info{GitVersion: "v1.37.2", EmulationMajor: "1", EmulationMinor: "37"}, "1.37"},
		"a server of old":        {apiversion.Info{GitVersion: "v1.30.14"}, "1.30"},
		"no version":             {apiversion.Info{GitVersion: "latest"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := serverversion.Of(&tc.info)
			if tc.want == "" {
				if err == nil {
					t.Errorf("%s, want an error", got)
				}
				return
			}
			if err != nil || got.String() != tc.want {
				t.Errorf("%v, %v, want %s", got, err, tc.want)
			}
		})
	}
}

func TestSupported(t *testing.T) {
	for text, want := range map[string]bool{"1.35": false, "1.36": true, "1.38": true, "1.39": true} {
		err := serverversion.Supported(version.MustParseGeneric(text))
		if (err == nil) != want {
			t.Errorf("%s: %v, want supported: %t", text, err, want)
		}
		if err != nil && (!strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "1.36 to 1.38")) {
			t.Errorf("%s: %v: want both the version and those that work", text, err)
		}
	}
}
