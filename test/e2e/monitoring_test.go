//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const (
	firingAlerts = "the shipped alerts fire and stop"

	// The network is this program's own, so the port is free.
	prometheusAddress = "127.0.0.1:9090"
	prometheusAccount = "prometheus"
	metricsRole       = "tenant-isolation-scheduler-metrics"

	// What is shipped scrapes every 15 s, and most alerts wait for minutes before they fire.
	scrapeInterval = "1s"
	longestFor     = 5 * time.Second

	weakenedBinding = "validatingadmissionpolicybinding/tenant-isolation-updates"
)

// onlyWithCause are the queried metrics of which no series exists before what they count has happened for the first
// time. Nothing here makes it happen.
var onlyWithCause = map[string]string{
	"tenant_isolation_audit_evictions_total": "audit.remediation is not Evict",
	"tenant_isolation_dedications_refused_total": "a pod has to be placed between the time when a node is found and when it is reserved, " +
		"or to be at the limit of its tenant",
}

// testMonitoring has Prometheus scrape the installed scheduler by the shipped manifests, with the shipped rules. Alerts
// of the policy, of the audit and of the leader's election fire when their cause is made, each alone, and stop when it
// is gone.
func testMonitoring(l lab) {
	p := l.startPrometheus()
	p.awaitTargets("without the shipped ClusterRole Prometheus is turned away", func(t target) bool {
		return t.Health == "down" && strings.Contains(t.LastError, "403")
	})
	l.kubectl("create", "clusterrolebinding", prometheusAccount, "--clusterrole="+metricsRole, "--serviceaccount="+systemNamespace+":"+prometheusAccount)
	p.awaitTargets("both replicas are scraped", func(t target) bool { return t.Health == "up" })
	p.await("tenant_isolation_policy_condition", "tenant_isolation_audit_findings")
	p.awaitFiring()

	l.kubectl("patch", weakenedBinding, "--type=merge", `--patch={"spec":{"validationActions":["Audit"]}}`)
	p.awaitFiring("TenantIsolationNotEnforced")
	l.kubectl("patch", weakenedBinding, "--type=merge", `--patch={"spec":{"validationActions":["Deny"]}}`)
	p.awaitFiring()

	node := l.cluster.Node(workers[0])
	resident, refused := podOf("acme", "resident", on(node.Name)), podOf("globex", "refused", on(node.Name))
	l.create(resident)
	l.awaitRunning(resident)
	l.create(refused)
	l.awaitRefused(refused, "node(s)")
	if err := node.StaticPod("static", staticManifest); err != nil {
		l.Fatal(err)
	}
	p.awaitFiring("TenantIsolationBroken")
	if result := l.check(""); result.Sound() {
		l.Error("the alert fires, and the checker sees no pair that breaks the rule")
	}
	p.expectShippedMetrics()
	if err := node.StaticPod("static", ""); err != nil {
		l.Fatal(err)
	}
	p.awaitFiring()
	l.remove(resident, refused)
	l.awaitFree()

	l.kubectl("scale", "deployment/"+deploymentName, "--namespace="+systemNamespace, "--replicas=0")
	p.awaitFiring("TenantIsolationNoLeader")
	l.kubectl("scale", "deployment/"+deploymentName, "--namespace="+systemNamespace, "--replicas=2")
	l.awaitReplicas()
	p.awaitTargets("both new replicas are scraped", func(t target) bool { return t.Health == "up" })
	p.awaitFiring()
	l.expectSound("")
}

type prometheus struct {
	lab
	queries []string // of the rules and the dashboard
}

