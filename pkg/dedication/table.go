package dedication

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// maxKey is how many characters the key of a node's entry has at most. Longer ones are of what is beside
// the entries.
const maxKey = 2

const (
	// termKey is the key of the leader's id.
	termKey = "term"
	// modeKey says whether nodes are dedicated: modeEnabled, or the fence lets everything through.
	modeKey, modeEnabled, modeDisabled = "dedication", "Enabled", "Disabled"
)

// maxTable is how many bytes the API server accepts in the values of a ConfigMap.
const maxTable = v1.MaxSecretSize

// errTableFull says what an administrator can do: the table does not grow with pods.
var errTableFull = errors.New("ConfigMap " + TableName + ": 1 MiB is full, no more nodes can be dedicated: " +
	"use shorter node names, or dedication.nodeReuse: Immediately and a shorter dedication.releaseAfter")

// entry is a dedicated node in the table.
type entry struct {
	// id is random for each dedication of a node.
	id string
	// boot identifies the boot in which the node's last pod ended. It is empty while the node
	// is in use, and always where nodes are reused without a reboot.
	boot string
}

// table is what the fence reads: the dedicated nodes, and the term of the writer.
type table struct {
	term    string
	entries map[string]entry
	// beside are other keys and values, which are not entries.
	beside map[string]string
}

// tableKey returns the key whose value holds a node's entry. Entries are spread over keys, because
// a shorter value costs less to search at each bind. Of a name with dots the first label counts,
// because names of one site have the same suffix: ip-10-0-3-41.ec2.internal.
func tableKey(node string) string {
	label, _, _ := strings.Cut(node, ".")
	return label[max(0, len(label)-2):]
}

// parseTable reads a ConfigMap's data. It skips damaged entries and returns an error for each.
func parseTable(data map[string]string) (table, []error) {
	t := table{term: data[termKey], entries: map[string]entry{}}
	var damage []error
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if len(key) > maxKey {
			continue
		}
		for field := range strings.FieldsSeq(data[key]) {
			node, e, err := parseEntry(field)
			_, twice := t.entries[node]
			switch {
			case err != nil:
			case tableKey(node) != key:
				err = fmt.Errorf("entry of node %q belongs to key %q", node, tableKey(node))
			case twice:
				err = fmt.Errorf("node %q has a second entry", node)
			}
			if err != nil {
				damage = append(damage, fmt.Errorf("ConfigMap %s, key %q: %w", TableName, key, err))
				continue
			}
			t.entries[node] = e
		}
	}
	return t, damage
}

func parseEntry(field string) (node string, e entry, err error) {
	node, rest, hasID := strings.Cut(field, "=")
	id, boot, hasBoot := strings.Cut(rest, ":")
	if !hasID || !hasBoot || node == "" || id == "" || strings.ContainsAny(boot, "=:") || strings.ContainsAny(id, "=") {
		return "", entry{}, fmt.Errorf("%q is not <node>=<id>:<boot>", field)
	}
	return node, entry{id: id, boot: boot}, nil
}

// data returns the table as a ConfigMap's data. Equal tables have equal data.
func (t table) data() map[string]string {
	values := map[string]*strings.Builder{}
	for _, node := range slices.Sorted(maps.Keys(t.entries)) {
		value := values[tableKey(node)]
		if value == nil {
			value = &strings.Builder{}
			values[tableKey(node)] = value
			value.WriteByte(' ')
		}
		e := t.entries[node]
		value.WriteString(node + "=" + e.id + ":" + e.boot + " ")
	}
	data := map[string]string{termKey: t.term}
	maps.Copy(data, t.beside)
	for key, value := range values {
		data[key] = value.String()
	}
	return data
}

// size returns an upper bound of the bytes in the table's values.
func (t table) size() int {
	size := len(t.term)
	for _, value := range t.beside {
		size += len(value)
	}
	for node, e := range t.entries {
		size += entrySize(node, e)
	}
	return size
}

// entrySize returns the bytes of an entry with both its blanks, although neighbours share one, so
// that the size of an entry does not depend on the others.
func entrySize(node string, e entry) int {
	return len(" ") + len(node) + len("=") + len(e.id) + len(":") + len(e.boot) + len(" ")
}
