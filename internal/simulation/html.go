package simulation

import (
	_ "embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html.tmpl
var pageTemplate string

// pageData is the data of the page.
type pageData struct {
	*Report
	Versions []string
	Pictures []pictureData
	Legend   []legendEntry
	Targets  []target
}

type target struct {
	Text string
	Met  bool
}

type pictureData struct {
	ID, Title string
	// Ours: it is of this project's scheduler.
	Ours  bool
	Nodes int
	Tiles []tileData
}

type tileData struct {
	Label string
	// Percent is how full the node is.
	Percent int
	// Style paints the tile: one stripe for each trust domain.
	Style template.CSS
	Mixed bool
	Code  string
}

type legendEntry struct {
	Domain string
	Style  template.CSS
	Code   string
	Pods   int
}

// WriteHTML writes the report as one page that loads nothing.
func (r *Report) WriteHTML(w io.Writer) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"percent": func(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) },
		"chance":  func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
		"one":     func(f float64) string { return fmt.Sprintf("%.1f", f) },
		"two":     func(f float64) string { return fmt.Sprintf("%.2f", f) },
		"over": func(p *float64) string {
			if p == nil {
				return ""
			}
			return fmt.Sprintf("%+.1f %%", *p)
		},
		"cores": func(milli int64) string { return fmt.Sprintf("%.1f", float64(milli)/1000) },
		"sum":   func(a, b int64) int64 { return a + b },
	}).Parse(pageTemplate)
	if err != nil {
		return err
	}
	return page.Execute(w, r.pageData())
}

func (r *Report) pageData() pageData {
	data := pageData{Report: r, Targets: r.Verdict.targets()}
	for _, name := range slices.Sorted(maps.Keys(r.Input.Versions)) {
		data.Versions = append(data.Versions, name+" "+r.Input.Versions[name])
	}
	colours := r.colours(&data)
	for i := range r.Variants {
		v := &r.Variants[i]
		p := pictureData{ID: v.ID, Title: v.Title, Nodes: v.Nodes, Ours: v.ours()}
		for _, t := range v.picture {
			p.Tiles = append(p.Tiles, colours.tile(t))
		}
		data.Pictures = append(data.Pictures, p)
	}
	return data
}

// colours are those of the trust domains. The colours of one tenant are similar.
type colours struct {
	hue  map[string]int
	code map[string]string
}

func (r *Report) colours(data *pageData) *colours {
	c := &colours{hue: map[string]int{}, code: map[string]string{}}
	tenants, pods := map[string]map[string]bool{}, map[string]int{}
	for i := range r.Variants {
		for _, t := range r.Variants[i].picture {
			for _, p := range t.Parts {
				if tenants[p.Tenant] == nil {
					tenants[p.Tenant] = map[string]bool{}
				}
				tenants[p.Tenant][p.Domain] = true
				if i == 0 {
					pods[p.Domain] += p.Pods
				}
			}
		}
	}
	step := 360 / max(1, len(tenants))
	for t, tenant := range slices.Sorted(maps.Keys(tenants)) {
		for d, domain := range slices.Sorted(maps.Keys(tenants[tenant])) {
			c.hue[domain] = (t*step + d*max(1, step/(len(tenants[tenant])+1))) % 360
			// Not by colour alone: each has a code as well.
			c.code[domain] = fmt.Sprintf("%s%d", letters(t), d+1)
			data.Legend = append(data.Legend, legendEntry{
				Domain: domain, Code: c.code[domain], Style: c.paint([]part{{Domain: domain}}), Pods: pods[domain],
			})
		}
	}
	return c
}

// letters numbers tenants as columns of a sheet are numbered: A to Z, AA and so on.
func letters(n int) string {
	text := ""
	for n++; n > 0; n = (n - 1) / 26 {
		text = string(rune('A'+(n-1)%26)) + text
	}
	return text
}

func (c *colours) tile(t tile) tileData {
	var lines, codes []string
	for _, p := range t.Parts {
		line := fmt.Sprintf("%s: %d pods", p.Domain, p.Pods)
		if p.VMs > 0 {
			line += fmt.Sprintf(", %d of them VMs", p.VMs)
		}
		lines = append(lines, line)
		codes = append(codes, c.code[p.Domain])
	}
	code := strings.Join(codes, " ")
	if len(codes) > 2 {
		code = fmt.Sprintf("%d×", len(codes))
	}
	return tileData{
		Label:   fmt.Sprintf("%s, %d %% full. %s", t.Node, int(100*t.Used+0.5), strings.Join(lines, "; ")),
		Percent: min(100, int(100*t.Used+0.5)), Style: c.paint(t.Parts), Mixed: len(t.Parts) > 1, Code: code,
	}
}

// paint gives each trust domain a stripe.
func (c *colours) paint(parts []part) template.CSS {
	var stops []string
	for i, p := range parts {
		h := fnv.New32a()
		_, _ = h.Write([]byte(p.Domain)) // a hash takes everything
		lightness := 62 + h.Sum32()%3*8
		stops = append(stops, fmt.Sprintf("hsl(%d 60%% %d%%) %d%% %d%%", c.hue[p.Domain], lightness, 100*i/len(parts), 100*(i+1)/len(parts)))
	}
	return template.CSS("background:linear-gradient(90deg," + strings.Join(stops, ",") + ")") //nolint:gosec // numbers only
}

func (v Verdict) targets() []target {
	var all []target
	add := func(text string, met *bool) {
		if met != nil {
			all = append(all, target{text, *met})
		}
	}
	add("plugin and plugin-vm within 5 % of the offline packing of the same pods", v.WithinFivePercent)
	add("plugin opens no more nodes than pools-domain", v.NeverMoreThanPools)
	add("anti-affinity opens 20 % more nodes than plugin, or leaves out more pods", v.AntiAffinityLeft20)
	return all
}
