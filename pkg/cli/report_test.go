package cli_test

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"tenantisolation.dev/scheduler/pkg/cli/report"
)

func reportOf(t *testing.T, input string, args ...string) *report.Data {
	t.Helper()
	got := run(t, input, append([]string{"report", "-o", "json", "-f", "-"}, args...)...)
	var data report.Data
	if err := json.Unmarshal([]byte(got.out), &data); err != nil {
		t.Fatalf("%v: %s%s", err, got.out, got.errOut)
	}
	return &data
}

// Whatever the judgement depends on is in the digest, with or without UIDs and resourceVersions.
func TestReportDigest(t *testing.T) {
	of := func(input string, args ...string) string { return reportOf(t, input, args...).Evidence.Digest }
	known := strings.NewReplacer("    name: web-0\n", "    name: web-0\n    uid: u-1\n    resourceVersion: \"7\"\n")
	base := known.Replace(separate())
	if once, again := of(base), of(base); once != again {
		t.Error("another digest of the same objects")
	}
	for what, changed := range map[string]string{
		"a pod on another node":                 strings.Replace(base, "nodeName: n2", "nodeName: n3", 1),
		"a pod on another node, as one version": strings.Replace(base, "nodeName: n1", "nodeName: n2", 1),
		"another resourceVersion":               strings.Replace(base, `resourceVersion: "7"`, `resourceVersion: "8"`, 1),
		"another label of a namespace":          strings.Replace(base, "tenant: acme", "tenant: initech", 1),
		"another handler":                       strings.Replace(base, "handler: kata-qemu", "handler: kata-clh", 1),
		"another policy":                        base + "---\n" + policyInForce(2, nil),
		"another cluster":                       base + "---\n" + namespace("kube-system") + "\n  uid: abc\n",
	} {
		if of(base) == of(changed) {
			t.Errorf("%s: the same digest", what)
		}
	}
	if of(base) == of(base, "--tenant-key=namespace") {
		t.Error("other tenants: the same digest")
	}
}

func TestReportSince(t *testing.T) {
	cluster := func(uid string, objects string) string {
		return objects + "---\n" + namespace("kube-system") + "\n  uid: " + uid + "\n"
	}
	first := run(t, cluster("abc", separate()), "report", "--html", "-f", "-")
	path := writeFile(t, "first.html", first.out)
	if again := reportOf(t, cluster("abc", separate()), "--since", path); !again.Changes.SameObjects || len(again.Past) != 1 {
		t.Errorf("the same cluster again: %+v, past %+v", again.Changes, again.Past)
	}
	moved := strings.Replace(separate(), "nodeName: n2", "nodeName: n1", 1)
	now := reportOf(t, cluster("abc", moved), "--since", path)
	if now.Changes.SameObjects || len(now.Changes.NodesChanged) != 2 || len(now.Changes.Began) != 1 {
		t.Errorf("a pod has moved: %+v", now.Changes)
	}
	unknown := writeFile(t, "unknown.html", run(t, separate(), "report", "--html", "-f", "-").out)
	if again := run(t, separate(), "report", "--html", "-f", "-", "--since", unknown); !strings.Contains(unfolded(again.errOut), "it is unknown whether they are of one cluster") {
		t.Errorf("of clusters without a UID: %s", again.errOut)
	}
	other := run(t, cluster("def", separate()), "report", "--html", "-f", "-", "--since", path)
	if other.status != 2 || !strings.Contains(other.errOut, "another cluster") {
		t.Errorf("another cluster: status %d, want 2: %s", other.status, other.errOut)
	}
}

func TestReportVerify(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := minisign.EncryptKey("secret", private)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := private.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("MINISIGN_PASSWORD", "secret")
	cluster := writeFile(t, "cluster.yaml", shared())
	dir := t.TempDir()
	for name, key := range map[string][]byte{"with a password": encrypted, "without a password": plain} {
		if name == "with a password" && testing.Short() {
			continue // the key is derived in seconds, on purpose
		}
		for _, form := range []string{"--html", "-o=json"} {
			if name == "with a password" && form == "--html" {
				continue
			}
			page := filepath.Join(dir, "page")
			signed := run(t, "", "report", form, "-f", cluster, "--sign-key", writeFile(t, "key", string(key)), "--signature", page+".minisig")
			if signed.status != 1 {
				t.Fatalf("%s: status %d, want that of a finding: %s", name, signed.status, signed.errOut)
			}
			if err := os.WriteFile(page, []byte(signed.out), 0o600); err != nil {
				t.Fatal(err)
			}
			for what, tc := range map[string]struct {
				args []string
				want int
				says string
			}{
				"the key":            {[]string{"--public-key", public.String()}, 0, "good, by the key"},
				"another key":        {[]string{"--public-key", stranger.String()}, 1, "not good"},
				"no key":             {nil, 2, "not judged"},
				"no such key":        {[]string{"--public-key", page + ".none"}, 2, "--public-key"},
				"the same objects":   {[]string{"--public-key", public.String(), "-f", cluster}, 0, "those of the files"},
				"other objects":      {[]string{"--public-key", public.String(), "-f", writeFile(t, "other.yaml", separate())}, 1, "not those of the files"},
				"no such signature":  {[]string{"--public-key", public.String(), "--signature", page + ".none"}, 2, "there is no signature"},
				"not of a signature": {[]string{"--public-key", public.String(), "--signature", cluster}, 2, "not a signature"},
			} {
				if got := run(t, "", append([]string{"report", "verify", page}, tc.args...)...); got.status != tc.want || !strings.Contains(got.out+got.errOut, tc.says) {
					t.Errorf("%s, %s, %s: status %d, want %d and %q:\n%s%s", name, form, what, got.status, tc.want, tc.says, got.out, got.errOut)
				}
			}
			changed := filepath.Join(dir, "changed")
			if err := os.WriteFile(changed, []byte(strings.Replace(signed.out, "ForeignResident", "NothingHappened", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := run(t, "", "report", "verify", changed, "--public-key", public.String(), "--signature", page+".minisig"); got.status != 1 || !strings.Contains(got.out, "not good") {
				t.Errorf("%s, %s: a changed report: status %d, want 1:\n%s%s", name, form, got.status, got.out, got.errOut)
			}
		}
	}
	if got := run(t, "", "report", "--html", "-f", cluster, "--sign-key", cluster); got.status != 2 || !strings.Contains(got.errOut, "need each other") {
		t.Errorf("a key without a file for the signature: status %d: %s", got.status, got.errOut)
	}
}

// Both sides of a finding are named, in every output.
func TestFindingsShowBothSides(t *testing.T) {
	input := list(node("n1"), namespace("shop", tenant("acme")), namespace("api", tenant("globex")), pod("api", "server", "n1"),
		pod("shop", "a", "n1"), pod("shop", "b", "n1"), pod("shop", "c", "n1"), pod("shop", "d", "n1"), pod("shop", "e", "n1"))
	for name, args := range map[string][]string{
		"text": {"audit"}, "wide": {"audit", "-o", "wide"}, "SARIF": {"audit", "-o", "sarif"}, "page": {"report", "--html"}, "JSON": {"audit", "-o", "json"},
	} {
		got := run(t, input, append(args, "-f", "-")...)
		before, _, _ := strings.Cut(got.out, `<script type="application/json"`)
		for _, text := range []string{"shop/a", "api/server"} {
			if !strings.Contains(before, text) {
				t.Errorf("%s: %s is not named:\n%s%s", name, text, got.out, got.errOut)
			}
		}
	}
}
