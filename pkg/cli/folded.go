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

// printCommand prints a command of a shell in lines that fit a narrow terminal, and that can be copied from it.
func printCommand(out io.Writer, indent, command string) {
	const goesOn = ` \`
	line := indent
	for i, word := range shellWords(command) {
		switch {
		case i == 0:
			line += word
		case utf8.RuneCountInString(line+" "+word+goesOn) > columns:
			fmt.Fprintln(out, line+goesOn)
			line = indent + "  " + word
		default:
			line += " " + word
		}
	}
	fmt.Fprintln(out, line)
}

// shellWords are the words of a command, with their quotes.
func shellWords(command string) []string {
	var words []string
	word, quoted, escaped := "", false, false
	for _, c := range command {
		if c == ' ' && !quoted {
			words, word = append(words, word), ""
			continue
		}
		if c == '\'' && !escaped {
			quoted = !quoted
		}
		escaped = c == '\\' && !quoted
		word += string(c)
	}
	return append(words, word)
}

// visible counts the letters that a terminal shows: marks of colours are none.
func visible(word string) int {
	letters := utf8.RuneCountInString(word)
	for i := range len(word) {
		if _, ok := markOf(word[i:]); ok {
			letters -= 2
		}
	}
	return letters
}
