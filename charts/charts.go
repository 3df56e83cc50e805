// Package charts packs the Helm chart of this release, for people who have a binary and no clone.
package charts

import (
	"archive/tar"
	"compress/gzip"
	"embed"
	"errors"
	"io"
	"io/fs"
	"path"

	"tenantisolation.dev/scheduler/manifests"
)

// Name is the name of the chart, and of the folder in its archive.
const Name = "tenant-isolation"

//go:embed tenant-isolation/Chart.yaml tenant-isolation/values.yaml tenant-isolation/values.schema.json all:tenant-isolation/templates
var files embed.FS

// Pack writes the chart as `helm package` does. The same release gives the same bytes.
func Pack(to io.Writer) error {
	compressed := gzip.NewWriter(to)
	archive := tar.NewWriter(compressed)
	// The links of the folder are no files for the compiler.
	for _, part := range []struct {
		from      fs.FS
		root, put string
	}{
		{files, Name, Name},
		{manifests.Installed, ".", path.Join(Name, "manifests")},
		{manifests.Files, manifests.CRD, path.Join(Name, manifests.CRD)},
	} {
		if err := add(archive, part.from, part.root, part.put); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

// add adds a file or a folder under another name.
func add(archive *tar.Writer, from fs.FS, root, put string) error {
	return fs.WalkDir(from, root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		target := put
		if name != root {
			target = path.Join(put, relative(root, name))
		}
		if err := archive.WriteHeader(&tar.Header{Name: target, Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = archive.Write(content)
		return err
	})
}

func relative(root, name string) string {
	if root == "." {
		return name
	}
	return name[len(root)+1:]
}
