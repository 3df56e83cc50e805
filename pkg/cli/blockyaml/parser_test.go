package blockyaml

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/pkg/cli/prune"
)

func TestAppendJSON(t *testing.T) {
	tests := map[string]struct {
		text string
		want string // empty: not supported
	}{
		"fields and lists": {
			text: "a: b\nlist:\n- one\n- x: 1\n  z: true\ndeep:\n  er: null\n",
			want: `{"a":"b","list":["one",{"x":1,"z":true}],"deep":{"er":null}}`,
		},
		"a list may be indented below its field":     {text: "a:\n  - b\n  - c\n", want: `{"a":["b","c"]}`},
		"a list in a list":                           {text: "a:\n- - 1\n  - 2\n- []\n", want: `{"a":[[1,2],[]]}`},
		"a field without a value is null":            {text: "a:\nb: {}\n", want: `{"a":null,"b":{}}`},
		"quotes":                                     {text: "a: \"x\\ny\"\nb: 'it''s'\n", want: `{"a":"x\ny","b":"it's"}`},
		"a literal block":                            {text: "a: |\n  one\n\n   two\nb: |-\n  c\n", want: `{"a":"one\n\n two\n","b":"c"}`},
		"long lines that were broken":                {text: "a: one\n  two\nb: 'x\n  y'\nc: \"x\\\n  \\ y\"\n", want: `{"a":"one two","b":"x y","c":"x y"}`},
		"addresses, UIDs and quantities are strings": {text: "a: 10.0.0.1\nb: 0a1b-2-3-4-5\nc: 100m\nd: 2Gi\n", want: `{"a":"10.0.0.1","b":"0a1b-2-3-4-5","c":"100m","d":"2Gi"}`},
		"an anchor needs a complete parser":          {text: "a: &x b\n"},
		"a comment needs a complete parser":          {text: "a: b # c\n"},
		"a comment line needs a complete parser":     {text: "a: b\n# c\n"},
		"a flow list needs a complete parser":        {text: "a: [b]\n"},
		"a tag needs a complete parser":              {text: "a: !!str b\n"},
		"a word that may be a boolean is not judged": {text: "a: yes\n"},
		"a number that may be octal is not judged":   {text: "a: 0777\n"},
		"a time is not judged":                       {text: "a: 2024-01-01\n"},
		"a field that is there twice is not judged":  {text: "a: b\na: c\n"},
		"a tab is not judged":                        {text: "a:\n\tb: c\n"},
		"a text that breaks off is not judged":       {text: "a: |\n  b"},
		"a second document is not judged":            {text: "a: b\n---\nc: d\n"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := AppendJSON(nil, []byte(tc.text), nil)
			if tc.want == "" {
				if !errors.Is(err, ErrUnsupported) {
					t.Errorf("AppendJSON = %s, %v, want ErrUnsupported", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendJSONDropsFields(t *testing.T) {
	tree := prune.Drop([]string{"spec", "containers", "env"}, []string{"status"})
	text := "spec:\n  containers:\n  - env:\n    - name: \"a: b\"\n      value: |\n        status: x\n    name: c\n  - env: []\nstatus:\n  phase: Running\nz: 1\n"
	got, err := AppendJSON(nil, []byte(text), tree)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"spec":{"containers":[{"name":"c"},{}]},"z":1}`, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// agree fails if AppendJSON reads a text in another way than the complete parser.
func agree(t *testing.T, text []byte) (accepted bool) {
	t.Helper()
	got, err := AppendJSON(nil, text, nil)
	if err != nil {
		return false
	}
	want, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatalf("accepted what the complete parser refuses: %v\n%q", err, text)
	}
	var gotValue, wantValue any
	if err := json.Unmarshal(got, &gotValue); err != nil {
		t.Fatalf("no JSON: %v\n%s\n%q", err, got, text)
	}
	if err := json.Unmarshal(want, &wantValue); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantValue, gotValue); diff != "" {
		t.Fatalf("%q (-complete parser +AppendJSON):\n%s", text, diff)
	}
	return true
}

func TestAppendJSONReadsWhatKubectlPrints(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	accepted, all := 0, 5000
	for range all {
		text, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "spec": randomValue(random, 4)})
		if err != nil {
			// It reads JSON as YAML first, and cannot read all of it.
			continue
		}
		if agree(t, text) {
			accepted++
		} else if testing.Verbose() && accepted%100 == 0 {
			t.Logf("not supported:\n%s", text)
		}
	}
	// The others have folded line breaks and signs in them that no object has.
	if accepted < all/2 {
		t.Errorf("%d of %d documents were read without the complete parser, want more than half", accepted, all)
	}
}

func randomValue(random *rand.Rand, depth int) any {
	if depth > 0 {
		switch random.IntN(3) {
		case 0:
			object := map[string]any{}
			for range random.IntN(5) {
				object[randomText(random)] = randomValue(random, depth-1)
			}
			return object
		case 1:
			list := []any{}
			for range random.IntN(4) {
				list = append(list, randomValue(random, depth-1))
			}
			return list
		}
	}
	switch random.IntN(8) {
	case 0:
		return random.IntN(2) == 0
	case 1:
		return random.IntN(100000)
	case 2:
		return nil
	case 3:
		return fmt.Sprintf("%d.%d.%d.%d", random.IntN(256), random.IntN(256), random.IntN(256), random.IntN(256))
	case 4:
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", random.Uint32(), random.IntN(65536), random.IntN(65536), random.IntN(65536), random.Uint64N(1<<48))
	}
	return randomText(random)
}

func randomText(random *rand.Rand) string {
	words := []string{
		"app", "kubernetes.io/name", "web-0", "1", "y", "no", "null", "100m", "512Mi", "a: b", "it's", `"x"`,
		"http://example.com:80/a?b#c", "-x", "--flag=1", "#", "{}", "[a]", "é", "10.0.0.0/8", "sha256:0f", "1e3", "0x1f", "~", "\\",
	}
	text := words[random.IntN(len(words))]
	for range random.IntN(3) {
		text += []string{"", " ", "-", "\n", "\n  ", "\t"}[random.IntN(6)] + words[random.IntN(len(words))]
	}
	if random.IntN(10) == 0 {
		text = strings.Repeat(text+" ", 20)
	}
	return text
}

func FuzzAppendJSON(f *testing.F) {
	for _, seed := range []string{
		"a: b\nlist:\n- one\n- x: 1\n  y: true\n", "a: |-\n  one\n\n   two\nb: 'it''s\n  x'\n", "- a\n", "a:\n- - 1\n  - \"\\u00e9\\\n    \\ b\"\n",
		"a: 10.0.0.1\nb: 0a1b-2-3-4-5\nc: 100m\nd: \"6e12\"\n", "? a\n", "a: b\n c\n", "\"<<\": {}\n", "a: 'x'  \n", "  a:\n  - b\n", "a: !!binary x\n",
		"a: 1:30\nb: 0b1\nc: 1_0\n", "a: \"\\x41\\/\"\n", "a:\n  b\n", "a: |+\n  x\n\n", "a: >\n  x\n  y\n", "%YAML 1.1\n---\na: b\n", "a: \u2028b\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) { agree(t, text) })
}
