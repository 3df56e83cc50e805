package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// packages have micro-benchmarks.
var packages = []string{"pkg/isolation", "pkg/plugins/tenantisolation"}

// How often each micro-benchmark runs, in how many processes: benchstat wants six.
const microCount = 6

// micro runs the micro-benchmarks of this tree and of the base commit in turns, and compares
// them by benchstat.
func micro(ctx context.Context, s settings, log io.Writer) (string, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)

	trees := []tree{{name: "now", dir: "."}}
	if s.base != "" {
		base := filepath.Join(dir, "base")
		if _, err := output(ctx, log, ".", "git", "worktree", "add", "--detach", "--quiet", base, s.base); err != nil {
			return "", err
		}
		// Without the context, so that an interrupted benchmark cleans up too.
		defer func() {
			_ = exec.Command("git", "worktree", "remove", "--force", base).Run()
		}()
		trees = []tree{{name: "base", dir: base}, {name: "now", dir: "."}}
	}
	for i := range trees {
		t := &trees[i]
		t.results = filepath.Join(dir, t.name)
		for _, p := range packages {
			program := filepath.Join(dir, t.name+"-"+filepath.Base(p)+".test")
			fmt.Fprintf(log, "bench: compiling %s of %s\n", p, t.name)
			if _, err := output(ctx, log, t.dir, "go", "test", "-c", "-o", program, "./"+p); err != nil {
				return "", err
			}
			t.programs = append(t.programs, program)
		}
	}
	for i := range microCount {
		for _, t := range trees {
			for j, program := range t.programs {
				fmt.Fprintf(log, "bench: %s of %s, %d of %d\n", packages[j], t.name, i+1, microCount)
				text, err := output(ctx, log, filepath.Join(t.dir, packages[j]), program,
					"-test.run=^$", "-test.bench=.", "-test.benchmem", "-test.benchtime=200ms")
				if err != nil {
					return "", err
				}
				if err := appendTo(t.results, text); err != nil {
					return "", err
				}
			}
		}
	}
	benchstat, err := output(ctx, log, ".", "hack/tools.sh", "benchstat")
	if err != nil {
		return "", err
	}
	var files []string
	for _, t := range trees {
		files = append(files, t.name+"="+t.results)
	}
	text, err := output(ctx, log, ".", strings.TrimSpace(benchstat), append([]string{"-ignore", "cpu"}, files...)...)
	if err != nil {
		return "", err
	}
	return "```text\n" + strings.TrimSpace(text) + "\n```\n", nil
}

// tree is a checkout to be measured.
type tree struct {
	name, dir, results string
	programs           []string
}

// output runs a program and returns what it prints.
func output(ctx context.Context, log io.Writer, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stderr = dir, log
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out)
	}
	return string(out), nil
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Close()
}
