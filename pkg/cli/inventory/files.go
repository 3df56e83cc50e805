package inventory

import (
	"bufio"
	"cmp"
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
)

// Files says what to read.
type Files struct {
	// Names are files and folders; "-" is In.
	Names     []string
	Recursive bool
	In        io.Reader
	// Namespace is that of objects which name none, "default" if it is empty.
	Namespace string
	// Progress, if not nil, is called now and then with how many bytes have been read.
	Progress func(bytes int64)
}

// Read reads objects in YAML and JSON, one by one or in lists. An error names the file
// and the object.
func Read(ctx context.Context, f Files) (*Inventory, error) {
	names, err := f.expand()
	if err != nil {
		return nil, err
	}
	inv := &Inventory{Source: "files " + some(f.Names)}
	c := newCollector(inv, cmp.Or(f.Namespace, "default"))
	var read int64
	for _, name := range names {
		if err := c.file(ctx, f, name, &read); err != nil {
			return nil, err
		}
	}
	if c.count == 0 {
		return nil, fmt.Errorf("%s: no object in it: give manifests, or what `kubectl get nodes,ns,pods,runtimeclasses -A -o yaml` prints", some(f.Names))
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
			return nil, fmt.Errorf("%s: addresses are not read: download it, or pipe it into -f -", shown(name))
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
		inFolder, err := f.folder(name)
		if err != nil {
			return nil, err
		}
		names = append(names, inFolder...)
	}
	if slices.Sort(names); len(slices.Compact(slices.Clone(names))) < len(names) {
		return nil, errors.New("a file is given twice: give each once")
	}
	return names, nil
}

func (f Files) folder(root string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && !f.Recursive:
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		switch filepath.Ext(path) {
		case ".json", ".yaml", ".yml":
			names = append(names, path)
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s: no file there ends in .json, .yaml or .yml: -R looks into folders in it too", root)
	}
	return names, err
}

// collector gathers what decoders make.
type collector struct {
	inv       *Inventory
	namespace string

	mu     sync.Mutex
	count  int
	others map[schema.GroupVersionKind]int
}

func newCollector(inv *Inventory, namespace string) *collector {
	return &collector{inv: inv, namespace: namespace, others: map[schema.GroupVersionKind]int{}}
}

// batchBytes is how much text a decoder takes at a time.
const batchBytes = 256 << 10

func (c *collector) file(ctx context.Context, f Files, name string, read *int64) error {
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
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan []text, 2*runtime.GOMAXPROCS(0))
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return c.decodeAll(batches) })
	}
	group.Go(func() error {
		defer close(batches)
		counted := &countingReader{in: in, read: read, progress: f.Progress}
		if err := split(ctx, bufio.NewReaderSize(counted, 1<<20), shownName, batches); err != nil {
			return fmt.Errorf("%s: %w", shownName, err)
		}
		return nil
	})
	return group.Wait()
}

// split cuts a stream into batches of objects.
func split(ctx context.Context, in *bufio.Reader, name string, batches chan<- []text) error {
	var batch []text
	size, object := 0, 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
			// Whoever failed says why.
			return context.Cause(ctx)
		}
		batch, size = nil, 0
		return nil
	}
	emit := func(isYAML bool, bytes []byte, line int) error {
		object++
		batch = append(batch, text{yaml: isYAML, bytes: bytes, where: position{file: name, object: object, line: line}})
		if size += len(bytes); size < batchBytes {
			return nil
		}
		return flush()
	}
	isJSON, err := beginsJSON(in)
	if err != nil {
		return err
	}
	if isJSON {
		s := jsonStream{in: in, emit: func(object []byte) error { return emit(false, object, 0) }}
		err = s.run()
		if err != nil {
			err = fmt.Errorf("after object %d: %w", object, err)
		}
	} else {
		s := yamlStream{in: in, emit: func(object []byte, line int) error { return emit(true, object, line) }}
		err = s.run()
	}
	return errors.Join(err, flush())
}

// beginsJSON looks at the first byte that is no white space.
func beginsJSON(in *bufio.Reader) (bool, error) {
	for {
		c, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, err
		case c == 0xff || c == 0xfe || c == 0:
			return false, errors.New("no UTF-8: write it anew, PowerShell's > makes UTF-16")
		case c == 0xef:
			// A byte order mark, or what the parser will not like.
			if next, err := in.Peek(2); err == nil && next[0] == 0xbb && next[1] == 0xbf {
				if _, err := in.Discard(2); err != nil {
					return false, err
				}
				continue
			}
		case c == '\n' || c == '\r':
			continue
		}
		return c == '{', in.UnreadByte()
	}
}

func (c *collector) decodeAll(batches <-chan []text) error {
	d := decoder{tree: unread(), namespace: c.namespace}
	for batch := range batches {
		results := make([]decoded, 0, len(batch))
		for _, t := range batch {
			result, err := d.decode(t)
			if err != nil {
				return err
			}
			results = append(results, result)
		}
		c.take(results)
	}
	return nil
}

func (c *collector) take(results []decoded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range results {
		c.count++
		if r.object == nil {
			c.others[r.other]++
			continue
		}
		c.inv.add(r.object)
	}
}

// warn tells of kinds that may make pods without anybody's knowing.
func (c *collector) warn() {
	var unknown []string
	for gvk, count := range c.others {
		if !wellKnown(gvk) {
			unknown = append(unknown, fmt.Sprintf("%s %s (%d)", shown(gvk.GroupVersion().String()), shown(gvk.Kind), count))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		c.inv.Warnings = append(c.inv.Warnings,
			fmt.Sprintf("kinds that are not known were left out: %s. If they make pods, those are not judged", some(unknown)))
	}
}

type countingReader struct {
	in       io.Reader
	read     *int64
	progress func(int64)
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	*r.read += int64(n)
	if r.progress != nil {
		r.progress(*r.read)
	}
	return n, err
}
