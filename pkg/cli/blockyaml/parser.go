package blockyaml

import (
	"bytes"
	"errors"

	"tenantisolation.dev/scheduler/pkg/cli/prune"
)

// ErrUnsupported says that a complete parser has to read the text.
var ErrUnsupported = errors.New("not the plain YAML that kubectl prints")

// maxDepth is far beyond any object of Kubernetes.
const maxDepth = 200

// AppendJSON appends the JSON form of one YAML document to dst, without the fields that
// the tree drops. The document is a block mapping; its lines may all be indented.
func AppendJSON(dst, src []byte, tree *prune.Tree) ([]byte, error) {
	if len(src) == 0 || src[len(src)-1] != '\n' {
		// A text that breaks off within a scalar.
		return nil, ErrUnsupported
	}
	p := parser{src: src, out: dst}
	indent, ok := p.line()
	if !ok || p.isItem(indent) {
		return nil, ErrUnsupported
	}
	if err := p.mapping(indent, tree, true, 0); err != nil {
		return nil, err
	}
	if _, more := p.line(); more {
		return nil, ErrUnsupported
	}
	return p.out, nil
}

// parser stands at the begin of a line, between two calls of its methods.
type parser struct {
	src []byte
	pos int
	out []byte
}

// line skips empty lines and returns the indentation of the next one, false at the end.
func (p *parser) line() (indent int, ok bool) {
	for p.pos < len(p.src) {
		at := p.pos
		for at < len(p.src) && p.src[at] == ' ' {
			at++
		}
		if at == len(p.src) {
			p.pos = at
			return 0, false
		}
		if p.src[at] != '\n' {
			return at - p.pos, true
		}
		p.pos = at + 1
	}
	return 0, false
}

// isItem reports whether the line, indented so far, begins an item of a list.
func (p *parser) isItem(indent int) bool {
	at := p.pos + indent
	return p.src[at] == '-' && (at+1 == len(p.src) || p.src[at+1] == ' ' || p.src[at+1] == '\n')
}

func (p *parser) emit(keep bool, b ...byte) {
	if keep {
		p.out = append(p.out, b...)
	}
}

// rest returns the rest of the line from at, without its line break.
func (p *parser) rest(at int) []byte {
	if i := bytes.IndexByte(p.src[at:], '\n'); i >= 0 {
		return p.src[at : at+i]
	}
	return p.src[at:]
}

// mapping reads the fields that are indented as far as this one. The parser stands at the
// begin of the line, or, for the first field of a list's item, at the item.
func (p *parser) mapping(indent int, tree *prune.Tree, keep bool, depth int) error {
	if depth > maxDepth {
		return ErrUnsupported
	}
	p.emit(keep, '{')
	var seen prune.Keys
	kept := false
	for {
		key, after, err := p.key(p.pos + indent)
		if err != nil {
			return err
		}
		if !seen.Add(key) {
			return ErrUnsupported
		}
		below, drop := tree.Field(key)
		keepField := keep && !drop
		if keepField {
			if kept {
				p.out = append(p.out, ',')
			}
			kept = true
			p.out = append(p.out, '"')
			p.out = append(p.out, key...)
			p.out = append(p.out, '"', ':')
		}
		if err := p.value(after, indent, below, keepField, depth); err != nil {
			return err
		}
		next, ok := p.line()
		if !ok || next < indent || (next == indent && p.isItem(indent)) {
			break
		}
		if next > indent {
			return ErrUnsupported
		}
	}
	p.emit(keep, '}')
	return nil
}

// key reads a field's name, and returns where its value begins.
func (p *parser) key(at int) (key []byte, after int, err error) {
	text := p.rest(at)
	if len(text) == 0 {
		return nil, 0, ErrUnsupported
	}
	var end int // of the name with its quotes
	switch c := text[0]; c {
	case '"', '\'':
		i := bytes.IndexByte(text[1:], c)
		if i < 0 {
			return nil, 0, ErrUnsupported
		}
		key, end = text[1:1+i], i+2
		if bytes.ContainsAny(key, `\"`) || string(key) == "<<" {
			return nil, 0, ErrUnsupported
		}
	default:
		for end < len(text) && (text[end] != ':' || (end+1 < len(text) && text[end+1] != ' ')) {
			end++
		}
		key = text[:end]
		if !plainWord(key) {
			return nil, 0, ErrUnsupported
		}
	}
	if end >= len(text) || text[end] != ':' || !printable(key) || len(key) > 1024 {
		return nil, 0, ErrUnsupported
	}
	after = end + 1
	switch {
	case after == len(text):
	case text[after] == ' ':
		for after < len(text) && text[after] == ' ' {
			after++
		}
	default:
		return nil, 0, ErrUnsupported
	}
	return key, at + after, nil
}

// plainWord reports whether text is a string without quotes for every YAML: letters,
// digits and harmless signs, beginning with a letter, and no word for a boolean or null.
func plainWord(text []byte) bool {
	if len(text) == 0 || !isLetter(text[0]) || isReserved(text) {
		return false
	}
	for _, c := range text {
		if !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != '/' && c != ':' {
			return false
		}
	}
	return true
}

// value reads what comes after a field's name: on the same line, or below it.
func (p *parser) value(at, indent int, tree *prune.Tree, keep bool, depth int) error {
	text := p.rest(at)
	if len(text) > 0 {
		return p.scalar(at, indent, keep)
	}
	p.pos = min(at+1, len(p.src))
	next, ok := p.line()
	switch {
	case !ok || next < indent:
	case p.isItem(next):
		// A list may be indented no further than the field that it is the value of.
		return p.list(next, tree, keep, depth+1)
	case next > indent:
		return p.mapping(next, tree, keep, depth+1)
	}
	p.emit(keep, []byte("null")...)
	return nil
}

// list reads the items that are indented as far as this one.
func (p *parser) list(indent int, tree *prune.Tree, keep bool, depth int) error {
	if depth > maxDepth {
		return ErrUnsupported
	}
	p.emit(keep, '[')
	for first := true; ; first = false {
		if !first {
			p.emit(keep, ',')
		}
		if err := p.item(indent, tree, keep, depth); err != nil {
			return err
		}
		next, ok := p.line()
		if !ok || next < indent || (next == indent && !p.isItem(indent)) {
			break
		}
		if next > indent {
			return ErrUnsupported
		}
	}
	p.emit(keep, ']')
	return nil
}

func (p *parser) item(indent int, tree *prune.Tree, keep bool, depth int) error {
	at := p.pos + indent + 1
	for at < len(p.src) && p.src[at] == ' ' {
		at++
	}
	text := p.rest(at)
	if len(text) == 0 {
		return ErrUnsupported
	}
	inner := at - p.pos
	if p.isItem(inner) {
		return p.list(inner, tree, keep, depth+1)
	}
	if _, _, err := p.key(at); err == nil {
		return p.mapping(inner, tree, keep, depth+1)
	}
	return p.scalar(at, indent, keep)
}
