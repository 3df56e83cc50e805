package failover

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/internal/controlplane"
)

// Short leases, so that a killed leader is replaced within seconds and a test sees several. On a busy
// machine a leader would lose even shorter ones without a fault.
const leaseSeconds, renewSeconds = 6, 5

const (
	settleTime   = "1s"
	releaseAfter = "2s"
)

// fleet is the replicas of our scheduler.
type fleet struct {
	*arena
	config   string
	user     *rest.Config
	replicas []*replica
	started  int
}

// replica is one process of our scheduler.
type replica struct {
	*controlplane.Scheduler
	name   string
	paused bool
}

// startFleet starts replicas of the shipped binary with the shipped configuration and short
// leases, and returns when the policies are in force.
func (a *arena) startFleet(replicas int) {
	a.Helper()
	a.prepareFleet()
	for range replicas {
		a.fleet.start()
	}
	a.activate()
}

func (a *arena) prepareFleet() {
	a.Helper()
	_, err := buildProgram()
	a.must(err)
	user, err := a.plane.ServiceAccount(a.Context(), systemNamespace, schedulerName)
	a.must(err)
	a.fleet = &fleet{arena: a, config: a.writeConfig(), user: user}
}

func (f *fleet) start() {
	f.Helper()
	f.startAs(f.user)
}

func (f *fleet) startAs(user *rest.Config) *replica {
	f.Helper()
	f.started++
	name := fmt.Sprintf("ours-%d", f.started)
	scheduler, err := f.plane.StartScheduler(f.Context(), controlplane.SchedulerOptions{
		Name: name, Config: f.config, User: user, Args: []string{"--v=2"},
	})
	f.must(err)
	r := &replica{Scheduler: scheduler, name: name}
	f.replicas = append(f.replicas, r)
	return r
}

// leader is the replica that has the lease, nil if none has. One that lost it ends itself.
func (f *fleet) leader() *replica {
	for _, r := range f.replicas {
		if r.running() && !r.paused && r.hasLed(f.T) {
			return r
		}
	}
	return nil
}

func (r *replica) running() bool {
	select {
	case <-r.Exited():
		return false
	default:
		return true
	}
}

// hasLed reads the log, because nothing else shows which process has the lease.
func (r *replica) hasLed(t *testing.T) bool {
	t.Helper()
	text, err := os.ReadFile(r.Log())
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(bytes.ToLower(text), []byte("successfully acquired lease"))
}

func (a *arena) writeConfig() string {
	a.Helper()
	root, err := controlplane.ModuleRoot()
	a.must(err)
	text, err := os.ReadFile(filepath.Join(root, "manifests", "components", "policy", "scheduler-config.yaml"))
	a.must(err)
	config := map[string]any{}
	a.must(yaml.UnmarshalStrict(text, &config))
	for field, seconds := range map[string]string{
		"leaseDuration": fmt.Sprintf("%ds", leaseSeconds), "renewDeadline": fmt.Sprintf("%ds", renewSeconds), "retryPeriod": "500ms",
	} {
		a.must(unstructured.SetNestedField(config, seconds, "leaderElection", field))
	}
	// A pod that could not be placed is tried again at once where it can be.
	config["podMaxBackoffSeconds"] = int64(2)
	text, err = yaml.Marshal(config)
	a.must(err)
	path := filepath.Join(a.TempDir(), "config.yaml")
	a.must(os.WriteFile(path, text, 0o600))
	return path
}

const stockConfig = `
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
clientConnection: {qps: 300, burst: 600}
podMaxBackoffSeconds: 2
profiles:
- schedulerName: default-scheduler
  plugins:
    score: {disabled: [{name: NodeResourcesBalancedAllocation}, {name: ImageLocality}]}
  pluginConfig:
  # It likes best the nodes that are in use: those of tenants.
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 1}]}}
`

// startStock starts the cluster's own scheduler, whose binds take as long to arrive.
func (a *arena) startStock(delay func() time.Duration) {
	a.Helper()
	user, err := a.plane.AddUser("system:kube-scheduler")
	a.must(err)
	d := a.newSlowProxy(user)
	d.delay = delay
	a.startStockAs(d.Config)
}

func (a *arena) startStockAs(user *rest.Config) {
	a.Helper()
	config := filepath.Join(a.TempDir(), "stock.yaml")
	a.must(os.WriteFile(config, []byte(stockConfig), 0o600))
	_, err := a.plane.StartScheduler(a.Context(), controlplane.SchedulerOptions{Name: "stock", Stock: true, Config: config, User: user})
	a.must(err)
}
