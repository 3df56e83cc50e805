// Package leadership notifies the parts of a kube-scheduler process that it leads. The
// command has no hook for that and calls nothing of a plugin's when it wins the election;
// what client-go's elector does call is the metrics of the process. So this package is those
// metrics, under their usual names, and remembers what they report. See
// docs/decisions/0019-who-leads.md.
package leadership

import (
	"sync"
	"sync/atomic"

	"k8s.io/client-go/tools/leaderelection"
	k8smetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// Signal says whether this process takes part in an election, and whether it has won. A
// nil Signal knows of no election.
type Signal struct {
	elects  atomic.Bool
	won     sync.Once
	leading chan struct{}

	register sync.Once
	master   *k8smetrics.GaugeVec
	slowpath *k8smetrics.CounterVec
}

// electionName is the name of our election in metrics. The one that client-go passes is that of every
// kube-scheduler, and in Prometheus a stock scheduler that leads would stand for ours.
const electionName = "tenant-isolation-scheduler"

// Install makes a Signal and has client-go's elector report to it. Only the first such
// provider of a process counts, so it is called before the elector is made, and in a binary
// that does not import k8s.io/component-base/metrics/prometheus/clientgo.
func Install() *Signal {
	s := newSignal()
	leaderelection.SetProvider(provider{s})
	return s
}

func newSignal() *Signal {
	return &Signal{
		leading: make(chan struct{}),
		master: k8smetrics.NewGaugeVec(&k8smetrics.GaugeOpts{
			Name: "leader_election_master_status",
			Help: "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. " +
				"'name' is the string used to identify the lease. Please make sure to group by name.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"name"}),
		slowpath: k8smetrics.NewCounterVec(&k8smetrics.CounterOpts{
			Name: "leader_election_slowpath_total",
			Help: "Total number of slow path exercised in renewing leader leases. " +
				"'name' is the string used to identify the lease. Please make sure to group by name.",
			StabilityLevel: k8smetrics.ALPHA,
		}, []string{"name"}),
	}
}

// Leading returns a channel that is closed when the election has been won. It is never
// closed in a process without one, and stays closed when the lease is lost: kube-scheduler
// ends then.
func (s *Signal) Leading() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.leading
}

// Leads reports whether the election has been won.
func (s *Signal) Leads() bool {
	select {
	case <-s.Leading():
		return true
	default:
		return false
	}
}

// Elects reports whether there is an election. kube-scheduler makes its elector when all
// informers have synced, however long that takes: that there is none yet does not say that
// there will be none.
func (s *Signal) Elects() bool { return s != nil && s.elects.Load() }

// provider is what of a Signal client-go sees.
type provider struct{ *Signal }

// NewLeaderMetric is called when an elector is made.
func (p provider) NewLeaderMetric() leaderelection.LeaderMetric {
	p.register.Do(func() { legacyregistry.MustRegister(p.master, p.slowpath) })
	p.elects.Store(true)
	return p
}

// On is called when the lease has been won.
func (p provider) On(string) {
	p.master.WithLabelValues(electionName).Set(1)
	p.won.Do(func() { close(p.leading) })
}

// Off is called when the elector is made, and when it fails to renew the lease.
func (p provider) Off(string) { p.master.WithLabelValues(electionName).Set(0) }

// SlowpathExercised is called when a renewal had to read the lease first.
func (p provider) SlowpathExercised(string) { p.slowpath.WithLabelValues(electionName).Inc() }
