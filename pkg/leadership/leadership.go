// Package leadership tells a plugin of kube-scheduler that its process leads. The command
// has no hook for that; what it calls when it wins the election is the metrics of
// client-go's elector, so this package is those metrics.
package leadership

import (
	"sync"
	"sync/atomic"

	"k8s.io/client-go/tools/leaderelection"
)

// Signal says whether this process takes part in an election, and whether it has won.
type Signal struct {
	elects  atomic.Bool
	won     sync.Once
	leading chan struct{}
}

// Install makes a Signal and has client-go's elector report to it. Only the first call in
// a process has that effect, and only before the elector is made.
func Install() *Signal {
	s := &Signal{leading: make(chan struct{})}
	leaderelection.SetProvider(provider{s})
	return s
}

// Leading returns a channel that is closed when the election has been won. It is never
// closed in a process without an election.
func (s *Signal) Leading() <-chan struct{} { return s.leading }

// Elects reports whether there is an election. It is made after the scheduler's informers
// have synced.
func (s *Signal) Elects() bool { return s.elects.Load() }

type provider struct{ *Signal }

func (p provider) NewLeaderMetric() leaderelection.LeaderMetric {
	p.elects.Store(true)
	return p
}

func (p provider) On(string)                { p.won.Do(func() { close(p.leading) }) }
func (p provider) Off(string)               {}
func (p provider) SlowpathExercised(string) {}
