package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/internal/checker"
	"tenantisolation.dev/scheduler/internal/density"
	"tenantisolation.dev/scheduler/pkg/plugins/tenantisolation"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

// Options say how a cluster is simulated.
type Options struct {
	// Seed decides all random choices.
	Seed uint64
	// Small is the share of a machine that a trust domain must fit into to get VMs in variant
	// plugin-vm, with the overhead of a VM for each of its pods.
	Small float64
	// Profile is the file with the configuration of the scheduler, normally the shipped one.
	Profile string
	// Only, if any, are the ids of the variants to run.
	Only []string
	// Clock measures how long each variant takes.
	Clock clock.PassiveClock
	// Progress is called with a line for each step.
	Progress func(line string)
}

// attackers are the numbers of an attacker's pods for which co-residence is computed.
func attackers() []int { return []int{1, 5, 20} }

// Run places the pods of the cluster in every variant and measures each.
func Run(ctx context.Context, c *Cluster, o Options) (*Report, error) {
	profile, err := options.LoadConfigFromFile(klog.Background(), o.Profile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Profile, err)
	}
	rules, err := rulesOf(o.Profile, profile)
	if err != nil {
		return nil, err
	}
	v, err := newVariants(c, rules, o.Small)
	if err != nil {
		return nil, err
	}
	s := &simulation{Options: o, variants: v, profile: profile, report: newReport(v.base, o)}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return s.report, nil
}

func rulesOf(file string, profile *schedulerconfig.KubeSchedulerConfiguration) (*podfacts.Rules, error) {
	for _, p := range profile.Profiles {
		if p.SchedulerName != schedulerName {
			continue
		}
		for _, plugin := range p.PluginConfig {
			if plugin.Name != tenantisolation.Name {
				continue
			}
			spec, name, err := policy.OfArguments(plugin.Args)
			if err != nil {
				return nil, fmt.Errorf("%s, profile %s: %w", file, schedulerName, err)
			}
			if spec == nil {
				return nil, fmt.Errorf("%s, profile %s: follows the IsolationPolicy %s: give a configuration with the policy inline, as manifests/base/scheduler-config.yaml has it",
					file, schedulerName, name)
			}
			return podfacts.NewRules(spec)
		}
	}
	return nil, fmt.Errorf("%s, profiles: none of name %s configures the plugin %s", file, schedulerName, tenantisolation.Name)
}

// simulation is one run of all variants.
type simulation struct {
	Options
	variants *variants
	profile  *schedulerconfig.KubeSchedulerConfiguration
	report   *Report
}

func (s *simulation) run(ctx context.Context) error {
	containers := s.variants.containers()
	alone, err := newModel(containers, s.variants.rules)
	if err != nil {
		return err
	}
	sharing, err := s.variants.sharing()
	if err != nil {
		return err
	}
	shared, err := newModel(sharing, s.variants.rules)
	if err != nil {
		return err
	}
	vms, err := newModel(s.variants.allVMs(), s.variants.rules)
	if err != nil {
		return err
	}
	stockProfile, err := latest.Default()
	if err != nil {
		return err
	}
	s.report.describe(s.variants, alone, shared)
	s.report.Bounds = Bounds{
		Anyhow: alone.LowerBound(), Apart: alone.IsolatedLowerBound(), Sharing: shared.IsolatedLowerBound(),
	}
	for _, step := range []func() error{
		func() error { return s.offline(packed, alone, alone.Pack) },
		func() error { return s.offline(packedSharing, shared, shared.Pack) },
		func() error {
			return s.offline(tenantPools, alone, func() density.Placement { return alone.Pools(func(p *density.Pod) string { return p.Tenant }) })
		},
		func() error {
			return s.offline(domainPools, alone, func() density.Placement { return alone.Pools(func(p *density.Pod) string { return p.Domain }) })
		},
		func() error { return s.scheduled(ctx, noIsolation, stock(containers), alone, stockProfile) },
		func() error {
			return s.scheduled(ctx, antiAffine, antiAffinity(containers, alone), alone, stockProfile)
		},
		func() error { return s.offline(kataForAll, vms, vms.Pack) },
		func() error { return s.scheduled(ctx, pluginContainers, containers, alone, s.profile) },
		func() error { return s.scheduled(ctx, pluginSharing, sharing, shared, s.profile) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	s.report.compare()
	return nil
}

func (s *simulation) wanted(id string) bool {
	return len(s.Only) == 0 || slices.Contains(s.Only, id)
}

func (s *simulation) offline(v variant, m *model, place func() density.Placement) error {
	if !s.wanted(v.id) {
		return nil
	}
	s.Progress(v.title)
	begin := s.Clock.Now()
	p := place()
	s.report.add(v, m, p, s.Clock.Since(begin))
	return nil
}

func (s *simulation) scheduled(ctx context.Context, v variant, c *Cluster, m *model, configuration *schedulerconfig.KubeSchedulerConfiguration) error {
	if !s.wanted(v.id) {
		return nil
	}
	begin := s.Clock.Now()
	last := begin
	s.Progress(fmt.Sprintf("%s: %d pods", v.title, len(c.Pods)))
	outcome, err := Place(ctx, c, configuration, s.Seed, func(done, total int) {
		if s.Clock.Since(last) > 2*time.Second {
			last = s.Clock.Now()
			s.Progress(fmt.Sprintf("%s: %d of %d pods, %.0f a minute", v.title, done, total, float64(done)/s.Clock.Since(begin).Minutes()))
		}
	})
	if err != nil {
		return fmt.Errorf("%s: %w", v.title, err)
	}
	r := s.report.add(v, m, m.placement(outcome), s.Clock.Since(begin))
	if v.plugin {
		check := checkPairs(c, outcome)
		r.PairsChecked, r.PairsBroken = check.Pairs, len(check.Broken)+len(check.Weak)
	}
	return nil
}

// checkPairs checks the placement with the independent checker.
func checkPairs(c *Cluster, o *Outcome) checker.Result {
	all := &checker.Cluster{}
	for _, pod := range c.Pods {
		p := *pod
		p.Spec.NodeName = o.Node[pod.UID]
		all.Pods = append(all.Pods, p)
	}
	for _, ns := range c.Namespaces {
		all.Namespaces = append(all.Namespaces, *ns)
	}
	for _, node := range c.Nodes {
		all.Nodes = append(all.Nodes, *node)
	}
	for _, class := range c.RuntimeClasses {
		all.RuntimeClasses = append(all.RuntimeClasses, *class)
	}
	return all.Check()
}
