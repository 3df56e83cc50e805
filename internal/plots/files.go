package plots

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The data, in the folder data of the documentation.
const (
	throughputFile = "throughput.json"
	// These two are reports of make simulate.
	traceFile, demoFile = "density-trace.json", "density-demo.json"
)

// WriteThroughput writes what make bench has measured, and draws it.
func WriteThroughput(docs string, data []Throughput) error {
	text, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(docs, "data", throughputFile), append(text, '\n'), 0o644); err != nil { //nolint:gosec // public figures
		return err
	}
	return DrawAll(docs)
}

// DrawAll draws every picture from the data, in every theme.
func DrawAll(docs string) error {
	var throughput []Throughput
	trace, demo := &Simulation{}, &Simulation{}
	for name, into := range map[string]any{throughputFile: &throughput, traceFile: trace, demoFile: demo} {
		text, err := os.ReadFile(filepath.Join(docs, "data", name))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, draw := range map[string]func(Theme) ([]byte, error){
		"placement":     DrawPlacement,
		"throughput":    func(t Theme) ([]byte, error) { return DrawThroughput(throughput, t) },
		"growth":        func(t Theme) ([]byte, error) { return DrawGrowth(throughput, t) },
		"density-trace": func(t Theme) ([]byte, error) { return DrawDensity(trace, t) },
		"density-demo":  func(t Theme) ([]byte, error) { return DrawDensity(demo, t) },
	} {
		for _, theme := range Themes() {
			svg, err := draw(theme)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			file := filepath.Join(docs, "images", name+"-"+theme.Name+".svg")
			if err := os.WriteFile(file, svg, 0o644); err != nil { //nolint:gosec // a public picture
				return err
			}
		}
	}
	return nil
}
