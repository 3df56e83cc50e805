package blockyaml

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"
)

// printable reports whether text has no control characters in it, nor signs that YAML
// takes for line breaks.
func printable(text []byte) bool {
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffd || r == 0xfffe || r == 0xffff {
			return false
		}
		i += size
	}
	return true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// isReserved reports whether some YAML takes a word for something else than a string.
func isReserved(word []byte) bool {
	switch len(word) {
	case 1, 2, 3, 4, 5:
	default:
		return false
	}
	switch string(bytes.ToLower(word)) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan":
		return true
	}
	return false
}

// scalar reads a scalar that begins at this place, of a field or item indented so far.
func (p *parser) scalar(at, indent int, keep bool) error {
	switch c := p.src[at]; c {
	case '"':
		return p.doubleQuoted(at, indent, keep)
	case '\'':
		return p.singleQuoted(at, indent, keep)
	case '|':
		return p.literal(at, indent, keep)
	case '[', '{':
		text := p.rest(at)
		if string(text) != "[]" && string(text) != "{}" {
			return ErrUnsupported
		}
		p.emit(keep, text...)
		return p.endOfLine(at+len(text), indent)
	}
	return p.plain(at, indent, keep)
}

// endOfLine goes on to the next line. A line that is indented further would continue the
// scalar.
func (p *parser) endOfLine(at, indent int) error {
	p.pos = min(at+1, len(p.src))
	if next, ok := p.line(); ok && next > indent {
		return ErrUnsupported
	}
	return nil
}

func (p *parser) plain(at, indent int, keep bool) error {
	text := p.rest(at)
	if !printable(text) || text[len(text)-1] == ' ' {
		return ErrUnsupported
	}
	end := at + len(text)
	p.pos = min(end+1, len(p.src))
	// Emitters break long lines; the first line then is no number and no word alone.
	before := p.pos
	next, more := p.line()
	folded := more && next > indent
	kind := classify(text)
	switch {
	case kind == unsure, folded && kind != aString, folded && p.pos != before:
		return ErrUnsupported
	case kind == literally:
		p.emit(keep, text...)
		return nil
	}
	p.emit(keep, '"')
	p.escape(text, keep)
	for folded {
		text := p.rest(p.pos + next)
		if !printable(text) || !harmless(text) || text[len(text)-1] == ' ' {
			return ErrUnsupported
		}
		p.emit(keep, ' ')
		p.escape(text, keep)
		p.pos = min(p.pos+next+len(text)+1, len(p.src))
		before = p.pos
		next, more = p.line()
		folded = more && next > indent
		if folded && p.pos != before {
			return ErrUnsupported
		}
	}
	p.emit(keep, '"')
	return nil
}

type kind uint8

const (
	unsure kind = iota
	aString
	// literally: JSON says it in the same letters.
	literally
)

// classify says what a plain scalar is, if there is no doubt.
func classify(text []byte) kind {
	switch string(text) {
	case "true", "false", "null":
		return literally
	}
	if isReserved(text) || !harmless(text) {
		return unsure
	}
	c := text[0]
	switch {
	case isLetter(c) || c == '/' || c == '$' || c == '(' || c >= 0x80:
		return aString
	case c == '-' && len(text) > 1 && (isLetter(text[1]) || text[1] == '-'):
		return aString
	case c >= '0' && c <= '9':
		return classifyNumber(text)
	}
	return unsure
}

// harmless reports whether nothing in the text ends a plain scalar or begins a comment.
func harmless(text []byte) bool {
	if bytes.Contains(text, []byte(": ")) || bytes.Contains(text, []byte(" #")) || text[len(text)-1] == ':' {
		return false
	}
	switch text[0] {
	case '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', ' ', '=', '<':
		return false
	}
	return true
}

// classifyNumber judges what begins with a digit.
func classifyNumber(text []byte) kind {
	digits, dots, dashes := 0, 0, 0
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			dots++
		case c == '-':
			dashes++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == 'x', c == 'X', c == 'o', c == 'O',
			c == '+', c == ':', c == '_', c == 'T', c == 't', c == 'Z', c == 'z', c == ' ', c == 'p', c == 'P',
			c == 'i', c == 'I', c == 'n', c == 'N':
		default:
			// No number and no time has this in it.
			return aString
		}
	}
	switch {
	case digits == len(text) && len(text) <= 15 && (text[0] != '0' || len(text) == 1):
		return literally
	case digits+dots == len(text) && dots >= 2, dashes >= 3 && bytes.IndexByte(text, ':') < 0:
		// An address; a UID.
		return aString
	case bytes.ContainsAny(text, "_:-+ TtZz"):
		return unsure
	}
	if isNumber(string(text)) {
		return unsure
	}
	return aString
}

func isNumber(text string) bool {
	_, asInt := strconv.ParseInt(text, 0, 64)
	_, asUint := strconv.ParseUint(text, 0, 64)
	_, asFloat := strconv.ParseFloat(text, 64)
	// What is a number but too large is one of which parsers make different things.
	return asInt == nil || asUint == nil || asFloat == nil ||
		errors.Is(asInt, strconv.ErrRange) || errors.Is(asUint, strconv.ErrRange) || errors.Is(asFloat, strconv.ErrRange)
}

