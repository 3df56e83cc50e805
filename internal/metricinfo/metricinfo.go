// Package metricinfo lists the metrics of the project as the code registers them, for the
// reference page and for the tests of alerts and dashboard.
package metricinfo

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	k8smetrics "k8s.io/component-base/metrics"

	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/inforce"
	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
)

// Metric is one metric.
type Metric struct {
	Name, Type, Help, Stability string
	Labels                      []string
}

// Group is the metrics of one package. Text says when it reports them.
type Group struct {
	Title, Text string
	Metrics     []Metric
}

// Groups returns all metrics of the project.
func Groups() ([]Group, error) {
	var groups []Group
	for _, source := range []struct {
		title, text string
		metrics     []k8smetrics.Registerable
	}{
		{"Placement", "Reported by the leader, which places the pods.", tenantisolation.Metrics()},
		{"Policy", "Reported by the leader, where an IsolationPolicy is followed.", inforce.Metrics()},
		{"Dedication", "Reported by the leader while `spec.dedication.mode` is `Enabled`.", dedication.Metrics()},
		{"Audit", "Reported by the leader while `spec.audit.mode` is `Enabled`, which is the default.", audit.Metrics()},
	} {
		group := Group{Title: source.title, Text: source.text}
		for _, metric := range source.metrics {
			m, err := describe(metric)
			if err != nil {
				return nil, err
			}
			group.Metrics = append(group.Metrics, m)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// A prometheus.Desc has its fields as text only.
var (
	helpOf   = regexp.MustCompile(`help: ("(?:[^"\\]|\\.)*")`)
	labelsOf = regexp.MustCompile(`variableLabels: \{([^}]*)\}`)
	levelOf  = regexp.MustCompile(`^\[([A-Z]+)\] (.*)$`)
)

func describe(metric k8smetrics.Registerable) (Metric, error) {
	s := Metric{Name: metric.FQName()}
	switch metric.(type) {
	case *k8smetrics.Counter, *k8smetrics.CounterVec:
		s.Type = "counter"
	case *k8smetrics.Gauge, *k8smetrics.GaugeVec:
		s.Type = "gauge"
	case *k8smetrics.Histogram, *k8smetrics.HistogramVec:
		s.Type = "histogram"
	default:
		return s, fmt.Errorf("%s: the metric type %T is unknown here: add it", s.Name, metric)
	}
	metric.Create(nil)
	descriptions := make(chan *prometheus.Desc, 1)
	metric.Describe(descriptions)
	text := (<-descriptions).String()

	help, labels := helpOf.FindStringSubmatch(text), labelsOf.FindStringSubmatch(text)
	if help == nil || labels == nil {
		return s, fmt.Errorf("%s: cannot be read from %s", s.Name, text)
	}
	plain, err := strconv.Unquote(help[1])
	if err != nil {
		return s, fmt.Errorf("%s: %w", s.Name, err)
	}
	level := levelOf.FindStringSubmatch(plain)
	if level == nil {
		return s, fmt.Errorf("%s: no stability level in %q", s.Name, plain)
	}
	s.Stability, s.Help = level[1], level[2]
	if labels[1] != "" {
		s.Labels = strings.Split(labels[1], ",")
	}
	return s, nil
}
