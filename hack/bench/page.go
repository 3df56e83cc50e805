package main

import (
	"fmt"
	"os"
	"strings"
)

// update writes the text of a part between its two marks in a page.
func update(path, part, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page, err := replaced(string(data), part, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(page), 0o644) //nolint:gosec // a public page
}

func replaced(page, part, text string) (string, error) {
	begin, end := fmt.Sprintf("<!-- make bench writes %s from here -->\n", part), fmt.Sprintf("<!-- to here: %s -->\n", part)
	before, rest, found := strings.Cut(page, begin)
	_, after, ends := strings.Cut(rest, end)
	if !found || !ends || strings.Contains(after, begin) {
		return "", fmt.Errorf("want %q and %q once each, in this order", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after, nil
}
