package simulation

import (
	"fmt"
	"time"

	"tenantisolation.dev/scheduler/internal/density"
)

// variant is one way to place the pods.
type variant struct {
	id, title string
	// how: by a packing that knows all pods in advance, or by a scheduler.
	how string
	// plugin: by this project's scheduler.
	plugin bool
}

const (
	byPacking   = "packing"
	byScheduler = "scheduler"
)

var (
	packed           = variant{id: "best-fit", title: "offline best-fit decreasing per trust domain", how: byPacking}
	packedSharing    = variant{id: "best-fit-vm", title: "the same, with VMs for small trust domains", how: byPacking}
	tenantPools      = variant{id: "pools-tenant", title: "static pool per tenant", how: byPacking}
	domainPools      = variant{id: "pools-domain", title: "static pool per trust domain", how: byPacking}
	noIsolation      = variant{id: "stock", title: "stock scheduler, no isolation", how: byScheduler}
	antiAffine       = variant{id: "anti-affinity", title: "required anti-affinity, stock scorers", how: byScheduler}
	kataForAll       = variant{id: "kata", title: "Kata for every pod, offline best-fit decreasing", how: byPacking}
	pluginContainers = variant{id: "plugin", title: "this plugin, containers only", how: byScheduler, plugin: true}
	pluginSharing    = variant{id: "plugin-vm", title: "this plugin, VMs for small trust domains", how: byScheduler, plugin: true}
)

// Report is the result of a simulation.
type Report struct {
	Input    Input    `json:"input"`
	Bounds   Bounds   `json:"lowerBounds"`
	Variants []Result `json:"variants"`
	Sizes    []Size   `json:"podSizes"`
	Verdict  Verdict  `json:"verdict"`
	// Published is a published measurement of co-residence.
	Published string `json:"publishedCoResidence"`
}

// published is from the abstract of the paper; its curves are not copied here.
const published = "Fang et al., Repttack: Exploiting Cloud Schedulers to Guide Co-Location Attacks (NDSS 2022): " +
	"an attacker who asks for what the victim asks for meets it at a rate of up to 50 % with one instance, up to 80 % with five."

// Input is the input of the simulation.
type Input struct {
	Cluster      string            `json:"cluster"`
	Mapping      string            `json:"mapping,omitempty"`
	Seed         uint64            `json:"seed"`
	Small        float64           `json:"smallTrustDomain"`
	Profile      string            `json:"profile"`
	Versions     map[string]string `json:"versions"`
	Nodes        int               `json:"nodes"`
	Pods         int               `json:"pods"`
	Tenants      int               `json:"tenants"`
	TrustDomains int               `json:"trustDomains"`
	PodsInVMs    int               `json:"podsInVMs"`
	Notes        []string          `json:"notes,omitempty"`
}

// Bounds are lower bounds of the number of nodes.
type Bounds struct {
	// Anyhow is for any placement, Apart for separate trust domains, Sharing for separate
	// trust domains with the VMs of variant plugin-vm.
	Anyhow  int `json:"anyPlacement"`
	Apart   int `json:"trustDomainsApart"`
	Sharing int `json:"withVMs"`
}

// Result is the result of one variant.
type Result struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	How   string `json:"by"`
	Nodes int    `json:"nodes"`
	// OverPacking is the excess of nodes over the offline packing of the same pods, in
	// percent; nil without a packing to compare.
	OverPacking  *float64           `json:"overPackingPercent,omitempty"`
	Unplaced     int                `json:"unplaced"`
	WorstTenant  float64            `json:"worstTenantUnplaced"`
	Stranded     map[string]float64 `json:"stranded"`
	Radius       Radius             `json:"blastRadius"`
	Meetings     []Meeting          `json:"coResidence"`
	Seconds      float64            `json:"seconds"`
	PodsAMinute  float64            `json:"podsPerMinute"`
	PairsChecked int                `json:"pairsChecked,omitempty"`
	PairsBroken  int                `json:"pairsBroken"`

	picture []tile
}

// ours reports whether this project's scheduler has placed the pods.
func (r *Result) ours() bool { return r.ID == pluginContainers.id || r.ID == pluginSharing.id }

// Radius is density.Radius.
type Radius struct {
	PodsMean    float64 `json:"podsMean"`
	PodsMax     int     `json:"podsMax"`
	TenantsMean float64 `json:"tenantsMean"`
	TenantsMax  int     `json:"tenantsMax"`
}

// Meeting is density.Meeting.
type Meeting struct {
	Pods   int     `json:"attackerPods"`
	Node   float64 `json:"sameNode"`
	Kernel float64 `json:"sameKernel"`
}

// Size is density.Size, in thousandths of a CPU.
type Size struct {
	UpTo     int64   `json:"upToMilliCPU"`
	Pods     int     `json:"pods"`
	CPU      int64   `json:"milliCPU"`
	Overhead int64   `json:"overheadMilliCPU"`
	Price    float64 `json:"priceOfVM"`
}

