package admission

import (
	"bytes"

	"tenantisolation.dev/scheduler/pkg/manifest"
)

// Read adds the policies and bindings of a file.
func (p *Policies) Read(text []byte) error {
	stream, err := manifest.Open(bytes.NewReader(text), "text")
	if err != nil {
		return err
	}
	return stream.Each(p.add)
}
