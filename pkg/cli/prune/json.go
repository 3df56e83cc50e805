package prune

import (
	"bytes"
	"errors"
	"fmt"
)

// maxDepth is what the API server's decoder allows as well.
const maxDepth = 10000

// ErrTruncated says that the text ends within a value.
var ErrTruncated = errors.New("ends in the middle of a value: it is truncated")

// JSON appends one JSON value to dst, without white space and without what the tree
// drops, and returns what comes after the value. It looks at the structure alone: that
// numbers are numbers is for the decoder to say. A field that is there twice is an
// error, because two readers may take a different one of them.
func JSON(dst, src []byte, tree *Tree) (out, rest []byte, err error) {
	p := pruner{src: src, out: dst}
	if err := p.value(tree, true, 0); err != nil {
		return nil, nil, err
	}
	return p.out, p.src[p.pos:], nil
}

type pruner struct {
	src []byte
	pos int
	out []byte
}

func (p *pruner) space() {
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ', '\n', '\t', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *pruner) next() (byte, error) {
	p.space()
	if p.pos >= len(p.src) {
		return 0, ErrTruncated
	}
	return p.src[p.pos], nil
}

func (p *pruner) unexpected(what string) error {
	return fmt.Errorf("byte %d is %q where %s is expected", p.pos, p.src[p.pos], what)
}

func (p *pruner) emit(keep bool, b ...byte) {
	if keep {
		p.out = append(p.out, b...)
	}
}

func (p *pruner) value(tree *Tree, keep bool, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	c, err := p.next()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return p.object(tree, keep, depth)
	case '[':
		return p.array(tree, keep, depth)
	case '"':
		text, err := p.text()
		if err == nil {
			p.emit(keep, text...)
		}
		return err
	}
	begin := p.pos
	for p.pos < len(p.src) && isAtom(p.src[p.pos]) {
		p.pos++
	}
	if begin == p.pos {
		return p.unexpected("a value")
	}
	p.emit(keep, p.src[begin:p.pos]...)
	return nil
}

func isAtom(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// text returns a string with its quotes.
func (p *pruner) text() ([]byte, error) {
	begin := p.pos
	at := begin + 1
	for {
		i := bytes.IndexByte(p.src[at:], '"')
		if i < 0 {
			return nil, ErrTruncated
		}
		end := at + i
		backslashes := 0
		for end-1-backslashes >= at && p.src[end-1-backslashes] == '\\' {
			backslashes++
		}
		at = end + 1
		if backslashes%2 == 1 {
			continue
		}
		p.pos = at
		text := p.src[begin:at]
		if bytes.IndexByte(text, '\n') >= 0 {
			return nil, fmt.Errorf("the string at byte %d has a line break in it", begin)
		}
		return text, nil
	}
}

func (p *pruner) array(tree *Tree, keep bool, depth int) error {
	p.emit(keep, '[')
	p.pos++
	for first := true; ; first = false {
		c, err := p.next()
		if err != nil {
			return err
		}
		if c == ']' && first {
			break
		}
		if err := p.value(tree, keep, depth+1); err != nil {
			return err
		}
		if c, err = p.next(); err != nil {
			return err
		}
		if c == ']' {
			break
		}
		if c != ',' {
			return p.unexpected("a comma or ]")
		}
		p.emit(keep, ',')
		p.pos++
	}
	p.emit(keep, ']')
	p.pos++
	return nil
}

func (p *pruner) object(tree *Tree, keep bool, depth int) error {
	p.emit(keep, '{')
	p.pos++
	var seen Keys
	kept := false
	for first := true; ; first = false {
		c, err := p.next()
		if err != nil {
			return err
		}
		if c == '}' && first {
			break
		}
		if c != '"' {
			return p.unexpected("a field name")
		}
		key, err := p.text()
		if err != nil {
			return err
		}
		name := key[1 : len(key)-1]
		// An escaped name is somebody's trick: the API server writes none.
		if bytes.IndexByte(name, '\\') >= 0 && len(tree.names()) > 0 {
			return fmt.Errorf("field name %s is escaped", key)
		}
		if !seen.Add(name) {
			return fmt.Errorf("field %s is there twice", key)
		}
		if c, err = p.next(); err != nil {
			return err
		}
		if c != ':' {
			return p.unexpected("a colon")
		}
		p.pos++
		below, drop := tree.Field(name)
		keepField := keep && !drop
		if keepField {
			if kept {
				p.out = append(p.out, ',')
			}
			kept = true
			p.out = append(append(p.out, key...), ':')
		}
		if err := p.value(below, keepField, depth+1); err != nil {
			return err
		}
		if c, err = p.next(); err != nil {
			return err
		}
		if c == '}' {
			break
		}
		if c != ',' {
			return p.unexpected("a comma or }")
		}
		p.pos++
	}
	p.emit(keep, '}')
	p.pos++
	return nil
}

func (t *Tree) names() map[string]*Tree {
	if t == nil {
		return nil
	}
	return t.fields
}

// Keys notices a name that comes a second time. Sorted names, as the API server writes
// them, cost one comparison each.
type Keys struct {
	count int
	// few are the first names, beside the object that they are of and not on the heap.
	few  [32][]byte
	many map[string]bool
	// last is the last name; unsorted says that it did not come after all others.
	last     []byte
	unsorted bool
}

// Add reports whether the name is new. It keeps the slice.
func (k *Keys) Add(name []byte) bool {
	if !k.unsorted && (k.count == 0 || bytes.Compare(k.last, name) < 0) {
		k.last = name
		k.remember(name)
		return true
	}
	k.unsorted = true
	if k.has(name) {
		return false
	}
	k.remember(name)
	return true
}

func (k *Keys) has(name []byte) bool {
	for _, other := range k.few[:min(k.count, len(k.few))] {
		if bytes.Equal(other, name) {
			return true
		}
	}
	return k.many[string(name)]
}

func (k *Keys) remember(name []byte) {
	if k.count < len(k.few) {
		k.few[k.count] = name
	} else {
		if k.many == nil {
			k.many = map[string]bool{}
		}
		k.many[string(name)] = true
	}
	k.count++
}
