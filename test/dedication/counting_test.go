package dedication

import (
	"net/http"
	"strings"
)

// roundTripper is a function that is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// count counts the writes of a process, by resource.
func (p *process) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet {
			p.mu.Lock()
			for _, resource := range []string{"nodes", "configmaps", "pods"} {
				if strings.Contains(r.URL.Path, "/"+resource) {
					p.writes[resource]++
				}
			}
			p.mu.Unlock()
		}
		return next.RoundTrip(r)
	})
}

// forget sets the counts to zero.
func (p *process) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.writes)
}

// wrote returns the number of writes since.
func (p *process) wrote(resource string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes[resource]
}
