//go:build linux

package realnode

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// ProbeImage has a shell and small programs: this machine's static busybox. Its command waits until it is ended.
const ProbeImage = "tenantisolation.dev/probe:test"

// waiting is a command that ends at once when it is told to.
var waiting = []string{"/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 1000 & wait $!; done"}

// WriteProbeImage writes an archive with ProbeImage, which is also what holds the namespaces of a pod.
func WriteProbeImage(path string) error {
	program, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	busybox, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	layer, err := archived(func(w *tar.Writer) error {
		for _, folder := range []string{"bin", "proc", "sys", "dev", "tmp", "etc", "var", "run"} {
			if err := w.WriteHeader(&tar.Header{Name: folder + "/", Typeflag: tar.TypeDir, Mode: 0o777}); err != nil {
				return err
			}
		}
		if err := file(w, "bin/busybox", 0o755, busybox); err != nil {
			return err
		}
		for _, name := range []string{"sh", "cat", "sleep", "dmesg", "id", "head", "wget", "httpd", "stat", "touch"} {
			if err := w.WriteHeader(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{"Entrypoint": waiting, "Env": []string{"PATH=/bin"}, "WorkingDir": "/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{ProbeImage, pauseImage}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	image, err := archived(func(w *tar.Writer) error {
		for name, content := range map[string][]byte{"config.json": config, "layer.tar": layer, "manifest.json": manifest} {
			if err := file(w, name, 0o644, content); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, image, 0o600)
}

// WriteArchive writes a folder that holds an image, as `make release` makes it, as an archive.
func WriteArchive(path, folder string) error {
	image, err := archived(func(w *tar.Writer) error { return w.AddFS(os.DirFS(folder)) })
	if err != nil {
		return err
	}
	return os.WriteFile(path, image, 0o600)
}

// Images is where archives of images are kept.
func Images(name string) string { return filepath.Join(directory(), "images", name) }

func archived(fill func(*tar.Writer) error) ([]byte, error) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	if err := fill(w); err != nil {
		return nil, err
	}
	err := w.Close()
	return content.Bytes(), err
}

func file(w *tar.Writer, name string, mode int64, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := io.Copy(w, bytes.NewReader(content))
	return err
}
