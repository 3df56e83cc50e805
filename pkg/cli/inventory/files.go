package inventory

import (
	"archive/tar"
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"tenantisolation.dev/scheduler/pkg/manifest"
)

// Files are the files to read.
type Files struct {
	// Names are files and folders; "-" is In.
	Names     []string
	Recursive bool
	In        io.Reader
	// Namespace is for objects without one, "default" if it is empty.
	Namespace string
	// Progress, if not nil, is called now and then with the number of objects read so far, by
	// several goroutines at once.
	Progress func(objects int)
	// SlowYAML, if not nil, is called about a second into a large file in YAML.
	SlowYAML func(name string)
}

// Read reads objects in YAML and JSON, one by one, in lists or arrays; also packed by gzip and tar. An error names the
// file, the document and the item of a list. A file of a folder or an archive that cannot be read is left out, with
// a warning, and counts as not read.
func Read(ctx context.Context, f Files) (*Inventory, error) {
	inv := &Inventory{Source: "files " + some(f.Names), Files: f.Names}
	names, err := f.expand(inv)
	if err != nil {
		return nil, err
	}
	c := newCollector(inv, cmp.Or(f.Namespace, "default"))
	for _, name := range names {
		if err := c.file(ctx, f, name); err != nil {
			return nil, err
		}
	}
	c.settle()
	if c.count == 0 {
		if len(c.leftOut) > 0 {
			return nil, fmt.Errorf("no objects found: %s", c.leftOut[0])
		}
		if len(c.parts) > 0 {
			return nil, fmt.Errorf("no objects found but parts, as patches of kustomize are, of which `kubectl kustomize` makes whole ones: %s", someOf(c.parts, "; "))
		}
		return nil, fmt.Errorf("%s: no objects found: give manifests, or the output of `kubectl get nodes,ns,pods,runtimeclasses -A -o json`", some(f.Names))
	}
	inv.sort()
	c.warn()
	return inv, inv.check()
}

// input is a file to read.
type input struct {
	name string
	// found: it was found in a folder, and not named by the user.
	found bool
}

// expand finds the files in folders.
func (f Files) expand(inv *Inventory) ([]input, error) {
	var names []input
	for _, name := range f.Names {
		if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
			return nil, fmt.Errorf("%s: URLs are not supported: download it, or pipe it into -f -", shown(name))
		}
		if name == "-" {
			names = append(names, input{name: name})
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			names = append(names, input{name: name})
			continue
		}
		inFolder, skipped, err := folder(name, f.Recursive)
		if err == nil && !f.Recursive && (len(inFolder) == 0 || isBundle(name)) {
			if inFolder, skipped, err = folder(name, true); len(inFolder) > 0 {
				inv.Warnings = append(inv.Warnings, name+": its subfolders are read as with -R")
			}
		}
		if len(skipped) > 0 {
			inv.Unread = append(inv.Unread, fmt.Sprintf("%d files or folders are not read, and may have pods (unpack archives, and name links to folders): %s", len(skipped), some(skipped)))
		}
		if err != nil {
			return nil, err
		}
		if len(inFolder) == 0 {
			return nil, fmt.Errorf("%s: no file in it ends in .json, .yaml or .yml", name)
		}
		names = append(names, inFolder...)
	}
	slices.SortFunc(names, func(a, b input) int { return cmp.Compare(a.name, b.name) })
	if len(slices.CompactFunc(slices.Clone(names), func(a, b input) bool { return a.name == b.name })) < len(names) {
		return nil, errors.New("a file is given twice")
	}
	return names, nil
}

// isBundle reports whether a folder is laid out as by support-bundle or must-gather.
func isBundle(name string) bool {
	for _, part := range []string{"cluster-resources", "cluster-scoped-resources", "namespaces"} {
		for _, above := range []string{"", "*", "*/*"} {
			if found, err := filepath.Glob(filepath.Join(name, filepath.FromSlash(above), part)); err == nil && len(found) > 0 {
				return true
			}
		}
	}
	return false
}

