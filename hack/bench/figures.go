package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// figures are what a run of scheduler_perf has measured.
type figures struct {
	// podsPerSecond is the average of its samples of one second each, without the first.
	podsPerSecond float64
	// attemptMedian and attemptSlow are how long an attempt that found a node took, in
	// milliseconds, at the 50th and the 99th percentile.
	attemptMedian, attemptSlow float64
}

// dataItems is the file that scheduler_perf writes.
type dataItems struct {
	DataItems []struct {
		Data   map[string]float64 `json:"data"`
		Unit   string             `json:"unit"`
		Labels map[string]string  `json:"labels"`
	} `json:"dataItems"`
}

func readFigures(dir string) (figures, error) {
	files, err := filepath.Glob(filepath.Join(dir, "BenchmarkPerfScheduling_*.json"))
	if err != nil || len(files) != 1 {
		return figures{}, fmt.Errorf("want one file of data items, got %q", files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return figures{}, err
	}
	return parseFigures(data)
}

func parseFigures(data []byte) (figures, error) {
	var items dataItems
	if err := json.Unmarshal(data, &items); err != nil {
		return figures{}, err
	}
	var f figures
	found := false
	for _, item := range items.DataItems {
		switch item.Labels["Metric"] {
		case "SchedulingThroughput":
			if item.Unit != "pods/s" || found {
				return figures{}, fmt.Errorf("want one throughput in pods/s, got another in %q", item.Unit)
			}
			f.podsPerSecond, found = item.Data["Average"], true
		case "scheduler_scheduling_attempt_duration_seconds":
			if item.Labels["result"] != "scheduled" {
				continue
			}
			if item.Unit != "ms" {
				return figures{}, fmt.Errorf("want the duration of an attempt in ms, got %q", item.Unit)
			}
			f.attemptMedian, f.attemptSlow = item.Data["Perc50"], item.Data["Perc99"]
		}
	}
	if !found || f.podsPerSecond <= 0 {
		return figures{}, fmt.Errorf("no throughput was measured: the pods were placed within a second or not at all")
	}
	return f, nil
}

// sample is one figure over several runs.
type sample []float64

func (s sample) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func (s sample) lowest() float64  { return slices.Min(s) }
func (s sample) highest() float64 { return slices.Max(s) }

func rounded(f float64) float64 { return math.Round(f*10) / 10 }
