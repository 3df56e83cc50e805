package manifest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Stream is a file, or standard input.
type Stream struct {
	name string
	in   *bufio.Reader
	json bool
}

// bufferSize is how much of a stream is read at once, in bytes.
const bufferSize = 1 << 20

// Open begins to read a stream. name is for errors.
func Open(in io.Reader, name string) (*Stream, error) {
	s := &Stream{name: name, in: bufio.NewReaderSize(in, bufferSize)}
	// A read error shows again with the next read.
	head, _ := s.in.Peek(3)
	switch {
	case bytes.Equal(head, []byte("\ufeff")):
		if _, err := s.in.Discard(len(head)); err != nil {
			return nil, err
		}
	case len(head) > 0 && (head[0] == 0xff || head[0] == 0xfe || head[0] == 0):
		return nil, fmt.Errorf("%s: not valid UTF-8: save it in that encoding (> of PowerShell writes UTF-16)", name)
	}
	const spaceBefore = 4096
	head, _ = s.in.Peek(spaceBefore)
	s.json = utilyaml.IsJSONBuffer(head) || isArray(head)
	return s, nil
}

// isArray reports whether a text begins like an array of objects in JSON.
func isArray(head []byte) bool {
	item, found := bytes.CutPrefix(bytes.TrimSpace(head), []byte("["))
	field, isObject := bytes.CutPrefix(bytes.TrimSpace(item), []byte("{"))
	return found && isObject && bytes.HasPrefix(bytes.TrimSpace(field), []byte{'"'})
}

// IsJSON reports whether the stream is JSON; otherwise it is YAML, which takes several times as long.
func (s *Stream) IsJSON() bool { return s.json }

// Each calls yield for each object, and for each item of a list or an array in its place.
func (s *Stream) Each(yield func(*Object) error) error {
	at := position{file: s.name}
	if s.json {
		decoder := json.NewDecoder(s.in)
		for {
			at.document++
			if err := document(decoder, at, yield); err != nil {
				return unlessEnd(err)
			}
		}
	}
	documents := utilyaml.NewYAMLReader(s.in)
	for {
		at.document++
		text, err := s.kubectlItems(at, yield)
		if err != nil {
			return err
		}
		rest, err := documents.Read()
		if errors.Is(err, io.EOF) && text == nil {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return at.fault("not valid YAML: %s", oneLine(err))
		}
		asJSON, err := toJSON(append(text, rest...))
		switch {
		case err != nil:
			return at.fault("%w", err)
		case string(asJSON) == "null":
			continue // only comments
		}
		if err := document(json.NewDecoder(bytes.NewReader(asJSON)), at, yield); err != nil {
			return err
		}
	}
}

// unlessEnd returns nil for the end of a stream, which document returns as it is.
func unlessEnd(err error) error {
	if err == io.EOF { //nolint:errorlint // an error that wraps it is of a reader that failed
		return nil
	}
	return err
}

// document reads one document of JSON. It returns io.EOF where there is none.
func document(decoder *json.Decoder, at position, yield func(*Object) error) error {
	first, err := decoder.Token()
	switch {
	case err == io.EOF: //nolint:errorlint // see unlessEnd
		return err
	case err != nil:
		return notJSON(at, err)
	case first == json.Delim('['):
		return elements(decoder, at, metav1.TypeMeta{}, yield)
	case first != json.Delim('{'):
		return at.fault("%w: it has no fields", ErrNoObject)
	}
	fields := map[string]json.RawMessage{}
	isList := false
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return notJSON(at, err)
		}
		field := fmt.Sprint(name)
		if _, repeated := fields[field]; repeated {
			return at.fault("duplicate field %.100q", field)
		}
		fields[field] = nil
		if field == "items" {
			isList = true
			if err := items(decoder, at, ofItems(fields), yield); err != nil {
				return err
			}
			continue
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return notJSON(at, err)
		}
		fields[field] = value
	}
	if _, err := decoder.Token(); err != nil {
		return notJSON(at, err)
	}
	if isList {
		return checkList(fields, at)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return notJSON(at, err)
	}
	return yield(&Object{at: at, text: text})
}

// ofItems returns what a list says of its items, as far as it has said it: API servers leave their kind out.
func ofItems(fields map[string]json.RawMessage) (of metav1.TypeMeta) {
	if json.Unmarshal(fields["kind"], &of.Kind) != nil || json.Unmarshal(fields["apiVersion"], &of.APIVersion) != nil {
		return metav1.TypeMeta{}
	}
	of.Kind = strings.TrimSuffix(of.Kind, "List")
	if of.Kind == "" {
		return metav1.TypeMeta{}
	}
	return of
}

