package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// columns is how wide a terminal is that nobody has made wider.
const columns = 80

// printFolded prints a text in lines that fit a narrow terminal: the first begins with one indent, the
// others with another. A word that is longer, such as a command, keeps a line of its own.
func printFolded(out io.Writer, first, others, text string) {
	line, width, words := first, len(first), 0
	for word := range strings.FieldsSeq(text) {
		letters := visible(word)
		switch {
		case words == 0:
			line, width = line+word, width+letters
		case width+1+letters > columns:
			fmt.Fprintln(out, line)
			line, width = others+word, len(others)+letters
		default:
			line, width = line+" "+word, width+1+letters
		}
		words++
	}
	fmt.Fprintln(out, line)
}

// visible counts the letters that a terminal shows: marks of colours are none.
func visible(word string) int {
	marks := 0
	for _, c := range word {
		if c >= firstMark && c < firstMark+rune(len(colourCodes)) {
			marks++
		}
	}
	return utf8.RuneCountInString(word) - marks
}
