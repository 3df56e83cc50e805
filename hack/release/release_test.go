package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	imagev1 "github.com/opencontainers/image-spec/specs-go/v1"
	"sigs.k8s.io/yaml"
)

var made = time.Unix(1700000000, 0).UTC()

func TestArchivesAreReproducible(t *testing.T) {
	entries := []entry{{"kubectl-isolation", []byte("binary"), true}, {"LICENSE", []byte("text"), false}}
	for name, write := range map[string]func([]entry, time.Time) ([]byte, error){"tar.gz": tarGz, "zip": zipped} {
		first, err := write(entries, made)
		if err != nil {
			t.Fatal(err)
		}
		second, err := write(entries, made)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("%s: two archives of the same files differ", name)
		}
	}
}

// Every digest that a layout names is that of the file, and the layer holds the program
// that the manifests start.
func TestTheImageLayoutHoldsTogether(t *testing.T) {
	platforms := []platform{{"linux", "amd64"}, {"linux", "arm64"}}
	binaries := map[platform][]byte{platforms[0]: []byte("amd64"), platforms[1]: []byte("arm64")}
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	for _, dir := range dirs {
		if err := writeLayout(dir, "v1.2.3", made, platforms, binaries); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(tree(t, dirs[0]), tree(t, dirs[1])); diff != "" {
		t.Errorf("two layouts of the same binaries differ:\n%s", diff)
	}
	var top, index imagev1.Index
	parse(t, filepath.Join(dirs[0], "index.json"), &top)
	blob(t, dirs[0], top.Manifests[0], &index)
	if len(index.Manifests) != 2 {
		t.Fatalf("%d images, want 2", len(index.Manifests))
	}
	for i, p := range platforms {
		var manifest imagev1.Manifest
		blob(t, dirs[0], index.Manifests[i], &manifest)
		var config imagev1.Image
		blob(t, dirs[0], manifest.Config, &config)
		if config.Architecture != p.arch || config.Config.User != user || !cmp.Equal(config.Config.Entrypoint, []string{"/scheduler"}) {
			t.Errorf("image of %s: %+v", p, config)
		}
		layer := read(t, dirs[0], manifest.Layers[0])
		unzipped, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(unzipped)
		if err != nil {
			t.Fatal(err)
		}
		if config.RootFS.DiffIDs[0] != digest.FromBytes(plain) {
			t.Error("the config names another layer")
		}
		files := tar.NewReader(bytes.NewReader(plain))
		header, err := files.Next()
		if err != nil || header.Name != "scheduler" || header.Mode != 0o755 || header.Uid != 0 {
			t.Errorf("layer begins with %+v, %v", header, err)
		}
		text, err := io.ReadAll(files)
		if err != nil || string(text) != p.arch {
			t.Errorf("layer of %s holds %q, %v", p, text, err)
		}
	}
}

func TestTheImageIsTheOneOfTheManifests(t *testing.T) {
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

func TestTheKrewManifestNamesEveryArchive(t *testing.T) {
	r := &release{version: "v1.2.3"}
	text := r.krew([]packed{{platform{"linux", "amd64"}, "a.tar.gz", "00", "kubectl-isolation"}, {platform{"windows", "arm64"}, "b.zip", "11", "kubectl-isolation.exe"}})
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
	if err := yaml.UnmarshalStrict([]byte(text), &struct{}{}); err == nil {
		t.Fatal("an empty manifest")
	}
	if err := yaml.Unmarshal([]byte(text), &manifest); err != nil {
		t.Fatal(err)
	}
	last := manifest.Spec.Platforms[len(manifest.Spec.Platforms)-1]
	if manifest.Metadata.Name != "isolation" || manifest.Spec.Version != "v1.2.3" || len(manifest.Spec.Platforms) != 2 ||
		last.Bin != "kubectl-isolation.exe" || last.SHA256 != "11" || last.Selector.MatchLabels["os"] != "windows" || !strings.HasSuffix(last.URI, "/v1.2.3/b.zip") {
		t.Errorf("%s", text)
	}
}

func TestTheBillOfMaterialsHasEveryModule(t *testing.T) {
	r := &release{version: "v1.2.3", made: made}
	bill := r.bill("scheduler", "00", &debug.BuildInfo{GoVersion: "go1.26.0", Deps: []*debug.Module{
		{Path: "example.com/a", Version: "v1.0.0"}, {Path: "example.com/b", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/c", Version: "v2.0.0"}},
	}})
	var names []string
	for _, p := range bill.Packages {
		names = append(names, p.Name+"@"+p.VersionInfo)
	}
	if diff := cmp.Diff([]string{"scheduler@v1.2.3", "std@1.26.0", "example.com/a@v1.0.0", "example.com/c@v2.0.0"}, names); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, dir string, d imagev1.Descriptor) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", d.Digest.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	if digest.FromBytes(text) != d.Digest || int64(len(text)) != d.Size {
		t.Errorf("blob %s is something else, or of another size", d.Digest)
	}
	return text
}

func blob(t *testing.T, dir string, d imagev1.Descriptor, into any) {
	t.Helper()
	if err := json.Unmarshal(read(t, dir, d), into); err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