func items(decoder *json.Decoder, at position, of metav1.TypeMeta, yield func(*Object) error) error {
	switch first, err := decoder.Token(); {
	case err != nil:
		return notJSON(at, err)
	case first == nil:
		return nil // an empty list, as Go writes it
	case first != json.Delim('['):
		return at.fault("items is not a list")
	}
	return elements(decoder, at, of, yield)
}

// elements reads an array whose bracket has been read.
func elements(decoder *json.Decoder, at position, of metav1.TypeMeta, yield func(*Object) error) error {
	for decoder.More() {
		at.item++
		var item json.RawMessage
		if err := decoder.Decode(&item); err != nil {
			return notJSON(at, err)
		}
		if err := yield(&Object{at: at, text: item, of: of}); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return notJSON(at, err)
	}
	return nil
}

func notJSON(at position, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return at.fault("not valid JSON: it ends in the middle of a value, so it is truncated")
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return at.fault("not valid JSON: %w", err)
	}
	return at.fault("%w", err)
}

// checkList checks the fields of a list beside its items. kubectl writes the kind last, so a list
// without a kind is truncated.
func checkList(fields map[string]json.RawMessage, at position) error {
	var kind string
	var metadata struct {
		Continue string `json:"continue"`
	}
	for name, into := range map[string]any{"kind": &kind, "metadata": &metadata} {
		if value := fields[name]; value != nil {
			if err := json.Unmarshal(value, into); err != nil {
				return at.fault("%s: %w", name, err)
			}
		}
	}
	switch {
	case kind == "":
		return at.fault("the list ends without its kind, so it is truncated")
	case !strings.HasSuffix(kind, "List"):
		return at.fault("kind %.100q has items and is not a list", kind)
	case metadata.Continue != "":
		return at.fault("metadata.continue is set: the list is one page of several, get it again without a limit")
	}
	return nil
}

// kubectlItems reads the items of a list in YAML one by one, because the parser needs thirty times
// their size for all of them at once. It reads them only if the list has the form that kubectl writes.
// It returns the list without them, up to the current position of the stream.
//
// The parser gets each item as a list of its own, so that it reads it as in the whole list. The lines
// of an item are indented further than its dash; otherwise an item or the rest of the list is not
// valid YAML.
func (s *Stream) kubectlItems(at position, yield func(*Object) error) (list []byte, err error) {
	const begin = "apiVersion: v1\nitems:\n"
	if head, _ := s.in.Peek(len(begin) + len("- ")); string(head) != begin+"- " {
		return nil, nil
	}
	if _, err := s.in.Discard(len(begin)); err != nil {
		return nil, at.fault("%w", err)
	}
	var item []byte
	for {
		next, err := s.in.Peek(2)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, at.fault("%w", err)
		}
		begins, continues := string(next) == "- ", len(next) > 0 && strings.IndexByte(" \n#", next[0]) >= 0
		if !continues && at.item > 0 {
			if err := yield(&Object{at: at, text: item, yaml: true}); err != nil {
				return nil, err
			}
			item = make([]byte, 0, len(item)+len(item)/8) // the next one is likely to be as long
		}
		if !begins && !continues {
			return []byte("apiVersion: v1\nitems: []\n"), nil
		}
		if begins {
			at.item++
		}
		for more := true; more; {
			part, err := s.in.ReadSlice('\n')
			item = append(item, part...)
			more = errors.Is(err, bufio.ErrBufferFull)
		}
	}
}

// toJSON converts a document. It refuses a text that has an end of document within it, because the
// parser would silently ignore the rest: a line "...", or "..." or "---" after one of the line breaks
// that only YAML knows.
func toJSON(text []byte) ([]byte, error) {
	for _, lineBreak := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} {
		for _, mark := range []string{"...", "---"} {
			if _, rest, found := bytes.Cut(text, []byte(lineBreak+mark)); found && len(bytes.TrimSpace(rest)) > 0 {
				return nil, errors.New(`not valid YAML: something comes after the end of the document: separate documents by "---" on a line of its own`)
			}
		}
	}
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("not valid YAML: %s", oneLine(err))
	}
	return asJSON, nil
}