// startPrometheus starts Prometheus beside the nodes, with an account of its own that may list what a ServiceMonitor
// selects, as the Prometheus operator's may. It ends with this part.
func (l lab) startPrometheus() prometheus {
	l.Helper()
	scraping := l.readComponent("scrape.yaml")
	monitor := scraping[len(scraping)-1]
	if monitor["kind"] != "ServiceMonitor" {
		l.Fatalf("the last object of scrape.yaml is a %v, want the ServiceMonitor", monitor["kind"])
	}
	// The operator and its kinds are not here: the ServiceMonitor and the PrometheusRule become files.
	role := metav1.ObjectMeta{Name: prometheusAccount, Namespace: systemNamespace}
	objects := append(slices.Clone(scraping[:len(scraping)-1]),
		object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": role},
		object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": role, "rules": []object{
			{"apiGroups": []string{""}, "resources": []string{"services", "pods"}, "verbs": []string{"get", "list", "watch"}},
			{"apiGroups": []string{"discovery.k8s.io"}, "resources": []string{"endpointslices"}, "verbs": []string{"get", "list", "watch"}},
		}},
		object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": role,
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": prometheusAccount},
			"subjects": []object{{"kind": "ServiceAccount", "name": prometheusAccount, "namespace": systemNamespace}},
		},
	)
	dir := l.TempDir()
	manifests := filepath.Join(dir, "manifests.yaml")
	l.write(manifests, objects...)
	l.kubectl("apply", "--filename="+manifests)
	l.Cleanup(func() {
		ctx := context.WithoutCancel(l.Context())
		_, _ = l.cluster.Kubectl(ctx, "delete", "clusterrolebinding", prometheusAccount, "--ignore-not-found")
		_, _ = l.cluster.Kubectl(ctx, "delete", "--filename="+manifests, "--ignore-not-found")
	})

	account, err := l.cluster.ServiceAccount(l.Context(), systemNamespace, prometheusAccount)
	if err != nil {
		l.Fatal(err)
	}
	token, ca := filepath.Join(dir, "token"), filepath.Join(dir, "ca.crt")
	for path, content := range map[string]string{token: account.BearerToken, ca: string(account.CAData)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			l.Fatal(err)
		}
	}
	rules, queries := l.shippedRules()
	l.write(filepath.Join(dir, "rules.yaml"), rules)
	l.write(filepath.Join(dir, "prometheus.yaml"), object{
		"global":         object{"scrape_interval": scrapeInterval, "scrape_timeout": scrapeInterval, "evaluation_interval": scrapeInterval},
		"rule_files":     []string{"rules.yaml"},
		"scrape_configs": l.scrapeConfigs(monitor, account.Host, token, ca),
	})
	process, err := l.cluster.Launch("prometheus", filepath.Join(os.Getenv("NODE_PROGRAMS"), "prometheus"), nil,
		"--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+prometheusAddress)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(process.Stop)
	return prometheus{lab: l, queries: append(queries, l.dashboardQueries()...)}
}

type object = map[string]any

func (l lab) readComponent(name string) []object {
	l.Helper()
	text, err := os.ReadFile(filepath.Join(l.root, "manifests", "components", "monitoring", name))
	if err != nil {
		l.Fatal(err)
	}
	var objects []object
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var o object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			l.Fatal(err)
		}
		objects = append(objects, o)
	}
	return objects
}

func (l lab) write(path string, objects ...object) {
	l.Helper()
	var documents []string
	for _, o := range objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			l.Fatal(err)
		}
		documents = append(documents, string(text))
	}
	if err := os.WriteFile(path, []byte(strings.Join(documents, "---\n")), 0o600); err != nil {
		l.Fatal(err)
	}
}

// into reads an object as one of the types below.
func into[T any](l lab, o object) T {
	l.Helper()
	var typed T
	text, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(text, &typed)
	}
	if err != nil {
		l.Fatal(err)
	}
	return typed
}

