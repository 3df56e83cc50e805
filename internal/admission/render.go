package admission

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

//go:embed templates/*/*.yaml
var templates embed.FS

const header = "# Generated from the scheduler's configuration: change internal/admission/templates/%s, or the\n" +
	"# configuration, and run `go run ./hack/policies`.\n"

var placeholder = regexp.MustCompile(`\$\{[^}]*\}`)

// Render returns the manifests, by their path in the directory manifests.
func (c *Config) Render() (map[string]string, error) {
	names, err := fs.Glob(templates, "templates/*/*.yaml")
	if err != nil {
		return nil, err
	}
	values := c.values()
	unused := maps.Clone(values)
	rendered := make(map[string]string, len(names))
	for _, name := range names {
		text, err := templates.ReadFile(name)
		if err != nil {
			return nil, err
		}
		component, file := path.Base(path.Dir(name)), path.Base(name)
		var unknown []string
		expand := func(match string) string {
			key := match[2 : len(match)-1]
			value, ok := values[key]
			if !ok {
				unknown = append(unknown, key)
			}
			delete(unused, key)
			return value
		}
		// Twice: fragments have placeholders of their own.
		expanded := placeholder.ReplaceAllStringFunc(string(text), expand)
		expanded = placeholder.ReplaceAllStringFunc(expanded, expand)
		if len(unknown) > 0 {
			return nil, fmt.Errorf("template %s/%s: unknown names: %s", component, file, strings.Join(unknown, ", "))
		}
		rendered["components/"+component+"/policies/"+file] = fmt.Sprintf(header, component+"/"+file) + expanded
	}
	if len(unused) > 0 {
		return nil, fmt.Errorf("no template uses %s", strings.Join(slices.Sorted(maps.Keys(unused)), ", "))
	}
	for name, variant := range variants {
		if variant.contradicts(c.Args) {
			continue
		}
		if rendered[name], err = c.with(variant); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return rendered, nil
}
