package isolation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packageFiles parses the package without its tests, whatever the platform they
// are for.
func packageFiles(t *testing.T) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) < 5 {
		t.Fatalf("found only %d files of the package", len(files))
	}
	return files
}

// constantsOf names the constants of a type, in the order of the source.
func constantsOf(t *testing.T, typeName string) []string {
	t.Helper()
	var names []string
	for _, file := range packageFiles(t) {
		for _, decl := range file.Decls {
			block, ok := decl.(*ast.GenDecl)
			if !ok || block.Tok != token.CONST {
				continue
			}
			current := ""
			for _, spec := range block.Specs {
				values, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				if ident, ok := values.Type.(*ast.Ident); ok {
					current = ident.Name
				} else if len(values.Values) > 0 {
					current = ""
				}
				for _, name := range values.Names {
					if current == typeName {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// checkEnum: the list of an enum has every constant of the source (but for the
// zero, where that is no member), each with a name of its own that reads back as it.
func checkEnum[T interface {
	~uint8
	comparable
	String() string
}](t *testing.T, typeName string, all []T, first T, parse func(string) (T, error),
) {
	t.Helper()
	if got, want := len(all)+int(first), len(constantsOf(t, typeName)); got != want {
		t.Errorf("the list of %s has %d values, the source %d constants", typeName, got, want)
	}
	names := map[string]bool{}
	for i, v := range all {
		if v != first+T(i) {
			t.Errorf("value %d of the list is %d, want %d", i, v, first+T(i))
		}
		if names[v.String()] || v.String() == "" || strings.EqualFold(v.String(), "unknown") {
			t.Errorf("%d is called %q, want a name of its own", v, v.String())
		}
		names[v.String()] = true
		if parse == nil {
			continue
		}
		if got, err := parse(v.String()); err != nil || got != v {
			t.Errorf("%q reads as %d and %v, want %d", v.String(), got, err, v)
		}
	}
	beyond := first + T(len(all))
	if got := beyond.String(); !strings.EqualFold(got, "unknown") {
		t.Errorf("%d, beyond all, is called %q", beyond, got)
	}
	if parse == nil {
		return
	}
	for _, bad := range []string{"", "unknown", beyond.String(), strings.ToUpper(all[0].String()), " " + all[0].String()} {
		if got, err := parse(bad); err == nil {
			t.Errorf("%q reads as %s", bad, got)
		} else if !strings.Contains(err.Error(), all[len(all)-1].String()) {
			t.Errorf("%q: %v: does not say what is possible", bad, err)
		}
	}
}

func TestEnumsAreCompleteAndReadBack(t *testing.T) {
	t.Run("Privilege", func(t *testing.T) {
		checkEnum(t, "Privilege", Privileges(), PrivilegeRestricted, ParsePrivilege)
	})
	t.Run("Boundary", func(t *testing.T) { checkEnum(t, "Boundary", Boundaries(), BoundaryContainer, ParseBoundary) })
	t.Run("Axis", func(t *testing.T) { checkEnum(t, "Axis", Axes(), AxisTenant, ParseAxis) })
	t.Run("Reason", func(t *testing.T) { checkEnum(t, "Reason", Reasons(), FactsIncomplete, nil) })
	t.Run("UserNamespace", func(t *testing.T) {
		checkEnum(t, "UserNamespace", []UserNamespace{UserNamespaceHost, UserNamespacePod}, UserNamespaceHost, nil)
	})
}

// The order of the enums is the order of trust.
func TestOrderedEnumsRise(t *testing.T) {
	if got := Privileges(); !slices.IsSorted(got) || got[0] != PrivilegeRestricted || got[len(got)-1] != PrivilegePrivileged {
		t.Errorf("privileges from %v", got)
	}
	if got := Boundaries(); !slices.IsSorted(got) || got[0] != BoundaryContainer || got[len(got)-1] != BoundaryVM {
		t.Errorf("boundaries from %v", got)
	}
}

func TestParsePreemptionReadsItsArguments(t *testing.T) {
	want := map[string]Preemption{"Never": PreemptNever, "SameTenant": PreemptSameTenant, "Any": PreemptAny}
	if got := len(constantsOf(t, "Preemption")); got != len(want) {
		t.Errorf("the source has %d constants, this test %d", got, len(want))
	}
	for text, preemption := range want {
		if got, err := ParsePreemption(text); err != nil || got != preemption {
			t.Errorf("%q reads as %d and %v, want %d", text, got, err, preemption)
		}
	}
	for _, bad := range []string{"", "never", "Always"} {
		if got, err := ParsePreemption(bad); err == nil || got != PreemptNever {
			t.Errorf("%q reads as %d and %v, want an error", bad, got, err)
		}
	}
}

func TestParseDemandReadsABoundaryOrANode(t *testing.T) {
	want := map[string]Demand{"node": {Node: true}}
	for _, b := range Boundaries() {
		want[b.String()] = Demand{Boundary: b}
	}
	for text, demand := range want {
		if got, err := ParseDemand(text); err != nil || got != demand {
			t.Errorf("%q reads as %+v and %v, want %+v", text, got, err, demand)
		}
	}
	for _, bad := range []string{"", "Node", "nodes", "unknown", "container,vm"} {
		if got, err := ParseDemand(bad); err == nil || got != (Demand{}) {
			t.Errorf("%q reads as %+v and %v, want an error", bad, got, err)
		}
	}
}

// The constant's name is what logs and metrics show.
func TestReasonsAreCalledAsTheirConstants(t *testing.T) {
	var got []string
	for r := Undecided; r <= Reasons()[len(Reasons())-1]; r++ {
		got = append(got, r.String())
	}
	if diff := cmp.Diff(constantsOf(t, "Reason"), got); diff != "" {
		t.Errorf("(-source +String):\n%s", diff)
	}
}

func TestReasonsAreWordedOrAdmit(t *testing.T) {
	for r := Undecided; r < Reason(len(Reasons())+2); r++ {
		known := r <= Reasons()[len(Reasons())-1]
		if worded := r.Sentence() != ""; known && worded == r.Admits() {
			t.Errorf("%s: admits %t, sentence %q: want exactly one of them", r, r.Admits(), r.Sentence())
		}
		if families := count(r.Admits(), r.AboutPod(), r.AboutResidents()); families > 1 {
			t.Errorf("%s is of %d families", r, families)
		}
		if !known && count(r.Admits(), r.AboutPod(), r.AboutResidents()) > 0 {
			t.Errorf("%d, beyond all, is of a family", r)
		}
	}
}

func TestHostAccessNamesEveryWay(t *testing.T) {
	ways := constantsOf(t, "HostAccess")
	names := map[string]bool{HostAccess(0).String(): true}
	all := HostAccess(0)
	for i := range ways {
		way := HostAccess(1) << i
		if names[way.String()] {
			t.Errorf("%s is called %q, as another", ways[i], way)
		}
		names[way.String()] = true
		all |= way
	}
	if got := strings.Count(all.String(), ", ") + 1; got != len(ways) {
		t.Errorf("all of them are %q: want %d names", all, len(ways))
	}
}
