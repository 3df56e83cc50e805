package simulation

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"k8s.io/component-base/version"
)

// versions are those of the project, Go and Kubernetes.
func versions() map[string]string {
	all := map[string]string{"tenantisolation": version.Get().GitVersion}
	if info, ok := debug.ReadBuildInfo(); ok {
		all["go"] = info.GoVersion
		for _, module := range info.Deps {
			if module.Path == "k8s.io/kubernetes" {
				all["kubernetes"] = module.Version
			}
		}
	}
	return all
}

// WriteText writes the report for a terminal: the columns that matter first, and with wide all of them.
func (r *Report) WriteText(w io.Writer, wide bool) error {
	in := r.Input
	var b strings.Builder
	fmt.Fprintf(&b, "cluster: %s: %d nodes, %d pods of %d tenants in\n  %d trust domains; seed %d\n", in.Cluster, in.Nodes, in.Pods, in.Tenants, in.TrustDomains, in.Seed)
	if in.Mapping != "" {
		fmt.Fprintf(&b, "mapping: %s\n", in.Mapping)
	}
	for _, note := range in.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	fmt.Fprintf(&b, "versions: Kubernetes %s, %s;\n  profile %s\n\n", in.Versions["kubernetes"], in.Versions["go"], in.Profile)
	fmt.Fprintf(&b, "no placement needs fewer nodes than %d;\n  with trust domains apart %d, with VMs for small ones %d\n\n", r.Bounds.Anyhow, r.Bounds.Apart, r.Bounds.Sharing)
	r.writeVariants(&b)
	if wide {
		r.writeFigures(&b)
	}
	for _, v := range r.Variants {
		if v.PairsChecked > 0 {
			fmt.Fprintf(&b, "%s: %d pairs of pods on one node checked, %d break the rule\n", v.ID, v.PairsChecked, v.PairsBroken)
		}
	}
	if wide {
		fmt.Fprintf(&b, "published for comparison: %s\n", r.Published)
	} else {
		b.WriteString("idle capacity, reach, co-residence, prices: -o wide (FORMAT=wide), or the page\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func over(v *Result) string {
	if v.OverPacking == nil {
		return ""
	}
	return fmt.Sprintf("%+.1f %%", *v.OverPacking)
}

// writeVariants writes what each variant costs and what it separates.
func (r *Report) writeVariants(b *strings.Builder) {
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VARIANT\tNODES\tOVER BEST-FIT\tLEFT OUT\tTENANTS ONE KERNEL REACHES")
	for i := range r.Variants {
		v := &r.Variants[i]
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\n", v.ID, v.Nodes, over(v), v.Unplaced, v.Radius.TenantsMax)
	}
	_ = table.Flush() // a strings.Builder takes everything
	b.WriteString("\n")
	table = tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for i := range r.Variants {
		fmt.Fprintf(table, "%s\t%s\n", r.Variants[i].ID, r.Variants[i].Title)
	}
	_ = table.Flush()
	b.WriteString("\n")
}

// writeFigures writes all that was measured.
func (r *Report) writeFigures(b *strings.Builder) {
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VARIANT\tIDLE CPU\tIDLE MEMORY\tREACH: PODS\tMAX\tTENANTS\tMAX\tMEETS VICTIM: 1 POD\t5\tSAME KERNEL: 5")
	for _, v := range r.Variants {
		fmt.Fprintf(table, "%s\t%.0f %%\t%.0f %%\t%.1f\t%d\t%.2f\t%d\t%.1f %%\t%.1f %%\t%.1f %%\n",
			v.ID, 100*v.Stranded["cpu"], 100*v.Stranded["memory"],
			v.Radius.PodsMean, v.Radius.PodsMax, v.Radius.TenantsMean, v.Radius.TenantsMax,
			100*v.Meetings[0].Node, 100*v.Meetings[1].Node, 100*v.Meetings[1].Kernel)
	}
	_ = table.Flush()
	b.WriteString("\n")
	table = tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CPU OF A POD\tPODS\tCPUS\tWITH A VM EACH\tTIMES AS MUCH")
	for _, s := range r.Sizes {
		if s.Pods > 0 {
			fmt.Fprintf(table, "%s\t%d\t%.1f\t%.1f\t%.2f\n", s, s.Pods, float64(s.CPU)/1000, float64(s.CPU+s.Overhead)/1000, s.Price)
		}
	}
	_ = table.Flush()
	b.WriteString("\n")
}