// folder finds the files of a folder that can be read, by their names, and those that may have objects and cannot: archives
// of other kinds, and links to folders, which may lead around in a circle.
func folder(name string, recursive bool) (found []input, skipped []string, err error) {
	// A link to a folder is walked if it ends so.
	err = filepath.WalkDir(name+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && filepath.Clean(path) != filepath.Clean(name) && !recursive:
			return fs.SkipDir
		case entry.IsDir():
		case readable(path):
			found = append(found, input{name: filepath.Clean(path), found: true})
		case packedOtherwise(path), recursive && isFolder(path, entry):
			skipped = append(skipped, filepath.Clean(path))
		}
		return nil
	})
	return found, skipped, err
}

// isFolder reports whether a link leads to a folder.
func isFolder(path string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readable reports whether a file may have objects, by its name.
func readable(name string) bool {
	switch filepath.Ext(strings.TrimSuffix(strings.ToLower(name), ".gz")) {
	case ".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".tgz", ".tar":
		return true
	}
	return false
}

// packedOtherwise reports whether a file may have objects, by its name, and is packed in a way that is not read.
func packedOtherwise(name string) bool {
	switch packing := strings.ToLower(filepath.Ext(name)); packing {
	case ".zip", ".7z":
		return true
	case ".xz", ".bz2", ".zst":
		return readable(name[:len(name)-len(packing)])
	}
	return false
}

// collector gathers the objects of all decoders.
type collector struct {
	inv       *Inventory
	namespace string

	mu    sync.Mutex
	count int
	// objects are those of each batch, which the decoders take in no order.
	objects [][]object
	// guessed counts the objects without a kind.
	guessed int
	others  map[schema.GroupVersionKind]int
	// leftOut says what is no object, or could not be read.
	leftOut []string
	// parts are the parts of objects, which no API server takes; unselecting may be parts.
	parts       []string
	unselecting []decoded
	// unread says what could not be read and may be pods.
	unread []string
}

func newCollector(inv *Inventory, namespace string) *collector {
	return &collector{inv: inv, namespace: namespace, others: map[schema.GroupVersionKind]int{}}
}

// batchBytes is the size of a batch for a decoder.
const batchBytes = 256 << 10

// slowBytes is how much YAML is read before the note on JSON: about a second's worth.
const slowBytes = 8 << 20

func (c *collector) file(ctx context.Context, f Files, of input) error {
	in, shownName := f.In, "standard input"
	if of.name != "-" {
		file, err := os.Open(of.name)
		if err != nil {
			return c.unlessFound(ctx, of.found, err) // such as a link to a file that was not copied along
		}
		defer file.Close()
		in, shownName = file, of.name
	}
	return c.unlessFound(ctx, of.found, c.packed(ctx, f, in, shownName))
}

// unlessFound returns an error on a file that the user has named, and takes note of one on a file of a folder.
func (c *collector) unlessFound(ctx context.Context, found bool, err error) error {
	if err == nil || !found || ctx.Err() != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leftOut = append(c.leftOut, err.Error())
	if !errors.Is(err, manifest.ErrNoObject) {
		c.unread = append(c.unread, err.Error())
	}
	return nil
}

// skip takes note of an archive within another that is not read.
func (c *collector) skip(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread = append(c.unread, name+": unpack it")
}

// packed reads a file that may be packed.
func (c *collector) packed(ctx context.Context, f Files, in io.Reader, name string) error {
	buffered := bufio.NewReaderSize(in, 64<<10)
	const magicAt, block = 257, 512
	switch head, _ := buffered.Peek(block); {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return c.packed(ctx, f, unzipped, strings.TrimSuffix(name, ".gz"))
	case len(head) == block && bytes.HasPrefix(head[magicAt:], []byte("ustar")):
		return c.archive(ctx, f, tar.NewReader(buffered), name)
	}
	return c.stream(ctx, f, buffered, name)
}

// archive reads the files of an archive that can be read, by their names.
func (c *collector) archive(ctx context.Context, f Files, in *tar.Reader, name string) error {
	for {
		member, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case member.Typeflag == tar.TypeReg && packedOtherwise(member.Name):
			c.skip(name + ": " + shown(member.Name))
			continue
		case member.Typeflag != tar.TypeReg || !readable(member.Name):
			continue
		}
		if err := c.unlessFound(ctx, true, c.packed(ctx, f, in, name+": "+shown(member.Name))); err != nil {
			return err
		}
	}
}

