// Package manifest reads objects of Kubernetes from files, as kubectl does: YAML and JSON, several
// documents in one file, and lists.
//
// A list is read item by item, so that a file may be larger than the memory. The one exception is
// a document of YAML: its text is held as a whole.
//
// No object is skipped: what cannot be read is an error that names the file, the document and the
// item.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
)

// Files lists the files of a folder that kubectl would read, by name: those that end in .json,
// .yaml or .yml; those of its folders as well if recursive is set.
func Files(folder fs.FS, recursive bool) ([]string, error) {
	var names []string
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && !recursive:
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		switch path.Ext(name) {
		case ".json", ".yaml", ".yml":
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// ReadFiles returns all objects of these files of a folder. Errors name a file by its path below
// label.
func ReadFiles(folder fs.FS, names []string, label string) ([]*Object, error) {
	var all []*Object
	for _, name := range names {
		objects, err := readFile(folder, name, path.Join(label, name))
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

func readFile(folder fs.FS, name, label string) (objects []*Object, err error) {
	file, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	stream, err := Open(file, label)
	if err != nil {
		return nil, err
	}
	err = stream.Each(func(object *Object) error {
		objects = append(objects, object)
		return nil
	})
	return objects, err
}

// position is where an object was found.
type position struct {
	file string
	// document and item count from 1; item is 0 outside of a list.
	document, item int
}

func (p position) String() string {
	if p.item == 0 {
		return fmt.Sprintf("%s, document %d", p.file, p.document)
	}
	return fmt.Sprintf("%s, document %d, item %d", p.file, p.document, p.item)
}

func (p position) fault(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{p}, args...)...)
}

// Object is an object as it was written. It is for one goroutine at a time.
type Object struct {
	at position
	// text is JSON, or else a list in YAML with the object as its one item.
	text []byte
	yaml bool
	// of is the kind that its list has for it.
	of metav1.TypeMeta
}

// ErrNoObject is the fault of what is no object of Kubernetes: it has no fields, or no kind.
var ErrNoObject = errors.New("not an object of Kubernetes")

// At says where the object was found, for people.
func (o *Object) At() string { return o.at.String() }

// Size is the length of the object's text in bytes.
func (o *Object) Size() int { return len(o.text) }

// Kind returns apiVersion and kind, neither of which is empty.
func (o *Object) Kind() (schema.GroupVersionKind, error) {
	none := schema.GroupVersionKind{}
	if err := o.toJSON(); err != nil {
		return none, err
	}
	meta, err := typeMeta(o.text)
	if err != nil {
		return none, o.at.fault("%w: %w", ErrNoObject, err)
	}
	if meta.Kind == "" && meta.APIVersion == "" {
		meta = o.of
	}
	if meta.Kind == "" || meta.APIVersion == "" {
		return none, o.at.fault("%w: apiVersion or kind is missing", ErrNoObject)
	}
	gv, err := schema.ParseGroupVersion(meta.APIVersion)
	if err != nil {
		return none, o.at.fault("%w", err)
	}
	return gv.WithKind(meta.Kind), nil
}

// HasFields reports whether it may be an object: text and numbers have no fields.
func (o *Object) HasFields() bool { return bytes.HasPrefix(bytes.TrimSpace(o.text), []byte("{")) }

// Mentions reports whether a word stands anywhere in the object.
func (o *Object) Mentions(word string) bool { return bytes.Contains(o.text, []byte(word)) }

// Decode fills a typed object. It reads as the API server does: the case of field names counts, and
// fields that into does not have are ignored. A field of into that is set twice is an error, because
// two readers may choose differently.
func (o *Object) Decode(into any) error {
	if err := o.toJSON(); err != nil {
		return err
	}
	repeated, err := kjson.UnmarshalStrict(o.text, into, kjson.DisallowDuplicateFields)
	if err == nil {
		err = errors.Join(repeated...)
	}
	if err != nil {
		return o.at.fault("%s", oneLine(err))
	}
	return nil
}

// Items returns the items of an object that is a list itself; false if it has none.
func (o *Object) Items() (items []*Object, isList bool, err error) {
	if err := o.toJSON(); err != nil {
		return nil, false, err
	}
	var fields map[string]json.RawMessage
	if err := o.Decode(&fields); err != nil {
		return nil, false, err
	}
	if _, isList = fields["items"]; !isList {
		return nil, false, nil
	}
	err = document(json.NewDecoder(bytes.NewReader(o.text)), o.at, func(item *Object) error {
		items = append(items, item)
		return nil
	})
	return items, true, err
}

// Unstructured returns the object as it is, of whatever kind.
func (o *Object) Unstructured() (*unstructured.Unstructured, error) {
	if _, err := o.Kind(); err != nil {
		return nil, err
	}
	whole := &unstructured.Unstructured{}
	return whole, o.Decode(&whole.Object)
}

func (o *Object) toJSON() error {
	if !utf8.Valid(o.text) {
		return o.at.fault("not valid UTF-8")
	}
	if !o.yaml {
		return nil
	}
	asJSON, err := toJSON(o.text)
	if err != nil {
		return o.at.fault("%w", err)
	}
	// Anything but one item leaves what is not JSON.
	o.text, o.yaml = bytes.TrimSuffix(bytes.TrimPrefix(asJSON, []byte("[")), []byte("]")), false
	return nil
}

// oneLine is for the errors of parsers, which have a line for each fault.
func oneLine(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "json: ")
	return strings.NewReplacer("\n  ", " ", "\n", "; ").Replace(text)
}

// typeMeta reads apiVersion and kind. Kubernetes writes them first; the rest of the object is then
// not parsed.
func typeMeta(object []byte) (metav1.TypeMeta, error) {
	var meta metav1.TypeMeta
	decoder := json.NewDecoder(bytes.NewReader(object))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return meta, errors.New("it has no fields")
	}
	for decoder.More() && (meta.APIVersion == "" || meta.Kind == "") {
		name, err := decoder.Token()
		if err != nil {
			return meta, err
		}
		switch name {
		case "apiVersion":
			err = decoder.Decode(&meta.APIVersion)
		case "kind":
			err = decoder.Decode(&meta.Kind)
		default:
			return meta, kjson.UnmarshalCaseSensitivePreserveInts(object, &meta)
		}
		if err != nil {
			return meta, err
		}
	}
	return meta, nil
}
