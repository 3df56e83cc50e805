// Package prune drops the parts of large JSON documents that nobody is going to read,
// before they are decoded: most of a pod is environment variables, mounts and status.
package prune

// Tree says which fields of an object are dropped. Lists are looked through: a field of
// a list's elements is found under the list's own name. The nil Tree drops nothing.
type Tree struct {
	fields map[string]*Tree
}

// dropped marks a field that is not read, nor anything below it.
var dropped = &Tree{}

// Drop returns the tree that drops the fields with these paths.
func Drop(paths ...[]string) *Tree {
	root := &Tree{fields: map[string]*Tree{}}
	for _, path := range paths {
		at := root
		for i, name := range path {
			if i == len(path)-1 {
				at.fields[name] = dropped
				break
			}
			next, ok := at.fields[name]
			if !ok {
				next = &Tree{fields: map[string]*Tree{}}
				at.fields[name] = next
			}
			at = next
		}
	}
	return root
}

// Field returns the tree for what is below a field, and whether the field is dropped
// with all that is below it.
func (t *Tree) Field(name []byte) (below *Tree, drop bool) {
	if t == nil || t.fields == nil {
		return nil, false
	}
	below = t.fields[string(name)]
	return below, below == dropped
}