func (p *parser) escape(text []byte, keep bool) {
	if !keep {
		return
	}
	if bytes.IndexByte(text, '"') < 0 && bytes.IndexByte(text, '\\') < 0 {
		p.out = append(p.out, text...)
		return
	}
	for _, c := range text {
		if c == '"' || c == '\\' {
			p.out = append(p.out, '\\')
		}
		p.out = append(p.out, c)
	}
}

// nextQuoted goes on with a quoted scalar on the next line. One line break is a blank;
// more of them are for the complete parser.
func (p *parser) nextQuoted(end, indent int) (at int, err error) {
	p.pos = min(end+1, len(p.src))
	before := p.pos
	next, more := p.line()
	if !more || next <= indent || p.pos != before {
		return 0, ErrUnsupported
	}
	return p.pos + next, nil
}

func (p *parser) singleQuoted(at, indent int, keep bool) error {
	p.emit(keep, '"')
	at++
	for {
		text := p.rest(at)
		if !printable(text) {
			return ErrUnsupported
		}
		i := 0
		for {
			j := bytes.IndexByte(text[i:], '\'')
			if j < 0 {
				break
			}
			p.escape(text[i:i+j], keep)
			i += j + 1
			if i < len(text) && text[i] == '\'' {
				p.emit(keep, '\'')
				i++
				continue
			}
			if i != len(text) {
				return ErrUnsupported
			}
			p.emit(keep, '"')
			return p.endOfLine(at+i, indent)
		}
		line := text[i:]
		if len(text) == 0 || text[len(text)-1] == ' ' {
			return ErrUnsupported
		}
		p.escape(line, keep)
		p.emit(keep, ' ')
		next, err := p.nextQuoted(at+len(text), indent)
		if err != nil {
			return err
		}
		at = next
	}
}

func (p *parser) doubleQuoted(at, indent int, keep bool) error {
	p.emit(keep, '"')
	at++
	for {
		text := p.rest(at)
		if !printable(text) {
			return ErrUnsupported
		}
		folded := true
		for i := 0; i < len(text); i++ {
			switch c := text[i]; c {
			case '"':
				if i+1 != len(text) {
					return ErrUnsupported
				}
				p.emit(keep, '"')
				return p.endOfLine(at+i+1, indent)
			case '\\':
				if i+1 == len(text) {
					// The line break is none.
					folded = false
					break
				}
				if !p.escaped(text[i+1:], keep) {
					return ErrUnsupported
				}
				i++
			default:
				p.emit(keep, c)
			}
		}
		if folded {
			if len(text) == 0 || text[len(text)-1] == ' ' {
				return ErrUnsupported
			}
			p.emit(keep, ' ')
		}
		next, err := p.nextQuoted(at+len(text), indent)
		if err != nil {
			return err
		}
		at = next
	}
}

// escaped reads what comes after a backslash, one byte of it, if JSON says it likewise.
func (p *parser) escaped(text []byte, keep bool) bool {
	switch c := text[0]; c {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		p.emit(keep, '\\', c)
		return true
	case ' ':
		// How an emitter keeps a blank at a line break.
		p.emit(keep, ' ')
		return true
	case 'u':
		if len(text) < 5 {
			return false
		}
		// Halves of pairs are read in different ways.
		if code, err := strconv.ParseUint(string(text[1:5]), 16, 16); err != nil || code >= 0xd800 && code < 0xe000 {
			return false
		}
		p.emit(keep, '\\', 'u')
		return true
	}
	return false
}

// literal reads a block scalar that keeps its line breaks.
func (p *parser) literal(at, indent int, keep bool) error {
	var strip bool
	switch string(p.rest(at)) {
	case "|":
	case "|-":
		strip = true
	default:
		return ErrUnsupported
	}
	p.pos = min(at+len(p.rest(at))+1, len(p.src))
	before := p.pos
	block, ok := p.line()
	if !ok || block <= indent || p.pos != before {
		return ErrUnsupported
	}
	p.emit(keep, '"')
	empty := 0
	for first := true; p.pos < len(p.src); first = false {
		text := p.rest(p.pos)
		if len(bytes.TrimLeft(text, " ")) == 0 {
			if len(text) > block {
				return ErrUnsupported
			}
			empty++
			p.pos = min(p.pos+len(text)+1, len(p.src))
			continue
		}
		if len(text) <= block || len(bytes.TrimLeft(text[:block], " ")) > 0 {
			break
		}
		if !first {
			empty++
		}
		for ; empty > 0; empty-- {
			p.emit(keep, '\\', 'n')
		}
		line := text[block:]
		if line[0] == '\t' {
			return ErrUnsupported
		}
		for len(line) > 0 {
			tab := bytes.IndexByte(line, '\t')
			part := line
			if tab >= 0 {
				part = line[:tab]
			}
			if !printable(part) {
				return ErrUnsupported
			}
			p.escape(part, keep)
			if tab < 0 {
				break
			}
			p.emit(keep, '\\', 't')
			line = line[tab+1:]
		}
		p.pos = min(p.pos+len(text)+1, len(p.src))
	}
	if !strip {
		p.emit(keep, '\\', 'n')
	}
	p.emit(keep, '"')
	if next, ok := p.line(); ok && next > indent {
		return ErrUnsupported
	}
	return nil
}
