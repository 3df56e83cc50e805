package failover

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// slowProxy is a proxy to the API server that can hold back single binds, as a slow network does.
type slowProxy struct {
	*rest.Config

	proxy http.Handler
	// delay returns how long a bind that is not held back takes to arrive.
	delay func() time.Duration
	mu    sync.Mutex
	held  map[string]*heldBind
}

// heldBind is a bind that the proxy holds back.
type heldBind struct {
	*arena
	proxy http.Handler
	// arrived is closed when there is a request.
	arrived chan struct{}
	// lost is closed to fail the request at the sender, as if the connection were lost.
	lost    chan struct{}
	request *http.Request
	body    []byte
}

// newSlowProxy returns a proxy to the API server with the user of a configuration.
func (a *arena) newSlowProxy(user *rest.Config) *slowProxy {
	a.Helper()
	target, err := url.Parse(user.Host)
	a.must(err)
	transport, err := rest.TransportFor(user)
	a.must(err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = transport
	proxy.FlushInterval = -1                    // watch events have to arrive at once
	proxy.ErrorLog = log.New(io.Discard, "", 0) // watches break when kube-apiserver is killed
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	d := &slowProxy{proxy: proxy, held: map[string]*heldBind{}, delay: func() time.Duration { return 0 }}
	server := httptest.NewServer(d)
	a.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	d.Config = &rest.Config{Host: server.URL, QPS: -1}
	return d
}

// hold holds back the next bind of a pod.
func (d *slowProxy) hold(a *arena, pod *corev1.Pod) *heldBind {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &heldBind{arena: a, proxy: d.proxy, arrived: make(chan struct{}), lost: make(chan struct{})}
	d.held[pod.Namespace+"/"+pod.Name] = h
	return h
}

// ServeHTTP passes on whatever is not held.
func (d *slowProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pod, ok := boundPod(r)
	if !ok {
		d.proxy.ServeHTTP(w, r)
		return
	}
	h := d.take(pod)
	if h == nil {
		select {
		case <-time.After(d.delay()):
		case <-r.Context().Done():
		}
		d.proxy.ServeHTTP(w, r)
		return
	}
	var err error
	if h.body, err = io.ReadAll(r.Body); err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	h.request = r.Clone(context.Background())
	close(h.arrived)
	select {
	case <-h.lost:
		w.WriteHeader(http.StatusBadGateway)
	case <-r.Context().Done():
	}
}

// boundPod is the pod that a request binds.
func boundPod(r *http.Request) (pod string, ok bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // api/v1/namespaces/N/pods/P/binding
	if r.Method != http.MethodPost || len(parts) != 7 || parts[6] != "binding" {
		return "", false
	}
	return parts[3] + "/" + parts[5], true
}

func (d *slowProxy) take(pod string) *heldBind {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.held[pod]
	delete(d.held, pod)
	return h
}

// untilHeld returns when the bind is on its way.
func (h *heldBind) untilHeld() {
	h.Helper()
	h.eventually("a bind to hold back", func(context.Context) (bool, error) {
		select {
		case <-h.arrived:
			return true, nil
		default:
			return false, nil
		}
	})
}

// send lets the request arrive, as often as it is called, and returns what the API server
// says.
func (h *heldBind) send() (code int, text string) {
	request := h.request.Clone(h.Context())
	request.Body = io.NopCloser(bytes.NewReader(h.body))
	answer := httptest.NewRecorder()
	h.proxy.ServeHTTP(answer, request)
	status := &metav1.Status{}
	if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(answer.Body.Bytes(), nil, status); err != nil {
		return answer.Code, err.Error()
	}
	return answer.Code, status.Message
}

// expectRefused sends the bind and wants it to be refused for its token.
func (h *heldBind) expectRefused(when string) {
	h.Helper()
	const policy = "tenant-isolation-dedication"
	code, text := h.send()
	if code != http.StatusForbidden || !strings.Contains(text, policy) {
		h.Errorf("the bind %s is answered with %d, want it refused by %s: %s", when, code, policy, text)
	}
}
