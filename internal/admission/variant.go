package admission

import (
	"fmt"
	"reflect"
	"regexp"

	"tenantisolation.dev/scheduler/pkg/apis/config"
)

// variant is an argument that a component or an overlay changes.
type variant struct {
	why, line string
	set       func(*config.TenantIsolationArgs)
	// contradicts reports arguments that cannot be changed in this way: the variant is not rendered
	// for them.
	contradicts func(*config.TenantIsolationArgs) bool
}

// variants are the scheduler's configurations that differ from the base in one argument, by
// their path in the directory manifests.
var variants = map[string]variant{
	"components/dedication/scheduler-config.yaml": {
		why:         "A node is dedicated to the trust domain whose pod opens it.",
		line:        "claims: {mode: Enabled}",
		set:         func(args *config.TenantIsolationArgs) { args.Claims.Mode = config.ModeEnabled },
		contradicts: func(args *config.TenantIsolationArgs) bool { return args.Enforcement == config.EnforcementAudit },
	},
	"overlays/audit/scheduler-config.yaml": {
		why:         "What the rule refuses is reported, and placed nevertheless.",
		line:        "enforcement: Audit",
		set:         func(args *config.TenantIsolationArgs) { args.Enforcement = config.EnforcementAudit },
		contradicts: func(args *config.TenantIsolationArgs) bool { return args.Claims.Mode == config.ModeEnabled },
	},
}

const variantHeader = "# Generated from manifests/base/scheduler-config.yaml: change that, and run `go run ./hack/policies`.\n"

// argumentsKind is the line after which another argument is inserted.
var argumentsKind = regexp.MustCompile(`(?m)^( *)kind: *TenantIsolationArgs *$`)

// with returns the configuration with one argument changed, and everything else, comments
// included, as it was written.
func (c *Config) with(v variant) (string, error) {
	want := c.Args.DeepCopy()
	v.set(want)
	text := c.text
	if !reflect.DeepEqual(want, c.Args) {
		text = argumentsKind.ReplaceAllString(text, "${0}\n${1}# "+v.why+"\n${1}"+v.line)
	}
	got, err := ReadConfig([]byte(text), c.account)
	if err != nil {
		return "", fmt.Errorf("arguments with %q: %w", v.line, err)
	}
	if !reflect.DeepEqual(want, got.Args) {
		return "", fmt.Errorf("no place for %q: give the plugin arguments, with kind: TenantIsolationArgs on a line of its own", v.line)
	}
	return variantHeader + text, nil
}
