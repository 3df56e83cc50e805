// Package plots draws the pictures of docs/benchmarks.md and docs/density.md from the data that make bench and
// make simulate have written.
package plots

import (
	"bytes"
	"fmt"
	"image/color"
	"regexp"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Theme is the colours of a picture: it has to be read on a light page and on a dark one.
type Theme struct {
	Name      string
	ink, grid color.Color
	series    []color.Color
}

// Themes are those that each picture is drawn in.
func Themes() []Theme {
	return []Theme{
		{"light", rgb(0x1b1f24), rgb(0xd0d7de), []color.Color{rgb(0x57606a), rgb(0xb35900), rgb(0x7d4bb8), rgb(0x0550ae), rgb(0x116329)}},
		{"dark", rgb(0xe6edf3), rgb(0x3d444d), []color.Color{rgb(0x9aa5b1), rgb(0xf0a35e), rgb(0xc79bff), rgb(0x79b8ff), rgb(0x6fdd8b)}},
	}
}

func rgb(value uint32) color.Color {
	return color.RGBA{R: uint8(value >> 16), G: uint8(value >> 8), B: uint8(value), A: 0xff} //nolint:gosec // one byte each
}

// Measured is a figure with its lowest and highest value.
type Measured struct {
	Median  float64 `json:"median"`
	Lowest  float64 `json:"lowest"`
	Highest float64 `json:"highest"`
}

// Throughput is the throughput of one variant at one size, as make bench writes it.
type Throughput struct {
	Nodes   int    `json:"nodes"`
	Variant string `json:"variant"`
	// PodsPerSecond is over the rounds.
	PodsPerSecond Measured `json:"podsPerSecond"`
}

// variantsOf returns the variants in the order of the data.
func variantsOf(data []Throughput) []string {
	var all []string
	for _, t := range data {
		if !slices.Contains(all, t.Variant) {
			all = append(all, t.Variant)
		}
	}
	return all
}

// DrawThroughput draws a group of bars for each size, with the range of the rounds.
func DrawThroughput(data []Throughput, theme Theme) ([]byte, error) {
	p := empty(theme, "Pods placed a second")
	var sizes []int
	for _, t := range data {
		if !slices.Contains(sizes, t.Nodes) {
			sizes = append(sizes, t.Nodes)
		}
	}
	slices.Sort(sizes)
	var names []string
	for _, nodes := range sizes {
		names = append(names, fmt.Sprintf("%d nodes", nodes))
	}
	variants := variantsOf(data)
	const width = 20
	for i, variant := range variants {
		heights := make(plotter.Values, len(sizes))
		var ranges errorBars
		offset := vg.Points(width * (float64(i) - float64(len(variants)-1)/2))
		for at, nodes := range sizes {
			for _, t := range data {
				if t.Variant == variant && t.Nodes == nodes {
					heights[at] = t.PodsPerSecond.Median
					ranges.add(float64(at), t.PodsPerSecond)
				}
			}
		}
		bars, err := plotter.NewBarChart(heights, vg.Points(width-3))
		if err != nil {
			return nil, err
		}
		bars.Color, bars.LineStyle.Width, bars.Offset = theme.series[i%len(theme.series)], 0, offset
		p.Add(bars, &shifted{ranges, offset, theme.ink})
		p.Legend.Add(variant, bars)
	}
	p.NominalX(names...)
	p.Y.Min, p.Y.Max = 0, roomForLegend*highest(data)
	return render(p, 720, 340)
}

// DrawGrowth draws the throughput of each variant over the number of nodes.
func DrawGrowth(data []Throughput, theme Theme) ([]byte, error) {
	p := empty(theme, "Pods placed a second")
	p.X.Label.Text = "Nodes (logarithmic)"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, sizesAsTicks(data)
	for i, variant := range variantsOf(data) {
		var points plotter.XYs
		for _, t := range data {
			if t.Variant == variant {
				points = append(points, plotter.XY{X: float64(t.Nodes), Y: t.PodsPerSecond.Median})
			}
		}
		if len(points) < 2 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = theme.series[i%len(theme.series)], vg.Points(2)
		dots.Color, dots.Radius = line.Color, vg.Points(3.5)
		// Not by colour alone.
		dots.Shape = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.PyramidGlyph{}, draw.CrossGlyph{}}[i%5]
		if i%2 == 0 {
			// Two that are equal are both seen.
			line.Dashes = []vg.Length{vg.Points(6), vg.Points(4)}
		}
		p.Add(line, dots)
		p.Legend.Add(variant, line, dots)
	}
	p.Y.Min, p.Y.Max = 0, roomForLegend*highest(data)
	return render(p, 720, 340)
}

// roomForLegend is how much higher than the highest value a plot is, so that nothing is under the legend.
const roomForLegend = 1.5

func highest(data []Throughput) float64 {
	most := 0.0
	for _, t := range data {
		most = max(most, t.PodsPerSecond.Highest)
	}
	return most
}

func sizesAsTicks(data []Throughput) plot.Ticker {
	var ticks []plot.Tick
	for _, t := range data {
		if !slices.ContainsFunc(ticks, func(tick plot.Tick) bool { return tick.Value == float64(t.Nodes) }) {
			ticks = append(ticks, plot.Tick{Value: float64(t.Nodes), Label: fmt.Sprint(t.Nodes)})
		}
	}
	return plot.ConstantTicks(ticks)
}

