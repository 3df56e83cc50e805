package dedication

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var compareTables = cmp.AllowUnexported(table{}, entry{})

// What the fence's policies read is exactly this.
func TestTableData(t *testing.T) {
	got := table{term: "t1", entries: map[string]entry{
		"node-12": {id: "aaaa"},
		"web-12":  {id: "bbbb", boot: "cafe"},
		"x":       {id: "cccc"},
		"term":    {id: "dddd"},
		// The suffix that machines of one site share is no part of the key.
		"ip-10-0-3-41.ec2.internal": {id: "eeee"},
		"b.ec2.internal":            {id: "ffff"},
	}}.data()
	want := map[string]string{
		"term": "t1",
		"12":   " node-12=aaaa: web-12=bbbb:cafe ",
		"x":    " x=cccc: ",
		"rm":   " term=dddd: ",
		"41":   " ip-10-0-3-41.ec2.internal=eeee: ",
		"b":    " b.ec2.internal=ffff: ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("data (-want +got):\n%s", diff)
	}
}

func TestParseTableSkipsDamage(t *testing.T) {
	tests := map[string]struct {
		data       map[string]string
		want       map[string]entry
		wantDamage int
	}{
		"no data":                     {nil, map[string]entry{}, 0},
		"more blanks than needed":     {map[string]string{"n1": "  n1=a:   "}, map[string]entry{"n1": {id: "a"}}, 0},
		"no id":                       {map[string]string{"n1": " n1=: "}, map[string]entry{}, 1},
		"no boot":                     {map[string]string{"n1": " n1=a "}, map[string]entry{}, 1},
		"no node":                     {map[string]string{"n1": " =a: "}, map[string]entry{}, 1},
		"under the key of another":    {map[string]string{"n2": " n1=a: "}, map[string]entry{}, 1},
		"two entries of one node":     {map[string]string{"n1": " n1=a: n1=b: "}, map[string]entry{"n1": {id: "a"}}, 1},
		"one damaged among good ones": {map[string]string{"n1": " n1=a: ? xn1=b:c "}, map[string]entry{"n1": {id: "a"}, "xn1": {id: "b", boot: "c"}}, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, damage := parseTable(tc.data)
			if diff := cmp.Diff(tc.want, got.entries, compareTables); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if len(damage) != tc.wantDamage {
				t.Errorf("damage %v, want %d", damage, tc.wantDamage)
			}
		})
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add("n1", "a", "b", "12", " n1=a:b ")
	f.Add("x", "aa", "", "n1", " n1=: =:: ")
	f.Fuzz(func(t *testing.T, node, id, boot, key, value string) {
		read, _ := parseTable(map[string]string{key: value, termKey: "t"})
		again, damage := parseTable(read.data())
		if len(damage) > 0 {
			t.Errorf("the table read from %q is damaged when written: %v", value, damage)
		}
		if diff := cmp.Diff(read, again, compareTables); diff != "" {
			t.Errorf("read from %q (-once +twice):\n%s", value, diff)
		}
		if key == termKey || node == "" || id == "" || strings.ContainsAny(node+id+boot, "=:") || len(strings.Fields(node+id+boot)) != 1 || strings.Fields(node + id + boot)[0] != node+id+boot {
			return
		}
		read.entries[node] = entry{id: id, boot: boot}
		data := read.data()
		if !strings.Contains(data[tableKey(node)], fmt.Sprintf(" %s=%s:", node, id)) {
			t.Errorf("the fence finds no entry of %q in %q", node, data)
		}
		total := 0
		for _, value := range data {
			total += len(value)
		}
		if total > read.size() {
			t.Errorf("size %d, want at least %d", read.size(), total)
		}
	})
}

func TestTableHolds15000Nodes(t *testing.T) {
	full := table{term: newID(26), entries: map[string]entry{}}
	for i := range 15_000 {
		full.entries[fmt.Sprintf("ip-10-%03d-%03d.eu-west-1.compute", i/250, i%250)] = entry{id: newID(idLength), boot: "0123456789"}
	}
	if full.size() > maxTable {
		t.Errorf("%d bytes, want at most %d", full.size(), maxTable)
	}
}
