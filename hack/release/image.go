package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"path/filepath"

	registry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
)

// imageName is how the manifests call the image, user who it runs as there.
const (
	imageName = "tenantisolation.dev/scheduler"
	user      = "65532:65532"
	program   = "/scheduler"
)

// image writes an OCI image layout of the scheduler for every architecture: a folder that
// skopeo, crane, podman and containerd read.
func (r *release) image(ctx context.Context) error {
	binaries := map[platform][]byte{}
	for _, p := range r.platforms("linux") {
		binary, err := r.build(ctx, p, "scheduler")
		if err != nil {
			return err
		}
		binaries[p] = binary
	}
	if len(binaries) == 0 {
		return nil
	}
	return r.layout(binaries)
}

func (r *release) layout(binaries map[platform][]byte) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range r.platforms("linux") {
		image, err := r.imageOf(p, binaries[p])
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: registry.Descriptor{Platform: &registry.Platform{OS: p.OS, Architecture: p.Arch}},
		})
	}
	_, err := layout.Write(filepath.Join(r.out, "scheduler-image"), mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: index, Descriptor: registry.Descriptor{Annotations: map[string]string{
			oci.AnnotationRefName: r.version, "io.containerd.image.name": imageName + ":" + r.version,
		}},
	}))
	return err
}

// imageOf is from scratch: one static binary. The certificates that it trusts are those that
// Kubernetes mounts.
func (r *release) imageOf(p platform, binary []byte) (registry.Image, error) {
	var plain bytes.Buffer
	if err := tarred(&plain, files{program[1:]: r.file(binary, 0o755)}); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(plain.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching,
	)
	if err != nil {
		return nil, err
	}
	made := registry.Time{Time: r.made}
	image, err := mutate.ConfigFile(
		mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON),
		&registry.ConfigFile{
			Created: made, OS: p.OS, Architecture: p.Arch, RootFS: registry.RootFS{Type: "layers"},
			Config: registry.Config{
				User: user, Entrypoint: []string{program}, WorkingDir: "/",
				Labels: map[string]string{
					oci.AnnotationTitle: imageName, oci.AnnotationVersion: r.version, oci.AnnotationLicenses: "Apache-2.0",
				},
			},
		},
	)
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{
		Layer: layer, MediaType: types.OCILayer, History: registry.History{Created: made, CreatedBy: "hack/release"},
	})
}