// Density is what a simulation says of one variant; the names are those of the report of make simulate.
type Density struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Nodes    int    `json:"nodes"`
	Unplaced int    `json:"unplaced"`
}

// Simulation is the part of a report of make simulate that is drawn.
type Simulation struct {
	Bounds struct {
		Apart int `json:"trustDomainsApart"`
	} `json:"lowerBounds"`
	Variants []Density `json:"variants"`
}

// DrawDensity draws the nodes that each variant opens, the lower bound with trust domains apart as a line.
func DrawDensity(s *Simulation, theme Theme) ([]byte, error) {
	p := empty(theme, "")
	p.X.Label.Text = "Nodes with pods"
	// A bar chart on its side begins at the bottom.
	variants := slices.Clone(s.Variants)
	slices.Reverse(variants)
	var others, ours plotter.Values
	var names []string
	most := 0
	for _, v := range variants {
		name, own, other := v.Title, 0.0, float64(v.Nodes)
		if v.ID == "plugin" || v.ID == "plugin-vm" {
			own, other = other, own
		}
		switch {
		case v.Unplaced == 1:
			name += " (1 pod left out)"
		case v.Unplaced > 1:
			name += fmt.Sprintf(" (%d pods left out)", v.Unplaced)
		}
		names, ours, others, most = append(names, name), append(ours, own), append(others, other), max(most, v.Nodes)
	}
	for i, values := range []plotter.Values{others, ours} {
		bars, err := plotter.NewBarChart(values, vg.Points(16))
		if err != nil {
			return nil, err
		}
		bars.Horizontal, bars.LineStyle.Width, bars.Color = true, 0, theme.series[3*i]
		p.Add(bars)
	}
	labels := plotter.XYLabels{}
	for i, v := range variants {
		labels.XYs = append(labels.XYs, plotter.XY{X: float64(v.Nodes) + float64(most)*0.01, Y: float64(i)})
		labels.Labels = append(labels.Labels, fmt.Sprint(v.Nodes))
	}
	numbers, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	for i := range numbers.TextStyle {
		numbers.TextStyle[i].Color, numbers.TextStyle[i].YAlign = theme.ink, draw.YCenter
	}
	bound, err := plotter.NewLine(plotter.XYs{{X: float64(s.Bounds.Apart), Y: -0.5}, {X: float64(s.Bounds.Apart), Y: float64(len(variants)) - 0.5}})
	if err != nil {
		return nil, err
	}
	bound.Color, bound.Dashes = theme.series[1], []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(numbers, bound)
	p.Legend.Add("lower bound with trust domains apart", bound)
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, float64(most)*1.08
	p.Y.Max = float64(len(variants)) + 0.3 // the legend is above the bars
	p.X.Tick.Marker = wholeNumbers{}
	return render(p, 820, 340)
}

// wholeNumbers labels ticks without decimals.
type wholeNumbers struct{}

// Ticks returns the default ticks, each labelled by a whole number.
func (wholeNumbers) Ticks(from, to float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(from, to)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = fmt.Sprintf("%.0f", ticks[i].Value)
		}
	}
	return ticks
}

// empty returns a plot in the colours of a theme.
func empty(theme Theme, y string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	plotter.DefaultFont = plot.DefaultFont
	p := plot.New()
	p.BackgroundColor = nil
	p.Y.Label.Text = y
	p.Legend.Top = true
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.Tick.Color = theme.grid, theme.grid
		axis.Label.TextStyle.Color, axis.Tick.Label.Color = theme.ink, theme.ink
		axis.Label.TextStyle.Font.Size, axis.Tick.Label.Font.Size = vg.Points(11), vg.Points(10)
	}
	p.Legend.TextStyle.Color, p.Legend.TextStyle.Font.Size = theme.ink, vg.Points(10)
	return p
}

// fonts are what a page has if it has not that of the library.
var fonts = regexp.MustCompile(`font-family:[^;"]*`)

func render(p *plot.Plot, width, height float64) ([]byte, error) {
	canvas := vgsvg.New(vg.Points(width), vg.Points(height))
	const margin = 12
	p.Draw(draw.Crop(draw.New(canvas), margin, -margin, margin, -margin))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return fonts.ReplaceAll(out.Bytes(), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif")), nil
}

// errorBars are the ranges of bars.
type errorBars struct {
	at     []float64
	values []Measured
}

func (e *errorBars) add(at float64, m Measured) {
	e.at, e.values = append(e.at, at), append(e.values, m)
}

// shifted draws ranges beside each other, as bars are.
type shifted struct {
	errorBars
	offset vg.Length
	color  color.Color
}

// Plot draws a line from the lowest value to the highest.
func (s *shifted) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := draw.LineStyle{Color: s.color, Width: vg.Points(1)}
	for i, m := range s.values {
		at := x(s.at[i]) + s.offset
		c.StrokeLine2(style, at, y(m.Lowest), at, y(m.Highest))
		for _, end := range []float64{m.Lowest, m.Highest} {
			c.StrokeLine2(style, at-3, y(end), at+3, y(end))
		}
	}
}

// DataRange returns the range of the values, so that none is cut off.
func (s *shifted) DataRange() (xmin, xmax, ymin, ymax float64) {
	for i, m := range s.values {
		xmin, xmax, ymax = min(xmin, s.at[i]), max(xmax, s.at[i]), max(ymax, m.Highest)
	}
	return xmin, xmax, ymin, ymax
}
