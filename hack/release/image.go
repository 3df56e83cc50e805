package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	imagev1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// imageName is how the manifests call the image, user who it runs as there.
const (
	imageName = "tenantisolation.dev/scheduler"
	user      = "65532:65532"
	program   = "/scheduler"
)

// image writes an OCI image layout of the scheduler for every architecture, and the bills
// of materials. The image is from scratch: one static binary. The certificates that it
// trusts are those that Kubernetes mounts.
func (r *release) image(ctx context.Context, work string) error {
	platforms := r.platforms("linux")
	if len(platforms) == 0 {
		return nil
	}
	binaries := map[platform][]byte{}
	for _, p := range platforms {
		binary, err := r.compile(ctx, p, "./cmd/scheduler", filepath.Join(work, p.String(), "scheduler"))
		if err != nil {
			return err
		}
		if binaries[p], err = os.ReadFile(binary); err != nil {
			return err
		}
		if err := r.sbom(binary, fmt.Sprintf("scheduler_%s.spdx.json", p)); err != nil {
			return err
		}
	}
	return writeLayout(filepath.Join(r.out, "scheduler-image"), r.version, r.made, platforms, binaries)
}

// writeLayout writes a folder that skopeo, crane, podman and containerd read.
func writeLayout(dir, version string, made time.Time, platforms []platform, binaries map[platform][]byte) error {
	l := layout{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, imagev1.ImageBlobsDir, "sha256"), 0o755); err != nil { //nolint:gosec // a release is for everybody
		return err
	}
	var manifests []imagev1.Descriptor
	for _, p := range platforms {
		manifest, err := l.image(version, made, p, binaries[p])
		if err != nil {
			return err
		}
		manifests = append(manifests, manifest)
	}
	index, err := l.json(imagev1.MediaTypeImageIndex, imagev1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: imagev1.MediaTypeImageIndex, Manifests: manifests,
	})
	if err != nil {
		return err
	}
	index.Annotations = map[string]string{imagev1.AnnotationRefName: version, "io.containerd.image.name": imageName + ":" + version}
	top, err := json.Marshal(imagev1.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: imagev1.MediaTypeImageIndex, Manifests: []imagev1.Descriptor{index},
	})
	if err != nil {
		return err
	}
	if err := l.file(imagev1.ImageIndexFile, top); err != nil {
		return err
	}
	mark, err := json.Marshal(imagev1.ImageLayout{Version: imagev1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	return l.file(imagev1.ImageLayoutFile, mark)
}

type layout struct{ dir string }

// image writes the image of one architecture.
func (l layout) image(version string, made time.Time, p platform, binary []byte) (imagev1.Descriptor, error) {
	plain, err := tarred([]entry{{program[1:], binary, true}}, made)
	if err != nil {
		return imagev1.Descriptor{}, err
	}
	var zipped bytes.Buffer
	zip, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return imagev1.Descriptor{}, err
	}
	if _, err := zip.Write(plain); err != nil {
		return imagev1.Descriptor{}, err
	}
	if err := zip.Close(); err != nil {
		return imagev1.Descriptor{}, err
	}
	layer, err := l.blob(imagev1.MediaTypeImageLayerGzip, zipped.Bytes())
	if err != nil {
		return imagev1.Descriptor{}, err
	}
	target := imagev1.Platform{OS: p.os, Architecture: p.arch}
	config, err := l.json(imagev1.MediaTypeImageConfig, imagev1.Image{
		Created: &made, Platform: target,
		Config: imagev1.ImageConfig{
			User: user, Entrypoint: []string{program}, WorkingDir: "/",
			Labels: map[string]string{
				imagev1.AnnotationTitle: imageName, imagev1.AnnotationVersion: version, imagev1.AnnotationLicenses: "Apache-2.0",
			},
		},
		RootFS:  imagev1.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(plain)}},
		History: []imagev1.History{{Created: &made, CreatedBy: "hack/release"}},
	})
	if err != nil {
		return imagev1.Descriptor{}, err
	}
	manifest, err := l.json(imagev1.MediaTypeImageManifest, imagev1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: imagev1.MediaTypeImageManifest,
		Config: config, Layers: []imagev1.Descriptor{layer},
	})
	manifest.Platform = &target
	return manifest, err
}

func (l layout) json(mediaType string, value any) (imagev1.Descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return imagev1.Descriptor{}, err
	}
	return l.blob(mediaType, text)
}

// blob writes what is found by its digest.
func (l layout) blob(mediaType string, content []byte) (imagev1.Descriptor, error) {
	d := digest.FromBytes(content)
	err := l.file(filepath.Join(imagev1.ImageBlobsDir, d.Algorithm().String(), d.Encoded()), content)
	return imagev1.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}, err
}

func (l layout) file(name string, content []byte) error {
	return os.WriteFile(filepath.Join(l.dir, name), content, 0o644) //nolint:gosec // a release is for everybody
}
