package inventory

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"tenantisolation.dev/scheduler/pkg/cli/prune"
)

// maxObject is more than an API server stores for one object, in bytes.
const maxObject = 64 << 20

// jsonStream cuts a stream of JSON documents into objects, and lists into their items.
type jsonStream struct {
	in   *bufio.Reader
	emit func(object []byte) error
	// last is how long the last item was: the next one is likely to be as long.
	last int
}

func (s *jsonStream) run() error {
	for {
		c, err := s.peek()
		switch {
		case errors.Is(err, prune.ErrTruncated):
			return nil
		case err != nil:
			return err
		case c != '{':
			return fmt.Errorf("%q where an object is expected", c)
		}
		if err := s.document(); err != nil {
			return err
		}
	}
}

// peek returns the next byte that is no white space.
func (s *jsonStream) peek() (byte, error) {
	for {
		c, err := s.in.ReadByte()
		if errors.Is(err, io.EOF) {
			return 0, prune.ErrTruncated
		}
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\n', '\t', '\r':
		default:
			return c, s.in.UnreadByte()
		}
	}
}

func (s *jsonStream) expect(want byte) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != want {
		return fmt.Errorf("%q where %q is expected", c, want)
	}
	_, err = s.in.ReadByte()
	return err
}

func (s *jsonStream) document() error {
	if err := s.expect('{'); err != nil {
		return err
	}
	head := []byte{'{'}
	isList := false
	seen := map[string]bool{}
	for {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if c == '}' && len(seen) == 0 {
			break
		}
		key, err := s.value(nil)
		if err != nil {
			return err
		}
		name := string(key)
		if c != '"' || seen[name] {
			return fmt.Errorf("%s: a field's name is expected, and each one once", shown(name))
		}
		seen[name] = true
		if err := s.expect(':'); err != nil {
			return err
		}
		c, err = s.peek()
		if err != nil {
			return err
		}
		if name == `"items"` && c == '[' {
			isList = true
			if err := s.items(); err != nil {
				return err
			}
		} else {
			if len(head) > 1 {
				head = append(head, ',')
			}
			head = append(append(head, key...), ':')
			if head, err = s.value(head); err != nil {
				return err
			}
		}
		if c, err = s.peek(); err != nil {
			return err
		}
		if c == '}' {
			break
		}
		if err := s.expect(','); err != nil {
			return err
		}
	}
	if err := s.expect('}'); err != nil {
		return err
	}
	head = append(head, '}')
	if isList {
		return checkList(head)
	}
	return s.emit(head)
}

// checkList judges what is around the items of a list.
func checkList(head []byte) error {
	var meta struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Continue string `json:"continue"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(head, &meta); err != nil {
		return err
	}
	switch {
	case meta.Kind == "":
		return errors.New("the list ends without its kind: it is truncated")
	case !strings.HasSuffix(meta.Kind, "List"):
		return fmt.Errorf("kind %s has items and is no list", shown(meta.Kind))
	case meta.Metadata.Continue != "":
		return errors.New("metadata.continue is set: the list is one page of several, take it again without a limit")
	}
	return nil
}

func (s *jsonStream) items() error {
	if err := s.expect('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if c == ']' && first {
			break
		}
		item, err := s.value(make([]byte, 0, s.last+s.last/8))
		if err != nil {
			return err
		}
		s.last = len(item)
		if err := s.emit(item); err != nil {
			return err
		}
		if c, err = s.peek(); err != nil {
			return err
		}
		if c == ']' {
			break
		}
		if err := s.expect(','); err != nil {
			return err
		}
	}
	return s.expect(']')
}

// value appends one value as it is. It looks for its end alone.
func (s *jsonStream) value(dst []byte) ([]byte, error) {
	c, err := s.peek()
	if err != nil {
		return nil, err
	}
	nested := c == '{' || c == '['
	depth, quoted, escaped := 0, c == '"', false
	begin := len(dst)
	if quoted {
		if _, err := s.in.ReadByte(); err != nil {
			return nil, err
		}
		dst = append(dst, c)
	}
	for {
		if s.in.Buffered() == 0 {
			if _, err := s.in.Peek(1); errors.Is(err, io.EOF) {
				if !nested && !quoted {
					return dst, nil
				}
				return nil, prune.ErrTruncated
			} else if err != nil {
				return nil, err
			}
		}
		buffered, err := s.in.Peek(s.in.Buffered())
		if err != nil {
			return nil, err
		}
		for i, c := range buffered {
			end := -1
			switch {
			case escaped:
				escaped = false
			case quoted:
				switch c {
				case '\\':
					escaped = true
				case '"':
					quoted = false
					if !nested {
						end = i + 1
					}
				}
			case c == '"':
				quoted = true
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth--
				if nested && depth == 0 {
					end = i + 1
				} else if !nested {
					end = i
				}
			case !nested && (c == ',' || c == ':' || c == ' ' || c == '\n' || c == '\r' || c == '\t'):
				end = i
			}
			if end < 0 {
				continue
			}
			dst = append(dst, buffered[:end]...)
			_, err := s.in.Discard(end)
			if err == nil && len(dst) == begin {
				err = errors.New("a value is missing")
			}
			return dst, err
		}
		dst = append(dst, buffered...)
		if len(dst)-begin > maxObject {
			return nil, fmt.Errorf("an object is longer than %d MiB", maxObject>>20)
		}
		if _, err := s.in.Discard(len(buffered)); err != nil {
			return nil, err
		}
	}
}