// Verdict compares the results with the targets. Nil means not measured.
type Verdict struct {
	WithinFivePercent  *bool `json:"withinFivePercentOfPacking,omitempty"`
	NeverMoreThanPools *bool `json:"noMoreNodesThanPoolsPerTrustDomain,omitempty"`
	// AntiAffinityLeft20: it opens 20 % more nodes, or leaves out more pods.
	AntiAffinityLeft20    *bool `json:"antiAffinityLeftBehindBy20Percent,omitempty"`
	AntiAffinityOverheads *int  `json:"antiAffinityNodesMorePercent,omitempty"`
}

func newReport(c *Cluster, o Options) *Report {
	return &Report{Published: published, Input: Input{
		Cluster: c.Source, Mapping: c.Mapping, Seed: o.Seed, Small: o.Small, Profile: o.Profile, Notes: c.Notes,
		Nodes: len(c.Nodes), Versions: versions(),
	}}
}

func (r *Report) describe(v *variants, alone, shared *model) {
	tenants, domains := map[string]bool{}, map[string]bool{}
	for i := range alone.Pods {
		tenants[alone.Pods[i].Tenant] = true
		domains[alone.Pods[i].Domain] = true
	}
	r.Input.Pods, r.Input.Tenants, r.Input.TrustDomains = len(alone.Pods), len(tenants), len(domains)
	for i := range shared.Pods {
		if shared.Pods[i].VM {
			r.Input.PodsInVMs++
		}
	}
	overhead := int64(0)
	if class := v.base.runtimeClass(v.kata); class != nil && class.Overhead != nil {
		overhead = class.Overhead.PodFixed.Cpu().MilliValue()
	}
	amounts := make([]int64, len(alone.Pods))
	for i := range alone.Pods {
		amounts[i] = alone.Pods[i].Request[0]
	}
	for _, s := range density.Sizes(amounts, overhead, 100, 250, 500, 1000, 2000, 8000) {
		r.Sizes = append(r.Sizes, Size{UpTo: s.UpTo, Pods: s.Pods, CPU: s.Requested, Overhead: s.Overhead, Price: s.Price()})
	}
}

func (r *Report) add(v variant, m *model, p density.Placement, took time.Duration) *Result {
	use, radius := m.Use(p), m.Radius(p)
	result := Result{
		ID: v.id, Title: v.title, How: v.how,
		Nodes: use.Nodes, Unplaced: use.Unplaced, WorstTenant: use.Worst,
		Stranded: map[string]float64{},
		Radius:   Radius{PodsMean: radius.PodsMean, PodsMax: radius.PodsMax, TenantsMean: radius.TenantsMean, TenantsMax: radius.TenantsMax},
		Seconds:  took.Seconds(), PodsAMinute: float64(len(p)) / took.Minutes(),
		picture: picture(m, p),
	}
	for d, name := range m.Dimensions {
		result.Stranded[name] = use.Stranded[d]
	}
	for _, k := range m.Meetings(p, attackers()...) {
		result.Meetings = append(result.Meetings, Meeting{Pods: k.Pods, Node: k.Node, Kernel: k.Kernel})
	}
	r.Variants = append(r.Variants, result)
	return &r.Variants[len(r.Variants)-1]
}

// Result returns the result of a variant, nil if it was not run.
func (r *Report) Result(id string) *Result {
	for i := range r.Variants {
		if r.Variants[i].ID == id {
			return &r.Variants[i]
		}
	}
	return nil
}

// compare fills in the comparisons between results.
func (r *Report) compare() {
	over := func(id, than string) *float64 {
		a, b := r.Result(id), r.Result(than)
		if a == nil || b == nil || b.Nodes == 0 {
			return nil
		}
		percent := 100 * (float64(a.Nodes)/float64(b.Nodes) - 1)
		return &percent
	}
	for i := range r.Variants {
		v := &r.Variants[i]
		switch v.ID {
		case pluginSharing.id:
			v.OverPacking = over(v.ID, packedSharing.id)
		case packedSharing.id, kataForAll.id:
		default:
			v.OverPacking = over(v.ID, packed.id)
		}
	}
	plugin, pools, apart := r.Result(pluginContainers.id), r.Result(domainPools.id), r.Result(antiAffine.id)
	if plugin == nil {
		return
	}
	if plugin.OverPacking != nil {
		within := *plugin.OverPacking <= 5
		if sharing := r.Result(pluginSharing.id); sharing != nil && sharing.OverPacking != nil {
			within = within && *sharing.OverPacking <= 5
		}
		r.Verdict.WithinFivePercent = &within
	}
	if pools != nil {
		fewer := plugin.Nodes <= pools.Nodes
		r.Verdict.NeverMoreThanPools = &fewer
	}
	if more := over(antiAffine.id, pluginContainers.id); more != nil && apart != nil {
		percent := int(*more)
		left := *more >= 20 || apart.Unplaced > plugin.Unplaced
		r.Verdict.AntiAffinityOverheads, r.Verdict.AntiAffinityLeft20 = &percent, &left
	}
}

func (s Size) String() string {
	if s.UpTo == 0 {
		return "more"
	}
	return fmt.Sprintf("up to %dm", s.UpTo)
}
