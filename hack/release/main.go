// Command release builds what a release consists of, into one folder: archives of
// kubectl-isolation, an image of the scheduler, bills of materials and a manifest for krew.
// Two runs on one commit give the same bytes.
//
// # Where to find what
//
//	main.go     the steps, and Go -> static binaries
//	archive.go  tar.gz and zip for people and krew
//	image.go    an OCI image layout, without a container engine
//	bill.go     CycloneDX, of the modules that the linker noted in a binary
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// platform is what a binary is for.
type platform struct{ OS, Arch string }

func (p platform) String() string { return p.OS + "-" + p.Arch }

// release is what one run makes.
type release struct {
	// version is "v1.2.3", or what git describes.
	version string
	// ldflags stamp it into the binaries.
	ldflags string
	// made is the time of the commit: of this run nothing may be in the files.
	made time.Time
	// out is the folder, root that of the repository.
	out, root string
	// only, if not empty, limits the platforms, for tries.
	only string
	// local leaves out all but the scheduler's image, and takes what is compiled from the same build cache as
	// everything else of this repository, for tests: the paths of this machine are in the binary then.
	local bool
}

func main() {
	var r release
	var unix int64
	flag.StringVar(&r.version, "version", "v0.0.0-dev", "the version")
	flag.StringVar(&r.ldflags, "ldflags", "", "flags for the linker that stamp the version")
	flag.Int64Var(&unix, "epoch", 0, "the time of the commit, in seconds since 1970")
	flag.StringVar(&r.out, "out", "bin/release", "the folder to fill; what is in it goes away")
	flag.StringVar(&r.root, "root", ".", "the repository")
	flag.StringVar(&r.only, "only", "", "a platform, such as linux-amd64, to leave the others out")
	flag.BoolVar(&r.local, "local", false, "only the scheduler's image, and not the same bytes on another machine: for tests")
	flag.Parse()
	r.made = time.Unix(unix, 0).UTC()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := r.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func (r *release) run(ctx context.Context) error {
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil { //nolint:gosec // a release is for everybody
		return err
	}
	if !r.local {
		if err := r.plugin(ctx); err != nil {
			return err
		}
	}
	return r.image(ctx)
}

// platforms lists those of some systems.
func (r *release) platforms(systems ...string) []platform {
	var all []platform
	for _, system := range systems {
		for _, arch := range []string{"amd64", "arm64"} {
			if p := (platform{system, arch}); r.only == "" || r.only == p.String() {
				all = append(all, p)
			}
		}
	}
	return all
}

// build compiles a program of ./cmd and writes its bill of materials. The binary is static, and
// holds no path of this machine and nothing of the time: the same commit and the same Go give the
// same bytes.
func (r *release) build(ctx context.Context, p platform, program string) ([]byte, error) {
	fmt.Fprintf(os.Stderr, "release: building %s for %s ...\n", program, p)
	work, err := os.MkdirTemp("", "release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	out := filepath.Join(work, program)
	args := []string{"build", "-buildvcs=false", "-ldflags", "-s -w " + r.ldflags, "-o", out}
	if !r.local {
		args = append(args, "-trimpath")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/"+program)...)
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch, "GOFLAGS=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build %s for %s: %w", program, p, err)
	}
	binary, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	bill, err := r.bill(out)
	if err != nil {
		return nil, err
	}
	return binary, r.write(fmt.Sprintf("%s_%s.cdx.json", program, p), bill)
}

func (r *release) write(name string, content []byte) error {
	return os.WriteFile(filepath.Join(r.out, name), content, 0o644) //nolint:gosec // as above
}
