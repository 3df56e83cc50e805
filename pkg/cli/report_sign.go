package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"aead.dev/minisign"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tenantisolation.dev/scheduler/pkg/cli/report"
)

// passwordVariable has the password of a signing key where no one can type it.
const passwordVariable = "MINISIGN_PASSWORD"

// signatureSuffix is what minisign adds to the name of a file for its signature.
const signatureSuffix = ".minisig"

// signOptions say how a report is signed.
type signOptions struct{ keyFile, signatureFile string }

func (s *signOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.keyFile, "sign-key", "", "File with a secret key of minisign to sign the report with; its password is asked for, or read from "+passwordVariable)
	cmd.Flags().StringVar(&s.signatureFile, "signature", "", "File to write the signature to, as in isolation.html"+signatureSuffix)
}

// key reads the signing key, nil without one.
func (s *signOptions) key(ask io.Writer) (*minisign.PrivateKey, error) {
	switch {
	case s.keyFile == "" && s.signatureFile == "":
		return nil, nil //nolint:nilnil // no key means no signature, which is not an error
	case s.keyFile == "" || s.signatureFile == "":
		return nil, fmt.Errorf("--sign-key and --signature need each other: --sign-key=audit.key --signature=isolation.html%s", signatureSuffix)
	}
	text, err := os.ReadFile(s.keyFile)
	if err != nil {
		return nil, fmt.Errorf("--sign-key: %w", err)
	}
	key, err := openKey(text, ask)
	if err != nil {
		return nil, fmt.Errorf("--sign-key %s: %w", s.keyFile, err)
	}
	return &key, nil
}

func openKey(text []byte, ask io.Writer) (key minisign.PrivateKey, err error) {
	if !minisign.IsEncrypted(text) {
		return key, key.UnmarshalText(text)
	}
	password, given := os.LookupEnv(passwordVariable)
	if !given {
		in := int(os.Stdin.Fd())
		if !term.IsTerminal(in) {
			return key, fmt.Errorf("the key has a password: set %s, or run this on a terminal", passwordVariable)
		}
		fmt.Fprint(ask, "Password of the signing key: ")
		typed, err := term.ReadPassword(in)
		fmt.Fprintln(ask)
		if err != nil {
			return key, err
		}
		password = string(typed)
	}
	return minisign.DecryptKey(password, text)
}

// write signs a text, and names in the signed comment what it is a report of.
func (s *signOptions) write(key minisign.PrivateKey, text []byte, d *report.Data) error {
	comment := fmt.Sprintf("tenant isolation report, made %s, cluster %s, objects %s", d.Made.Format("2006-01-02T15:04:05Z"), orDash(d.Cluster.UID), d.Evidence.Digest)
	signature := minisign.SignWithComments(key, text, comment, "signature of a tenant isolation report")
	return os.WriteFile(s.signatureFile, signature, 0o644) //nolint:gosec // a signature is public
}

type verifyOptions struct {
	*options
	publicKey, signatureFile string
}

func newVerifyCommand(o *options) *cobra.Command {
	v := &verifyOptions{options: o}
	cmd := &cobra.Command{
		Use:   "verify REPORT",
		Short: "Check the signature of a report, and what it is of",
		Long: paragraphs(
			`Checks that a report, page or JSON, is signed by a key and has not been changed since, and prints who made it,
of which cluster, by which policy, and with which result. With -f it also checks that the report is of these
objects: that their digest is that of the report.`,
			`Exit status: 0 if the signature is good, 1 if it is not, or the report is of other objects, 2 if the request is
invalid or the report has no signature or no key is given to check it with.`,
		),
		Example: examples(
			"kubectl isolation report verify isolation.html --public-key=audit.pub",
			"",
			"# And that it is of what this file has",
			"kubectl isolation report verify isolation.html --public-key=audit.pub -f cluster.json",
		),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return v.run(cmd, args[0]) },
	}
	o.addInputFlags(cmd)
	cmd.Flags().StringVar(&v.publicKey, "public-key", "", "Public key of minisign: a file, or the key itself")
	cmd.Flags().StringVar(&v.signatureFile, "signature", "", "File with the signature (default REPORT"+signatureSuffix+")")
	return cmd
}

