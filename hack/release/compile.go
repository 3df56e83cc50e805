package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// compile builds a static binary. It holds no path of this machine, and nothing of the
// time: the same commit and the same Go give the same bytes.
func (r *release) compile(ctx context.Context, p platform, pkg, out string) (string, error) {
	fmt.Fprintf(os.Stderr, "release: building %s for %s ...\n", pkg, p)
	out, err := filepath.Abs(out)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w "+r.ldflags, "-o", out, pkg)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build %s for %s: %w", pkg, p, err)
	}
	return out, nil
}
