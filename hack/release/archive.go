package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing/fstest" //nolint:depguard // files in memory, which have no owner; it does not import testing
	"text/template"
)

// completion is found by kubectl by its name, and completes behind `kubectl isolation`.
const completion = "#!/bin/sh\nexec kubectl isolation __complete \"$@\"\n"

//go:embed isolation.krew.yaml.tmpl
var krewManifest string

// files are what an archive holds, by name.
type files = fstest.MapFS

// archive is what was written for a platform, as the manifest for krew names it.
type archive struct {
	platform
	File, Sum, Binary string
}

// plugin writes the archives of kubectl-isolation and the manifest that krew's index takes.
func (r *release) plugin(ctx context.Context) error {
	license, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return err
	}
	var archives []archive
	for _, p := range r.platforms("linux", "darwin", "windows") {
		binary, err := r.build(ctx, p, "kubectl-isolation")
		if err != nil {
			return err
		}
		name, ending, pack := "kubectl-isolation", "tar.gz", tarGz
		entries := files{"LICENSE": r.file(license, 0o644)}
		if p.OS == "windows" {
			name, ending, pack = "kubectl-isolation.exe", "zip", zipped
		} else {
			entries["kubectl_complete-isolation"] = r.file([]byte(completion), 0o755)
		}
		entries[name] = r.file(binary, 0o755)
		var packed bytes.Buffer
		if err := pack(&packed, entries); err != nil {
			return err
		}
		a := archive{p, fmt.Sprintf("kubectl-isolation_%s.%s", p, ending), fmt.Sprintf("%x", sha256.Sum256(packed.Bytes())), name}
		if err := r.write(a.File, packed.Bytes()); err != nil {
			return err
		}
		archives = append(archives, a)
	}
	manifest, err := r.krew(archives)
	if err != nil {
		return err
	}
	return r.write("isolation.krew.yaml", manifest)
}

func (r *release) krew(archives []archive) ([]byte, error) {
	parsed, err := template.New("").Parse(krewManifest)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, map[string]any{"version": r.version, "archives": archives})
	return out.Bytes(), err
}

// file is a file as every archive has it: nobody's, and as old as the commit.
func (r *release) file(content []byte, mode os.FileMode) *fstest.MapFile {
	return &fstest.MapFile{Data: content, Mode: mode, ModTime: r.made}
}

func tarGz(to io.Writer, content files) error {
	w, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	return errors.Join(tarred(w, content), w.Close())
}

func tarred(to io.Writer, content files) error {
	w := tar.NewWriter(to)
	return errors.Join(w.AddFS(content), w.Close())
}

func zipped(to io.Writer, content files) error {
	w := zip.NewWriter(to)
	return errors.Join(w.AddFS(content), w.Close())
}
