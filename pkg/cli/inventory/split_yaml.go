package inventory

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// yamlStream cuts a stream of YAML documents into objects, and lists into their items.
//
// It looks at how lines begin alone: what belongs to an item is indented further than its
// dash, block scalars included. What is written in some other way (a list in brackets) is
// a document like any other, and the parser's.
type yamlStream struct {
	in   *bufio.Reader
	emit func(object []byte, line int) error

	line int
	// head is the document without its items, which begins at headLine.
	head     []byte
	headLine int
	// item is the item that is being read; nil outside of a list.
	item     []byte
	itemLine int
	// last is how long the last item was: the next one is likely to be as long.
	last int
	// inItems: the field that is being read is "items". indent is that of the dashes, -1
	// before the first one.
	inItems bool
	indent  int
	isList  bool
}

func (s *yamlStream) run() error {
	for {
		line, err := s.next()
		if errors.Is(err, io.EOF) {
			return s.endDocument()
		}
		if err != nil {
			return err
		}
		s.line++
		if isMarker(line) {
			if err := s.endDocument(); err != nil {
				return err
			}
			if rest := bytes.TrimSpace(line[3:]); len(rest) > 0 && rest[0] != '#' {
				return fmt.Errorf("line %d: something comes after %s on its line", s.line, line[:3])
			}
			continue
		}
		if err := s.take(line); err != nil {
			return err
		}
	}
}

// next returns the next line with its line break; it is valid until the next call.
func (s *yamlStream) next() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		whole := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(whole) > maxObject {
				return nil, fmt.Errorf("line %d is longer than %d MiB", s.line+1, maxObject>>20)
			}
			line, err = s.in.ReadSlice('\n')
			whole = append(whole, line...)
		}
		line = whole
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return append(bytes.Clone(line), '\n'), nil
	}
	return line, err
}

func isMarker(line []byte) bool {
	return (bytes.HasPrefix(line, []byte("---")) || bytes.HasPrefix(line, []byte("..."))) &&
		(len(line) == 3 || line[3] == ' ' || line[3] == '\n' || line[3] == '\r' || line[3] == '\t')
}

func (s *yamlStream) take(line []byte) error {
	if !s.inItems {
		if bytes.Equal(bytes.TrimRight(line, " \r\n"), []byte("items:")) && !s.isList {
			s.inItems, s.isList, s.indent = true, true, -1
			return nil
		}
		if len(s.head) == 0 {
			s.headLine = s.line
		}
		s.head = append(s.head, line...)
		return s.tooLong(s.head)
	}
	indent := 0
	for indent < len(line) && line[indent] == ' ' {
		indent++
	}
	blank := len(bytes.TrimSpace(line)) == 0
	comment := indent < len(line) && line[indent] == '#'
	dash := !blank && line[indent] == '-' && (line[indent+1] == ' ' || line[indent+1] == '\n' || line[indent+1] == '\r')
	switch {
	case blank, comment && indent <= s.indent:
		if s.item != nil {
			s.item = append(s.item, '\n')
		}
		return nil
	case dash && (s.indent < 0 || indent == s.indent):
		if err := s.endItem(); err != nil {
			return err
		}
		s.indent, s.itemLine = indent, s.line
		s.item = append(make([]byte, 0, s.last+s.last/8), line...)
		s.item[indent] = ' '
		return nil
	case indent > s.indent && s.item != nil:
		s.item = append(s.item, line...)
		return s.tooLong(s.item)
	case indent == 0:
		if err := s.endItem(); err != nil {
			return err
		}
		s.inItems = false
		return s.take(line)
	}
	return fmt.Errorf("line %d: neither an item of the list nor a field after it", s.line)
}

func (s *yamlStream) tooLong(object []byte) error {
	if len(object) > maxObject {
		return fmt.Errorf("line %d: an object is longer than %d MiB", s.line, maxObject>>20)
	}
	return nil
}

func (s *yamlStream) endItem() error {
	if s.item == nil {
		return nil
	}
	item := s.item
	s.item, s.last = nil, len(item)
	return s.emit(item, s.itemLine)
}

func (s *yamlStream) endDocument() error {
	if err := s.endItem(); err != nil {
		return err
	}
	head, line, isList := s.head, s.headLine, s.isList
	s.head, s.inItems, s.isList = nil, false, false
	if isList {
		asJSON, err := yaml.YAMLToJSONStrict(head)
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		return checkList(asJSON)
	}
	if onlyComments(head) {
		return nil
	}
	return s.whole(head, line)
}

func onlyComments(document []byte) bool {
	for line := range bytes.Lines(document) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// whole emits a document that is not a list in the form that was looked for; it may be
// one in another.
func (s *yamlStream) whole(document []byte, line int) error {
	if !bytes.Contains(document, []byte("items")) {
		return s.emit(document, line)
	}
	asJSON, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return fmt.Errorf("line %d: no YAML: %w", line, err)
	}
	stream := jsonStream{
		in:   bufio.NewReader(bytes.NewReader(asJSON)),
		emit: func(object []byte) error { return s.emit(object, line) },
	}
	return stream.run()
}
