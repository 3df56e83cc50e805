package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"

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

// Read reads objects in YAML and JSON, one by one or in lists. An error names the file,
// the document and the item of a list.
func Read(ctx context.Context, f Files) (*Inventory, error) {
	names, err := f.expand()
	if err != nil {
		return nil, err
	}
	inv := &Inventory{Source: "files " + some(f.Names)}
	c := newCollector(inv, cmp.Or(f.Namespace, "default"))
	for _, name := range names {
		if err := c.file(ctx, f, name); err != nil {
			return nil, err
		}
	}
	if c.count == 0 {
		return nil, fmt.Errorf("%s: no objects found: give manifests, or the output of `kubectl get nodes,ns,pods,runtimeclasses -A -o json`", some(f.Names))
	}
	inv.sort()
	c.warn()
	return inv, inv.check()
}

// expand finds the files in folders, as kubectl does: those that end in .json, .yaml or
// .yml.
func (f Files) expand() ([]string, error) {
	var names []string
	for _, name := range f.Names {
		if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
			return nil, fmt.Errorf("%s: URLs are not supported: download it, or pipe it into -f -", shown(name))
		}
		if name == "-" {
			names = append(names, name)
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			names = append(names, name)
			continue
		}
		inFolder, err := manifest.Files(os.DirFS(name), f.Recursive)
		if err != nil {
			return nil, err
		}
		if len(inFolder) == 0 {
			return nil, fmt.Errorf("%s: no file in it ends in .json, .yaml or .yml: -R reads subfolders too", name)
		}
		for _, file := range inFolder {
			names = append(names, filepath.Join(name, filepath.FromSlash(file)))
		}
	}
	if slices.Sort(names); len(slices.Compact(slices.Clone(names))) < len(names) {
		return nil, errors.New("a file is given twice")
	}
	return names, nil
}

// collector gathers the objects of all decoders.
type collector struct {
	inv       *Inventory
	namespace string

	mu    sync.Mutex
	count int
	// guessed counts the objects without a kind.
	guessed int
	others  map[schema.GroupVersionKind]int
}

func newCollector(inv *Inventory, namespace string) *collector {
	return &collector{inv: inv, namespace: namespace, others: map[schema.GroupVersionKind]int{}}
}

// batchBytes is the size of a batch for a decoder.
const batchBytes = 256 << 10

// slowBytes is how much YAML is read before the note on JSON: about a second's worth.
const slowBytes = 8 << 20

func (c *collector) file(ctx context.Context, f Files, name string) error {
	in := f.In
	shownName := "standard input"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		in, shownName = file, name
	}
	counted := &countingReader{in: in}
	stream, err := manifest.Open(counted, shownName)
	if err != nil {
		return err
	}
	if !stream.IsJSON() && f.SlowYAML != nil {
		counted.most, counted.reached = slowBytes, func() { f.SlowYAML(shownName) }
	}
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan []*manifest.Object, 2*runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return c.decodeAll(batches, f.Progress) })
	}
	group.Go(func() error {
		defer close(batches)
		return batch(ctx, stream, batches)
	})
	return group.Wait()
}

// batch sends the objects of a stream in batches that are worth a switch of goroutines.
func batch(ctx context.Context, stream *manifest.Stream, batches chan<- []*manifest.Object) error {
	var objects []*manifest.Object
	size := 0
	flush := func() error {
		select {
		case batches <- objects:
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

func (c *collector) decodeAll(batches <-chan []*manifest.Object, progress func(int)) error {
	for batch := range batches {
		results := make([]decoded, 0, len(batch))
		for _, object := range batch {
			result, err := decode(object, c.namespace)
			if err != nil {
				return err
			}
			results = append(results, result)
		}
		read := c.take(results)
		if progress != nil {
			progress(read)
		}
	}
	return nil
}

// take adds results, and returns the number of objects so far.
func (c *collector) take(results []decoded) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range results {
		c.count++
		if r.guessed {
			c.guessed++
		}
		if r.object == nil {
			c.others[r.other]++
			continue
		}
		c.inv.add(r.object)
	}
	return c.count
}

// warn names objects without a kind, and unknown kinds, which may create pods that are not judged.
func (c *collector) warn() {
	if c.guessed > 0 {
		c.inv.Warnings = append(c.inv.Warnings, fmt.Sprintf("%d objects have no kind, as in the output of `kubectl get --raw`: they are taken for what their fields show", c.guessed))
	}
	var unknown []string
	for gvk, count := range c.others {
		if !wellKnown(gvk) {
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