// stream reads a file that is not packed.
func (c *collector) stream(ctx context.Context, f Files, in io.Reader, name string) error {
	counted := &countingReader{in: in}
	stream, err := manifest.Open(counted, name)
	if err != nil {
		return err
	}
	if !stream.IsJSON() && f.SlowYAML != nil {
		counted.most, counted.reached = slowBytes, func() { f.SlowYAML(name) }
	}
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan batch, 2*runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return c.decodeAll(batches, f.Progress) })
	}
	group.Go(func() error {
		defer close(batches)
		return c.batch(ctx, stream, batches)
	})
	return group.Wait()
}

// batch is worth a switch of goroutines.
type batch struct {
	// number counts all batches from 0.
	number  int
	objects []*manifest.Object
}

// batch sends the objects of a stream in batches.
func (c *collector) batch(ctx context.Context, stream *manifest.Stream, batches chan<- batch) error {
	var objects []*manifest.Object
	size := 0
	flush := func() error {
		select {
		case batches <- batch{number: c.reserve(), objects: objects}:
		case <-ctx.Done():
			// The goroutine that failed returns the reason.
			return context.Cause(ctx)
		}
		objects, size = nil, 0
		return nil
	}
	err := stream.Each(func(object *manifest.Object) error {
		objects = append(objects, object)
		if size += object.Size(); size < batchBytes {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// reserve returns the number of the next batch.
func (c *collector) reserve() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objects = append(c.objects, nil)
	return len(c.objects) - 1
}

func (c *collector) decodeAll(batches <-chan batch, progress func(int)) error {
	for batch := range batches {
		results := make([]decoded, 0, len(batch.objects))
		for _, object := range batch.objects {
			var err error
			if results, err = decode(results, object, c.namespace); err != nil {
				return err
			}
		}
		read := c.take(batch.number, results)
		if progress != nil {
			progress(read)
		}
	}
	return nil
}

// take adds the results of a batch, and returns the number of objects so far.
func (c *collector) take(number int, results []decoded) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range results {
		if r.at != "" {
			if r.object == nil {
				c.parts = append(c.parts, r.at)
			} else {
				c.unselecting = append(c.unselecting, r)
			}
			continue
		}
		if r.leftOut != nil {
			c.leftOut = append(c.leftOut, r.leftOut.Error())
			if r.mayBePods {
				c.unread = append(c.unread, r.leftOut.Error())
			}
			continue
		}
		c.count++
		if r.guessed {
			c.guessed++
		}
		if r.object == nil {
			c.others[r.other]++
			continue
		}
		c.objects[number] = append(c.objects[number], r.object)
	}
	return c.count
}

// warn names objects without a kind, and unknown kinds, which may create pods that are not judged.
func (c *collector) warn() {
	if c.guessed > 0 {
		c.inv.Warnings = append(c.inv.Warnings, fmt.Sprintf("%d objects have no kind, as in the output of `kubectl get --raw`: they are taken for what their fields show", c.guessed))
	}
	if len(c.parts) > 0 {
		slices.Sort(c.parts)
		c.inv.Warnings = append(c.inv.Warnings, "parts of objects were left out, as patches of kustomize are, of which `kubectl kustomize` makes whole ones: "+someOf(c.parts, "; "))
	}
	if len(c.leftOut) > 0 {
		slices.Sort(c.leftOut)
		c.inv.Warnings = append(c.inv.Warnings, "left out: "+someOf(c.leftOut, "; "))
	}
	if len(c.unread) > 0 {
		slices.Sort(c.unread)
		c.inv.Unread = append(c.inv.Unread, fmt.Sprintf("%d files or objects could not be read, and may have pods: %s", len(c.unread), someOf(c.unread, "; ")))
	}
	var unknown []string
	for gvk, count := range c.others {
		if !scheme.Scheme.Recognizes(gvk) {
			unknown = append(unknown, fmt.Sprintf("%s %s (%d)", shown(gvk.GroupVersion().String()), shown(gvk.Kind), count))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		c.inv.Warnings = append(c.inv.Warnings,
			fmt.Sprintf("unknown kinds were left out: %s. If they create pods, those are not judged", some(unknown)))
	}
}

// countingReader calls reached once most bytes have been read. The zero value calls nothing.
type countingReader struct {
	in         io.Reader
	read, most int64
	reached    func()
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.read += int64(n)
	if r.reached != nil && r.read >= r.most {
		r.reached()
		r.reached = nil
	}
	return n, err
}
