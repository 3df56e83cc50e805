package performance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	schedulerconfig "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/validation"
	"sigs.k8s.io/yaml"

	_ "tenantisolation.dev/scheduler/pkg/plugins/tenantisolation" // registers its arguments
)

// parsed is the part of scheduler_perf's file that says what it reads and measures.
type parsed struct {
	Name                   string
	Labels                 []string
	SchedulerConfigPath    string
	DefaultPodTemplatePath string
	FeatureGates           map[string]bool
	WorkloadTemplate       []map[string]any
	Workloads              []struct {
		Name   string
		Params map[string]int
	}
}

func parse(t *testing.T) []parsed {
	t.Helper()
	config, err := Config("templates", []int{500, 5000})
	if err != nil {
		t.Fatal(err)
	}
	var cases []parsed
	if err := yaml.UnmarshalStrict(config, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestVariantsDifferInTheSchedulerAlone(t *testing.T) {
	byName := map[string]parsed{}
	for _, c := range parse(t) {
		// The one difference between pods.
		for _, op := range c.WorkloadTemplate {
			if p, ok := op["podTemplatePath"].(string); ok {
				op["podTemplatePath"] = strings.ReplaceAll(p, "pod-anti-affinity.yaml", "pod.yaml")
			}
		}
		byName[c.Name] = c
	}
	for _, variant := range []string{AntiAffinity, AntiAffinityFastPath, Plugin} {
		if diff := cmp.Diff(byName[None].WorkloadTemplate, byName[variant].WorkloadTemplate); diff != "" {
			t.Errorf("%s: (-none +%s):\n%s", variant, variant, diff)
		}
	}
	if !byName[AntiAffinityFastPath].FeatureGates["InterPodAffinityHostnameFastPath"] {
		t.Errorf("%s does not turn the gate on", AntiAffinityFastPath)
	}
	if byName[Plugin].SchedulerConfigPath == "" {
		t.Errorf("%s runs the stock scheduler", Plugin)
	}
	pod, term := read(t, "pod.yaml"), read(t, "pod-anti-affinity.yaml")
	term = regexp.MustCompile(`(?s)  affinity:.*(  containers:)`).ReplaceAllString(term, "$1")
	term = regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(term, "")
	if diff := cmp.Diff(pod, term); diff != "" {
		t.Errorf("the pods differ in more than the term (-pod.yaml +pod-anti-affinity.yaml):\n%s", diff)
	}
}

func TestCasesMeasureThePodsTheyWaitFor(t *testing.T) {
	for _, c := range parse(t) {
		count := 0
		collecting := false
		for _, op := range c.WorkloadTemplate {
			switch op["opcode"] {
			case "startCollectingMetrics":
				collecting = true
			case "stopCollectingMetrics":
				collecting = false
			case "createPods":
				if namespace, _ := op["namespace"].(string); collecting && strings.HasPrefix(namespace, "measured-") {
					n, _ := op["count"].(float64)
					count += int(n)
				}
			}
		}
		if count != pods || collecting {
			t.Errorf("%s: %d pods are measured, want %d; still collecting at the end: %v", c.Name, count, pods, collecting)
		}
	}
}

func TestCasesNameFilesThatParse(t *testing.T) {
	named := map[string]bool{}
	for _, c := range parse(t) {
		files := []string{c.DefaultPodTemplatePath}
		for _, op := range c.WorkloadTemplate {
			for key, value := range op {
				switch value := value.(type) {
				case string:
					if strings.HasSuffix(strings.ToLower(key), "templatepath") {
						files = append(files, value)
					}
				case []any:
					if key == "templatePaths" {
						for _, file := range value {
							files = append(files, file.(string))
						}
					}
				}
			}
		}
		for _, file := range files {
			named[filepath.Base(file)] = true
			functions := template.FuncMap{}
			for _, name := range []string{"AddInt", "MultiplyInt", "Mod"} {
				functions[name] = func(a, b int) int { return a + b }
			}
			tmpl, err := template.New("").Funcs(functions).Parse(read(t, filepath.Base(file)))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var text strings.Builder
			err = tmpl.Execute(&text, map[string]any{"Index": 1, "Count": 2, "kind": "k", "tenant": "t", "number": 1, "of": 10})
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var object map[string]any
			if err := yaml.UnmarshalStrict([]byte(text.String()), &object); err != nil || object["kind"] == nil {
				t.Errorf("%s: %v\n%s", file, err, text.String())
			}
		}
		if c.SchedulerConfigPath != "" {
			named[filepath.Base(c.SchedulerConfigPath)] = true
			obj, _, err := scheme.Codecs.UniversalDecoder().Decode([]byte(read(t, filepath.Base(c.SchedulerConfigPath))), nil, nil)
			if err != nil {
				t.Fatalf("%s: %v", c.SchedulerConfigPath, err)
			}
			if err := validation.ValidateKubeSchedulerConfiguration(obj.(*schedulerconfig.KubeSchedulerConfiguration)); err != nil {
				t.Errorf("%s: %v", c.SchedulerConfigPath, err)
			}
		}
	}
	all, err := os.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if !named[file.Name()] {
			t.Errorf("templates/%s is used by no case", file.Name())
		}
	}
}

// scheduler_perf refuses parameters that a case does not use, and names that are not unique.
func TestCasesUseEveryParameter(t *testing.T) {
	names := map[string]bool{}
	for _, c := range parse(t) {
		if names[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		names[c.Name] = true
		used := map[string]bool{}
		for _, op := range c.WorkloadTemplate {
			if param, ok := op["countParam"].(string); ok {
				used[strings.TrimPrefix(param, "$")] = true
			}
		}
		for _, w := range c.Workloads {
			for param := range w.Params {
				if !used[param] {
					t.Errorf("%s: parameter %s is not used", c.Name, param)
				}
			}
			if len(used) != len(w.Params) {
				t.Errorf("%s: uses parameters %v, has %v", c.Name, used, w.Params)
			}
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("templates", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
