package app

import "testing"

func TestJoin(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second bool
		fails         bool
	}{
		"no profile dedicates":         {},
		"the first profile dedicates":  {first: true, fails: true},
		"the second profile dedicates": {second: true, fails: true},
		"both dedicate":                {first: true, second: true, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			var p Process
			audits, err := p.join(tc.first)
			if err != nil || !audits {
				t.Fatalf("the first profile: audits %t, %v", audits, err)
			}
			audits, err = p.join(tc.second)
			if (err != nil) != tc.fails {
				t.Errorf("the second profile: %v, want an error: %t", err, tc.fails)
			}
			if audits {
				t.Error("the second profile audits as well")
			}
		})
	}
}
