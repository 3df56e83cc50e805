package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"

	"tenantisolation.dev/scheduler/pkg/serverversion"
)

// versionServer is an API server that tells a version, which may change, and nothing else.
type versionServer struct {
	*httptest.Server
	minor atomic.Int32
}

func newVersionServer(t *testing.T, minor int32) *versionServer {
	t.Helper()
	s := &versionServer{}
	s.minor.Store(minor)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(apiversion.Info{GitVersion: fmt.Sprintf("v1.%d.0", s.minor.Load())})
	}))
	t.Cleanup(s.Close)
	return s
}

// flagsFor are those of kube-scheduler that count here, with a configuration file that points to
// the server.
func flagsFor(t *testing.T, server string, args ...string) *pflag.FlagSet {
	t.Helper()
	dir := t.TempDir()
	kubeconfig, config := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "config.yaml")
	for path, text := range map[string]string{
		kubeconfig: `{"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x"}}],
			"clusters": [{"name": "x", "cluster": {"server": "` + server + `"}}]}`,
		config: "clientConnection: {kubeconfig: " + kubeconfig + "}\nprofiles: [{schedulerName: x}]\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.StringSlice(emulationFlag, nil, "")
	for _, name := range []string{"config", "kubeconfig", "master", "version", "write-config-to"} {
		flags.String(name, "", "")
	}
	if err := flags.Parse(append([]string{"--config=" + config}, args...)); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestFollowServers(t *testing.T) {
	for name, tc := range map[string]struct {
		server int32
		args   []string
		want   string
	}{
		"an older API server":                      {36, nil, "[1.36]"},
		"an API server of this release":            {37, nil, "[1.37]"},
		"a newer API server":                       {38, nil, "[1.37]"},
		"the user has chosen a version":            {37, []string{"--emulated-version=1.36"}, "[1.36]"},
		"only the version of the program is asked": {36, []string{"--version=true"}, "[]"},
		"only the configuration is written":        {36, []string{"--write-config-to=x"}, "[]"},
		"a configuration that cannot be read":      {36, []string{"--config=/none"}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			flags := flagsFor(t, newVersionServer(t, tc.server).URL, tc.args...)
			follower, err := followServers(t.Context(), flags)
			if err != nil {
				t.Fatal(err)
			}
			if got := flags.Lookup(emulationFlag).Value.String(); got != tc.want {
				t.Errorf("emulates %s, want %s", got, tc.want)
			}
			if follows := follower != nil; follows != (tc.args == nil) {
				t.Errorf("follows the servers: %t", follows)
			}
		})
	}
	t.Run("an API server that is too old", func(t *testing.T) {
		_, err := followServers(t.Context(), flagsFor(t, newVersionServer(t, 35).URL))
		if err == nil || !strings.Contains(err.Error(), "1.36 to 1.38") {
			t.Errorf("%v, want an error that names the versions that work", err)
		}
	})
}

func TestOutdatedBy(t *testing.T) {
	for name, tc := range map[string]struct {
		emulated, lowest string
		complete         bool
		want             bool
	}{
		"as before":                {"1.37", "1.37", true, false},
		"a server was rolled back": {"1.37", "1.36", true, true},
		"a server was rolled back and another does not answer":  {"1.37", "1.36", false, true},
		"the last server was upgraded":                          {"1.36", "1.37", true, true},
		"a server does not answer and may be the oldest":        {"1.36", "1.37", false, false},
		"the servers are newer than the program":                {"1.37", "1.38", true, false},
		"the servers became newer than the program in one step": {"1.36", "1.38", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := &follower{binary: version.MustParseGeneric("1.37"), emulated: version.MustParseGeneric(tc.emulated)}
			answer := serverversion.Answer{Lowest: version.MustParseGeneric(tc.lowest), Complete: tc.complete}
			if got := f.outdatedBy(answer); got != tc.want {
				t.Errorf("outdated: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestFollow(t *testing.T) {
	server := newVersionServer(t, 36)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var calls atomic.Int32
	f := &follower{
		config: &rest.Config{Host: server.URL, QPS: -1}, binary: version.MustParseGeneric("1.37"), emulated: version.MustParseGeneric("1.36"),
		shutDown: func() bool {
			if server.minor.Load() == 36 {
				t.Error("ended although nothing has changed")
			}
			// The first time nobody listens yet.
			return calls.Add(1) == 2
		},
	}
	time.AfterFunc(100*time.Millisecond, func() { server.minor.Store(37) })
	f.follow(ctx, 10*time.Millisecond)
	if ctx.Err() != nil || calls.Load() != 2 {
		t.Errorf("%v after %d calls, want an end by the second", ctx.Err(), calls.Load())
	}
}
