package integration

import (
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The tests that count attempts read them from the log. Here the scheduler's own metrics
// say how many there were, and show that the log is complete.
func TestJournalHasEveryAttempt(t *testing.T) {
	c := newFixtureWith(t, nil)
	token := c.scraper()
	refused, foreign := c.conflict()
	c.refused(refused, foreignThere)
	c.remove(foreign)
	c.placed(refused)
	c.refused(c.pod(c.namespace()), noTenant)

	got := 0
	for series, value := range c.metric(token, "scheduler_schedule_attempts_total") {
		if strings.Contains(series, strconv.Quote(c.scheduler.profile)) {
			got += value
		}
	}
	if want := c.journal.allAttempts(); got != want || got < 4 {
		t.Errorf("the metrics count %d attempts, the journal %d, want the same and at least 4", got, want)
	}
}

func TestMetricsNeedTheRight(t *testing.T) {
	c := newFixture(t)
	if status, _ := c.fetch(""); status != http.StatusForbidden {
		t.Errorf("a stranger gets status %d, want %d", status, http.StatusForbidden)
	}
	if status, text := c.fetch(c.scraper()); status != http.StatusOK {
		t.Errorf("who may read them gets status %d: %s", status, text)
	}
}

// scraper returns the token of a service account that may read metrics and nothing else.
func (c *fixture) scraper() string {
	c.Helper()
	name := c.name("scraper")
	meta := metav1.ObjectMeta{Name: name}
	_, err := c.api.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Create(c.Context(), &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	c.must(err)
	role := &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}}
	_, err = c.api.RbacV1().ClusterRoles().Create(c.Context(), role, metav1.CreateOptions{})
	c.must(err)
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: name}},
	}
	_, err = c.api.RbacV1().ClusterRoleBindings().Create(c.Context(), binding, metav1.CreateOptions{})
	c.must(err)
	config, err := c.environment.plane.ServiceAccount(c.Context(), metav1.NamespaceDefault, name)
	c.must(err)
	// The scheduler remembers a refusal for 10 s.
	// The scheduler remembers a refusal for 10 s.
	c.must(c.environment.plane.AwaitAccess(c.Context(), authorizationv1.SubjectAccessReviewSpec{
		User:                  "system:serviceaccount:" + metav1.NamespaceDefault + ":" + name,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"},
	}))
	return config.BearerToken
}

// fetch reads the scheduler's metrics from its own endpoint.
func (c *fixture) fetch(token string) (int, string) {
	c.Helper()
	// It signs its own certificate, so there is nothing to verify it by.
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(c.Context(), http.MethodGet, c.scheduler.URL+"/metrics", nil)
	c.must(err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	c.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	c.must(err)
	return response.StatusCode, string(body)
}

// metric returns a counter's value for each set of labels.
func (c *fixture) metric(token, name string) map[string]int {
	c.Helper()
	status, text := c.fetch(token)
	if status != http.StatusOK {
		c.Fatalf("status %d: %s", status, text)
	}
	values := map[string]int{}
	for line := range strings.Lines(text) {
		series, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if !found || !strings.HasPrefix(series, name+"{") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		c.must(err)
		values[series] = int(number)
	}
	return values
}
