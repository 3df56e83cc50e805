package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// entry is a file of an archive.
type entry struct {
	name       string
	text       []byte
	executable bool
}

func (e entry) mode() int64 {
	if e.executable {
		return 0o755
	}
	return 0o644
}

// packed is an archive that was written.
type packed struct {
	platform
	file, sum, binary string
}

// completion is found by kubectl by its name, and completes behind `kubectl isolation`.
const completion = "#!/bin/sh\nexec kubectl isolation __complete \"$@\"\n"

// pack writes the archive of one platform.
func (r *release) pack(p platform, binary string) (packed, error) {
	text, err := os.ReadFile(binary)
	if err != nil {
		return packed{}, err
	}
	license, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return packed{}, err
	}
	entries := []entry{
		{filepath.Base(binary), text, true},
		{"LICENSE", license, false},
	}
	file, write := fmt.Sprintf("kubectl-isolation_%s.tar.gz", p), tarGz
	if p.os == "windows" {
		file, write = fmt.Sprintf("kubectl-isolation_%s.zip", p), zipped
	} else {
		entries = append(entries, entry{"kubectl_complete-isolation", []byte(completion), true})
	}
	archive, err := write(entries, r.made)
	if err != nil {
		return packed{}, err
	}
	path := filepath.Join(r.out, file)
	if err := os.WriteFile(path, archive, 0o644); err != nil { //nolint:gosec // a release is for everybody
		return packed{}, err
	}
	sum, err := sumFile(path)
	return packed{p, file, sum, filepath.Base(binary)}, err
}

// tarGz is reproducible: no owner, one time, and a gzip header without either.
func tarGz(entries []entry, made time.Time) ([]byte, error) {
	tarred, err := tarred(entries, made)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zip.Write(tarred); err != nil {
		return nil, err
	}
	err = zip.Close()
	return out.Bytes(), err
}

func tarred(entries []entry, made time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.text)), Mode: e.mode(), ModTime: made, Format: tar.FormatUSTAR,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.text); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

func zipped(entries []entry, made time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: made}
		header.SetMode(os.FileMode(e.mode())) //nolint:gosec // one of two constants
		file, err := w.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := file.Write(e.text); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}
