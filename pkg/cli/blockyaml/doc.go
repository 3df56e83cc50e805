// Package blockyaml turns YAML into JSON, fast, where the YAML is as simple as what
// kubectl prints: block mappings and lists, and scalars of which nobody can doubt what
// they are. It says ErrUnsupported to everything else (anchors, tags, flow collections,
// comments, words that one version of YAML takes for a boolean and another does not),
// and the caller asks a complete parser.
//
// What it accepts is what sigs.k8s.io/yaml makes of the same text; a fuzz test holds it
// to that. It is for text that is a hundred times as long as people write: a complete
// parser reads 5 to 10 MB a second.
package blockyaml
