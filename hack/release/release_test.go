package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	registry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"sigs.k8s.io/yaml"
)

var made = time.Unix(1700000000, 0).UTC()

// Two releases of small programs, from two folders, are the same byte for byte, and complete.
func TestTwoReleasesAreTheSame(t *testing.T) {
	releases := []map[string]string{}
	for range 2 {
		root := t.TempDir()
		for name, text := range map[string]string{
			"go.mod":                        "module example.com/small\n\ngo 1.26.0\n",
			"LICENSE":                       "text",
			"cmd/kubectl-isolation/main.go": "package main\n\nfunc main() {}\n",
			"cmd/scheduler/main.go":         "package main\n\nfunc main() {}\n",
		} {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := &release{version: "v1.2.3", made: made, root: root, out: filepath.Join(t.TempDir(), "out"), only: "linux-amd64"}
		if err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		releases = append(releases, tree(t, r.out))
	}
	for name, text := range releases[0] {
		if releases[1][name] != text {
			t.Errorf("%s differs", name)
		}
	}
	// Of what is compiled in, only the standard library is a module here.
	for name, want := range map[string]string{
		"kubectl-isolation_linux-amd64.cdx.json": "v1.2.3 Apache-2.0 2023-11-14T22:13:20Z std",
		"scheduler_linux-amd64.cdx.json":         "v1.2.3 Apache-2.0 2023-11-14T22:13:20Z std",
	} {
		var bill cyclonedx.BOM
		if err := cyclonedx.NewBOMDecoder(strings.NewReader(releases[0][name]), cyclonedx.BOMFileFormatJSON).Decode(&bill); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := bill.Metadata.Component.Version + " " + (*bill.Metadata.Component.Licenses)[0].License.ID + " " + bill.Metadata.Timestamp
		for _, component := range *bill.Components {
			got += " " + component.Name
		}
		if got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	var got string
	unzipped, err := gzip.NewReader(strings.NewReader(releases[0]["kubectl-isolation_linux-amd64.tar.gz"]))
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprintf("%s %#o %d %q\n", header.Name, header.Mode, header.Uid, header.Uname)
	}
	if want := "LICENSE 0644 0 \"\"\nkubectl-isolation 0755 0 \"\"\nkubectl_complete-isolation 0755 0 \"\"\n"; got != want {
		t.Errorf("the archive holds\n%swant\n%s", got, want)
	}
	for _, name := range []string{"isolation.krew.yaml", "scheduler-image/index.json", "scheduler-image/oci-layout"} {
		if releases[0][name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

// A zip is not built by the test above.
func TestArchivesAreReproducible(t *testing.T) {
	r := &release{made: made}
	packed := files{"kubectl-isolation": r.file([]byte("binary"), 0o755), "LICENSE": r.file([]byte("text"), 0o644)}
	for name, write := range map[string]func(io.Writer, files) error{"tar.gz": tarGz, "zip": zipped} {
		var first, second bytes.Buffer
		if err := write(&first, packed); err != nil {
			t.Fatal(err)
		}
		if err := write(&second, packed); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("%s: two archives of the same files differ", name)
		}
	}
}

// Every digest and size that a layout names is that of the blob, each architecture has its
// image, and the layer holds the program that the manifests start.
func TestImageLayout(t *testing.T) {
	r := &release{version: "v1.2.3", made: made, out: t.TempDir()}
	if err := r.layout(map[platform][]byte{{"linux", "amd64"}: []byte("amd64"), {"linux", "arm64"}: []byte("arm64")}); err != nil {
		t.Fatal(err)
	}
	path, err := layout.FromPath(filepath.Join(r.out, "scheduler-image"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(top); err != nil {
		t.Fatal(err)
	}
	named := manifests(t, top)
	want := map[string]string{"org.opencontainers.image.ref.name": "v1.2.3", "io.containerd.image.name": "tenantisolation.dev/scheduler:v1.2.3"}
	if len(named) != 1 || named[0].MediaType != oci.MediaTypeImageIndex || !cmp.Equal(named[0].Annotations, want) {
		t.Fatalf("the layout names %+v", named)
	}
	index, err := top.ImageIndex(named[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	images := manifests(t, index)
	if len(images) != 2 {
		t.Fatalf("%d images, want 2", len(images))
	}
	for i, arch := range []string{"amd64", "arm64"} {
		image, err := index.Image(images[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		if images[i].MediaType != oci.MediaTypeImageManifest || images[i].Platform.String() != "linux/"+arch {
			t.Errorf("image %d is %+v", i, images[i])
		}
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		if manifest.Config.MediaType != oci.MediaTypeImageConfig || len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != oci.MediaTypeImageLayerGzip {
			t.Errorf("manifest of %s: %+v", arch, manifest)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.OS != "linux" || config.Architecture != arch || config.Config.User != user || !cmp.Equal(config.Config.Entrypoint, []string{"/scheduler"}) ||
			config.Config.Labels[oci.AnnotationVersion] != "v1.2.3" || !config.Created.Equal(made) {
			t.Errorf("image of %s: %+v", arch, config)
		}
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		plain, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		layer := tar.NewReader(plain)
		header, err := layer.Next()
		if err != nil || header.Name != "scheduler" || header.Mode != 0o755 || header.Uid != 0 || header.Uname != "" || !header.ModTime.Equal(made) {
			t.Errorf("layer begins with %+v, %v", header, err)
		}
		text, err := io.ReadAll(layer)
		if err != nil || string(text) != arch {
			t.Errorf("layer of %s holds %q, %v", arch, text, err)
		}
		if header, err = layer.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("layer of %s has more: %+v, %v", arch, header, err)
		}
		if err := plain.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestImageOfTheManifests(t *testing.T) {
	text, err := os.ReadFile("../../manifests/base/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"image: " + imageName + "\n", `command: ["` + program + `"]`, "runAsUser: " + strings.Split(user, ":")[0]} {
		if !strings.Contains(string(text), want) {
			t.Errorf("manifests/base/deployment.yaml does not say %q", want)
		}
	}
}

func TestKrewManifest(t *testing.T) {
	r := &release{version: "v1.2.3"}
	text, err := r.krew([]archive{{platform{"linux", "amd64"}, "a.tar.gz", "00", "kubectl-isolation"}, {platform{"windows", "arm64"}, "b.zip", "11", "kubectl-isolation.exe"}})
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Metadata struct{ Name string }
		Spec     struct {
			Version   string
			Platforms []struct {
				URI, SHA256, Bin string
				Selector         struct{ MatchLabels map[string]string }
			}
		}
	}
	if err := yaml.UnmarshalStrict(text, &struct{}{}); err == nil {
		t.Fatal("an empty manifest")
	}
	if err := yaml.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	last := manifest.Spec.Platforms[len(manifest.Spec.Platforms)-1]
	if manifest.Metadata.Name != "isolation" || manifest.Spec.Version != "v1.2.3" || len(manifest.Spec.Platforms) != 2 ||
		last.Bin != "kubectl-isolation.exe" || last.SHA256 != "11" || last.Selector.MatchLabels["os"] != "windows" || !strings.HasSuffix(last.URI, "/v1.2.3/b.zip") {
		t.Errorf("%s", text)
	}
}

func manifests(t *testing.T, index registry.ImageIndex) []registry.Descriptor {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Manifests
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
