// Command release builds what a release consists of, into one folder: archives of
// kubectl-isolation, an image of the scheduler, bills of materials, a manifest for krew, and
// the checksums of all of it. Two runs on one commit give the same bytes.
//
// # Where to find what
//
//	main.go     the steps
//	compile.go  Go -> static binaries
//	archive.go  tar.gz and zip
//	image.go    an OCI image layout, without a container engine
//	sbom.go     SPDX, of the modules that the linker noted in a binary
//	krew.go     the plugin manifest
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// platform is what a binary is for.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "-" + p.arch }

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
	work, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	archives, err := r.plugin(ctx, work)
	if err != nil {
		return err
	}
	if err := r.write("isolation.krew.yaml", r.krew(archives)); err != nil {
		return err
	}
	if err := r.image(ctx, work); err != nil {
		return err
	}
	return r.checksums()
}

// plugin builds kubectl-isolation for every platform.
func (r *release) plugin(ctx context.Context, work string) ([]packed, error) {
	var archives []packed
	for _, p := range r.platforms("linux", "darwin", "windows") {
		name := "kubectl-isolation"
		if p.os == "windows" {
			name += ".exe"
		}
		binary, err := r.compile(ctx, p, "./cmd/kubectl-isolation", filepath.Join(work, p.String(), name))
		if err != nil {
			return nil, err
		}
		archive, err := r.pack(p, binary)
		if err != nil {
			return nil, err
		}
		archives = append(archives, archive)
		if err := r.sbom(binary, fmt.Sprintf("kubectl-isolation_%s.spdx.json", p)); err != nil {
			return nil, err
		}
	}
	return archives, nil
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

func (r *release) write(name, text string) error {
	return os.WriteFile(filepath.Join(r.out, name), []byte(text), 0o644) //nolint:gosec // as above
}

// checksums lists every file, in the form that sha256sum -c reads.
func (r *release) checksums() error {
	var lines []string
	err := filepath.WalkDir(r.out, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		sum, err := sumFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(r.out, path)
		lines = append(lines, fmt.Sprintf("%s  %s\n", sum, filepath.ToSlash(name)))
		return err
	})
	if err != nil {
		return err
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	return r.write("SHA256SUMS", strings.Join(lines, ""))
}

func sumFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