// scrapeConfigs says what the ServiceMonitor says, in the words of Prometheus.
func (l lab) scrapeConfigs(monitor object, apiServer, token, ca string) []object {
	l.Helper()
	m := into[struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
		Spec     struct {
			Selector  metav1.LabelSelector `json:"selector"`
			Endpoints []struct {
				Port            string `json:"port"`
				Scheme          string `json:"scheme"`
				BearerTokenFile string `json:"bearerTokenFile"`
				TLSConfig       struct {
					InsecureSkipVerify bool `json:"insecureSkipVerify"`
				} `json:"tlsConfig"`
			} `json:"endpoints"`
		} `json:"spec"`
	}](l, monitor)
	if len(m.Spec.Endpoints) != 1 || m.Spec.Endpoints[0].BearerTokenFile == "" || len(m.Spec.Selector.MatchLabels) == 0 {
		l.Fatalf("want a ServiceMonitor with labels to select by and one endpoint with a token, have %+v", m.Spec)
	}
	endpoint := m.Spec.Endpoints[0]
	keep := func(meta, value string) object {
		return object{"action": "keep", "source_labels": []string{"__meta_kubernetes_" + meta}, "regex": value}
	}
	relabelings := []object{keep("endpointslice_port_name", endpoint.Port)}
	for key, value := range m.Spec.Selector.MatchLabels {
		relabelings = append(relabelings, keep("service_label_"+strings.NewReplacer(".", "_", "/", "_", "-", "_").Replace(key), value))
	}
	return []object{{
		"job_name": m.Metadata.Name, "scheme": endpoint.Scheme,
		"authorization": object{"credentials_file": token},
		"tls_config":    object{"insecure_skip_verify": endpoint.TLSConfig.InsecureSkipVerify},
		"kubernetes_sd_configs": []object{{
			"role": "endpointslice", "api_server": apiServer, "namespaces": object{"names": []string{m.Metadata.Namespace}},
			"authorization": object{"credentials_file": token}, "tls_config": object{"ca_file": ca},
		}},
		"relabel_configs": relabelings,
	}}
}

// shippedRules are the groups of the PrometheusRule, as a file of rules and with less patience.
func (l lab) shippedRules() (rules object, queries []string) {
	l.Helper()
	spec := into[struct {
		Groups []struct {
			Name  string   `json:"name"`
			Rules []object `json:"rules"`
		} `json:"groups"`
	}](l, l.readComponent("prometheusrule.yaml")[0]["spec"].(object))
	var groups []object
	for _, group := range spec.Groups {
		for _, rule := range group.Rules {
			queries = append(queries, rule["expr"].(string))
			if shipped, ok := rule["for"].(string); ok {
				wait, err := time.ParseDuration(shipped)
				if err != nil {
					l.Fatal(err)
				}
				rule["for"] = min(wait, longestFor).String()
			}
		}
		groups = append(groups, object{"name": group.Name, "rules": group.Rules})
	}
	return object{"groups": groups}, queries
}

func (l lab) dashboardQueries() []string {
	l.Helper()
	dashboard := into[struct {
		Panels []struct {
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}](l, l.readComponent("dashboard.json")[0])
	var queries []string
	for _, panel := range dashboard.Panels {
		for _, query := range panel.Targets {
			queries = append(queries, query.Expr)
		}
	}
	if len(queries) == 0 {
		l.Fatal("the dashboard has no queries")
	}
	return queries
}

// ask asks the API of Prometheus.
func (p prometheus) ask(ctx context.Context, path string, parameters url.Values, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+prometheusAddress+"/api/v1/"+path+"?"+parameters.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, text)
	}
	return json.Unmarshal(text, &struct {
		Data any `json:"data"`
	}{answer})
}

type target struct {
	Health, LastError, ScrapeURL string
}

// awaitTargets waits until Prometheus has exactly two targets, and they are as they should be.
func (p prometheus) awaitTargets(what string, as func(target) bool) {
	p.Helper()
	p.eventually(what, func(ctx context.Context) (bool, string) {
		var answer struct{ ActiveTargets []target }
		if err := p.ask(ctx, "targets", nil, &answer); err != nil {
			return false, err.Error()
		}
		targets := answer.ActiveTargets
		return len(targets) == 2 && as(targets[0]) && as(targets[1]), fmt.Sprintf("%+v", targets)
	})
}

