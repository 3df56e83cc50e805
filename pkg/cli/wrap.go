package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// columns is how long a line is for people.
const columns = 80

// printWrapped prints a text in lines that fit a narrow terminal. All but the first are indented. A word that is
// longer, such as a command, keeps a line of its own.
func printWrapped(out io.Writer, text string, indent int) {
	line, length := "", 0
	for word := range strings.FieldsSeq(text) {
		size := visible(word)
		if length > 0 && length+1+size > columns {
			fmt.Fprintln(out, line)
			line, length = strings.Repeat(" ", indent)+word, indent+size
			continue
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+size
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
