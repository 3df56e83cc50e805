package report

import (
	"crypto/sha256"
	_ "embed" // for the parts of the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// dataOpen begins the embedded JSON.
const dataOpen = `<script type="application/json" id="data">`

// manyNodes is the number of nodes above which a tile has no room for words.
const manyNodes = 60

// page is what the template shows.
type page struct {
	*Data
	CSS  template.CSS
	JS   template.JS
	JSON template.JS
	// BrowserPolicy allows the browser nothing but the page's own parts.
	BrowserPolicy string
	Many          bool
	Sections      []section
	// Advice is one finding for each reason.
	Advice []Finding
}

// section is the nodes with the same trust domains.
type section struct {
	Title string
	// Breaking: the nodes have findings. These come first.
	Breaking bool
	Tiles    []tile
}

// tile is a node.
type tile struct {
	Node
	// Says describes the node in words, for screen readers.
	Says string
	// Kind is what the node can be filtered by: words with blanks between them.
	Kind  string
	Parts []part
}

// part is a group on a tile.
type part struct {
	Group
	// Code stands for the trust domain where there is no room for its name.
	Code, Name, Short string
}

// WriteHTML writes the page.
func (d *Data) WriteHTML(out io.Writer) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	parsed, err := template.New("page").Funcs(template.FuncMap{
		"code": code,
		"plural": func(n int, one string) string {
			if n == 1 {
				return "1 " + one
			}
			return fmt.Sprintf("%d %ss", n, one)
		},
		"first": func(n int, list []string) []string { return list[:min(n, len(list))] },
		"rest":  func(n int, list []string) []string { return list[min(n, len(list)):] },
		"sub":   func(a, b int) int { return a - b },
		"list":  func(all ...any) []any { return all },
		"state": stateClass,
	}).Parse(pageHTML)
	if err != nil {
		return err
	}
	p := page{
		Data: d,
		CSS:  template.CSS(pageCSS + colours(len(d.Domains))), //nolint:gosec // our own text, and numbers
		JS:   template.JS(pageJS),                             //nolint:gosec // our own text
		// encoding/json escapes whatever could end the element.
		JSON:          template.JS(text), //nolint:gosec // data that is not run
		BrowserPolicy: "default-src 'none'; style-src 'unsafe-inline'; script-src '" + hash(pageJS) + "'; base-uri 'none'; form-action 'none'",
		Many:          len(d.Nodes) > manyNodes,
		Sections:      d.sections(),
		Advice:        d.advice(),
	}
	return parsed.Execute(out, p)
}

// stateClass is how the state of a control is painted: preflight's words, and those of conditions.
func stateClass(state string) string {
	switch state {
	case "pass", "True":
		return "good"
	case "fail", "False":
		return "bad"
	}
	return "unknown"
}

// kind returns the words that a node can be filtered by.
func (n *Node) kind() string {
	var words []string
	if n.Findings > 0 {
		words = append(words, "finding")
	}
	domains := map[int]bool{}
	for _, g := range n.Groups {
		domains[g.Domain] = true
	}
	switch {
	case len(domains) > 1:
		words = append(words, "shared")
	case len(domains) == 1:
		words = append(words, "one")
	case n.Others == 0:
		words = append(words, "empty")
	}
	if n.Others > 0 {
		words = append(words, "other")
	}
	return strings.Join(words, " ")
}

// advice returns the first finding of each reason.
func (d *Data) advice() []Finding {
	var first []Finding
	for i := range d.Findings {
		if !slices.ContainsFunc(first, func(f Finding) bool { return f.Reason == d.Findings[i].Reason }) {
			first = append(first, d.Findings[i])
		}
	}
	return first
}

func hash(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// colours gives each trust domain a hue, far from the previous ones. Colour is not needed:
// every tile has the code and the name of its trust domains.
func colours(domains int) string {
	var css strings.Builder
	for i := range domains {
		fmt.Fprintf(&css, ".d%d{--h:%d}\n", i, (i*137+210)%360)
	}
	return css.String()
}

// code is a short name of a trust domain by its index: A, B, ... Z, AA, AB.
func code(i int) string {
	text := ""
	for i++; i > 0; i = (i - 1) / 26 {
		text = string(rune('A'+(i-1)%26)) + text
	}
	return text
}

// sections groups nodes: first those with findings, then by the trust domains on them,
// then the empty ones.
func (d *Data) sections() []section {
	byTitle := map[string]*section{}
	var order []string
	for i := range d.Nodes {
		n := &d.Nodes[i]
		title := d.title(n)
		s := byTitle[title]
		if s == nil {
			s = &section{Title: title, Breaking: n.Findings > 0}
			byTitle[title] = s
			order = append(order, title)
		}
		s.Tiles = append(s.Tiles, d.tile(n))
	}
	slices.SortStableFunc(order, func(a, b string) int {
		if d := rank(byTitle[a]) - rank(byTitle[b]); d != 0 {
			return d
		}
		return len(byTitle[b].Tiles) - len(byTitle[a].Tiles)
	})
	sections := make([]section, 0, len(order))
	for _, title := range order {
		sections = append(sections, *byTitle[title])
	}
	return sections
}

func rank(s *section) int {
	switch {
	case s.Breaking:
		return 0
	case s.Title == emptyTitle:
		return 3
	case strings.HasPrefix(s.Title, sharedTitle):
		return 1
	}
	return 2
}

const (
	emptyTitle  = "Empty but for the platform"
	sharedTitle = "Shared, each trust domain behind a boundary of its own"
)

func (d *Data) title(n *Node) string {
	switch {
	case n.Findings > 0:
		return "Nodes with findings"
	case len(d.Nodes) <= manyNodes:
		// Each tile has all names.
		return "Nodes without findings"
	case len(n.Groups) == 0 && n.Others == 0:
		return emptyTitle
	case len(n.Groups) == 0:
		return "Only pods without a tenant"
	}
	first := n.Groups[0].Domain
	for _, g := range n.Groups {
		if g.Domain != first {
			return sharedTitle
		}
	}
	return d.Domains[first].Name
}

func (d *Data) tile(n *Node) tile {
	t := tile{Node: *n, Kind: n.kind()}
	var words []string
	for _, g := range n.Groups {
		t.Parts = append(t.Parts, part{Group: g, Code: code(g.Domain), Name: d.Domains[g.Domain].Name, Short: d.Domains[g.Domain].Short})
		boundary := ""
		if g.Isolated {
			boundary = ", each behind a boundary of its own"
		}
		words = append(words, fmt.Sprintf("%d pods of %s%s", g.Pods, d.Domains[g.Domain].Name, boundary))
	}
	if n.Others > 0 {
		words = append(words, fmt.Sprintf("%d pods without a trust domain", n.Others))
	}
	if len(words) == 0 {
		words = []string{"platform pods at most"}
	}
	t.Says = n.Name + ": " + strings.Join(words, "; ")
	if n.Findings > 0 {
		t.Says += fmt.Sprintf("; %d findings", n.Findings)
	}
	return t
}