// await waits until there are series of metrics.
func (p prometheus) await(metrics ...string) {
	p.Helper()
	for _, metric := range metrics {
		p.eventually("there is "+metric, func(ctx context.Context) (bool, string) {
			found, err := p.series(ctx, metric)
			return len(found) > 0, fmt.Sprint(err)
		})
	}
}

// series returns the labels of each series that Prometheus has of a metric.
func (p prometheus) series(ctx context.Context, metric string) ([]map[string]string, error) {
	var found []map[string]string
	err := p.ask(ctx, "series", url.Values{"match[]": {metric}}, &found)
	return found, err
}

// awaitFiring waits until these alerts fire, and no others do.
func (p prometheus) awaitFiring(want ...string) {
	p.Helper()
	begin := time.Now()
	p.eventually(fmt.Sprint("the alerts that fire are ", want), func(ctx context.Context) (bool, string) {
		var answer struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
		if err := p.ask(ctx, "alerts", nil, &answer); err != nil {
			return false, err.Error()
		}
		firing := map[string]bool{}
		for _, alert := range answer.Alerts {
			if alert.State == "firing" {
				firing[alert.Labels["alertname"]] = true
			}
		}
		return slices.Equal(slices.Sorted(maps.Keys(firing)), want), fmt.Sprintf("%+v; %s", answer.Alerts, p.leading(ctx))
	})
	p.Logf("firing after %.0f s: %v", time.Since(begin).Seconds(), want)
}

// leading is what the alerts about the leader go by, for a failure's message.
func (p prometheus) leading(ctx context.Context) string {
	var values json.RawMessage
	query := `{__name__=~"up|leader_election_master_status|tenant_isolation_audit_last_sweep_timestamp_seconds"}`
	if err := p.ask(ctx, "query", url.Values{"query": {query}}, &values); err != nil {
		return err.Error()
	}
	return string(values)
}

// expectShippedMetrics waits until Prometheus has what the rules and the dashboard ask for, with the labels by which
// they select, and until it answers each query.
func (p prometheus) expectShippedMetrics() {
	p.Helper()
	asked := map[string]map[string]bool{}
	for _, query := range p.queries {
		if err := p.ask(p.Context(), "query", url.Values{"query": {query}}, &object{}); err != nil {
			p.Error(err)
		}
		expr, err := parser.ParseExpr(query)
		if err != nil {
			p.Fatal(err)
		}
		for _, selector := range parser.ExtractSelectors(expr) {
			var metric string
			var by []string
			for _, m := range selector {
				if m.Name == labels.MetricName {
					metric = m.Value
				} else {
					by = append(by, m.Name)
				}
			}
			if asked[metric] == nil {
				asked[metric] = map[string]bool{}
			}
			for _, label := range by {
				asked[metric][label] = true
			}
		}
	}
	p.eventually("Prometheus has every metric that the rules and the dashboard ask for", func(ctx context.Context) (bool, string) {
		var missing []string
		for metric, by := range asked {
			found, err := p.series(ctx, metric)
			if err != nil {
				return false, err.Error()
			}
			if len(found) == 0 && onlyWithCause[metric] == "" {
				missing = append(missing, metric)
			}
			for _, one := range found {
				for label := range by {
					if _, ok := one[label]; !ok {
						missing = append(missing, metric+" with "+label)
					}
				}
			}
		}
		slices.Sort(missing)
		return len(missing) == 0, "missing: " + strings.Join(missing, ", ")
	})
	for metric, why := range onlyWithCause {
		found, err := p.series(p.Context(), metric)
		if asked[metric] == nil {
			p.Errorf("nothing asks for %s", metric)
		}
		p.Logf("%s: %d series (%s), %v", metric, len(found), why, err)
	}
	p.Logf("%d metrics of %d queries exist", len(asked), len(p.queries))
}