func (v *verifyOptions) run(cmd *cobra.Command, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data, err := report.Earlier(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	paint := newColour(v.Out)
	good, says, err := v.signature(path, text)
	if err != nil {
		return err
	}
	outcome := error(nil)
	switch {
	case good:
		says = paint.good("good") + ", " + says
	case v.publicKey == "":
		says, outcome = paint.warn("not judged")+": "+says, errNotJudged
	default:
		says, outcome = paint.bad("not good")+": "+says, errFindings
	}
	fmt.Fprintf(v.Out, "signature   %s\n", says)
	if v.fromFiles() {
		c, err := v.load(cmd.Context())
		if err != nil {
			return err
		}
		digest, _, err := c.digest()
		if err != nil {
			return err
		}
		if same := digest == data.Evidence.Digest; same {
			fmt.Fprintf(v.Out, "objects     %s\n", paint.good("those of the files"))
		} else {
			fmt.Fprintf(v.Out, "objects     %s, or judged by another policy: SHA-256 %s\n", paint.bad("not those of the files"), digest)
			outcome = errFindings
		}
	}
	describeReport(v.Out, data)
	return outcome
}

// signature checks the signature of a report, and returns what is to be said of it.
func (v *verifyOptions) signature(path string, text []byte) (good bool, says string, err error) {
	file := v.signatureFile
	if file == "" {
		file = path + signatureSuffix
	}
	if v.publicKey == "" {
		return false, "without --public-key, nothing shows who made the report", nil
	}
	key, err := readPublicKey(v.publicKey)
	if err != nil {
		return false, "", fmt.Errorf("--public-key: %w", err)
	}
	signed, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return false, "", fmt.Errorf("there is no signature %s: --signature names another file", file)
	}
	if err != nil {
		return false, "", err
	}
	var signature minisign.Signature
	if err := signature.UnmarshalText(signed); err != nil {
		return false, "", fmt.Errorf("%s: not a signature of minisign: %w", file, err)
	}
	if !minisign.Verify(key, text, signed) {
		return false, fmt.Sprintf("the report was changed, or another key than %X signed it", key.ID()), nil
	}
	return true, fmt.Sprintf("by the key %X: %s", key.ID(), signature.TrustedComment), nil
}

// readPublicKey reads a key from a file or from the text itself.
func readPublicKey(given string) (key minisign.PublicKey, err error) {
	if key.UnmarshalText([]byte(given)) == nil {
		return key, nil
	}
	text, err := os.ReadFile(given)
	if err != nil {
		return key, err
	}
	return key, key.UnmarshalText(text)
}

// describeReport prints what a report says of itself.
func describeReport(out io.Writer, d *report.Data) {
	by := "nobody known"
	if d.MadeBy != nil {
		by = d.MadeBy.Name
	}
	where := orDash(d.Cluster.UID)
	if d.Cluster.Address != "" {
		where += " at " + d.Cluster.Address
	}
	result := "nothing breaks the rule"
	switch {
	case len(d.Findings) > 0:
		result = fmt.Sprintf("%s, %s of pods", count(len(d.Findings), "finding"), count(d.Summary.PairsBreaking, "pair"))
		if !d.Judged {
			result += "; not judged: " + strings.Join(d.NotJudged, "; ")
		}
	case !d.Judged:
		result = "not judged: " + strings.Join(d.NotJudged, "; ")
	}
	policy := "unknown"
	if len(d.Policy) > 0 {
		policy = d.Policy[0].Value
	}
	for _, line := range [][2]string{
		{"made", d.Made.Format("2006-01-02 15:04:05 MST") + " by " + by + " with " + d.Tool},
		{"cluster", where},
		{"source", d.Source},
		{"policy", policy},
		{"judged", fmt.Sprintf("%s, SHA-256 %s", count(d.Evidence.Objects, "object"), d.Evidence.Digest)},
		{"result", result},
	} {
		fmt.Fprintf(out, "%-11s %s\n", line[0], line[1])
	}
}
