package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printable passes text on, with every character escaped that could command a terminal or reorder a line:
// names, messages and annotations come from a cluster, and tenants write some of them. The escape is that of
// JSON, so that JSON stays what it is. Every output of the tool goes through it.
type printable struct {
	out io.Writer
	// rest is the begin of a character whose end has not been written yet.
	rest []byte
	// err is the first error of the writer below.
	err error
}

// raw returns the writer below.
func raw(w io.Writer) io.Writer {
	if p, ok := w.(*printable); ok {
		return p.out
	}
	return w
}

// mark and a digit stand for a colour until they are written. The byte is in no text of a cluster: it is not UTF-8,
// which every decoder of JSON and YAML demands or makes.
const mark = '\xff'

// markOf returns the code of the colour with which a text begins, false if it begins with none.
func markOf[T []byte | string](text T) (code string, ok bool) {
	if len(text) < 2 || text[0] != mark || int(text[1])-'0' < 0 || int(text[1])-'0' >= len(colourCodes) {
		return "", false
	}
	return colourCodes[text[1]-'0'], true
}

// Write writes the escaped text.
func (p *printable) Write(text []byte) (int, error) {
	if len(p.rest) == 0 && plain(text) {
		n, err := p.out.Write(text)
		p.err = cmp.Or(p.err, err)
		return n, err
	}
	whole := append(p.rest, text...)
	escaped := make([]byte, 0, len(whole)+len(whole)/8)
	for len(whole) > 0 && utf8.FullRune(whole) && !bytes.Equal(whole, []byte{mark}) {
		if code, ok := markOf(whole); ok {
			escaped = append(escaped, "\x1b["+code+"m"...)
			whole = whole[2:]
			continue
		}
		r, size := utf8.DecodeRune(whole)
		escaped = appendPrintable(escaped, r)
		whole = whole[size:]
	}
	p.rest = append([]byte(nil), whole...)
	if _, err := p.out.Write(escaped); err != nil {
		p.err = cmp.Or(p.err, err)
		return 0, err
	}
	return len(text), nil
}

// plain reports whether all is printable ASCII.
func plain(text []byte) bool {
	for _, c := range text {
		if (c < ' ' && c != '\n' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

func appendPrintable(to []byte, r rune) []byte {
	switch {
	case !commands(r):
		return utf8.AppendRune(to, r)
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		return fmt.Appendf(to, `\u%04x\u%04x`, high, low)
	}
	return fmt.Appendf(to, `\u%04x`, r)
}

// commands reports whether a character does something else than being shown.
func commands(r rune) bool {
	return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// PrintError prints how a command ended.
func PrintError(out io.Writer, err error) {
	if err != nil && !Silent(err) {
		fmt.Fprintf(&printable{out: out}, "error: %v\n", err)
	}
}
