package main

import (
	"bytes"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/rs/zerolog"
)

// bill is the bill of materials of a binary, in CycloneDX: what the linker noted in it is what is
// in it. Scanners read the same note.
func (r *release) bill(binary string) ([]byte, error) {
	generator, err := bin.NewGenerator(binary, bin.WithLogger(zerolog.Nop()), bin.WithVersionOverride(r.version), bin.WithIncludeStdlib(true))
	if err != nil {
		return nil, err
	}
	bill, err := generator.Generate()
	if err != nil {
		return nil, err
	}
	bill.Metadata.Timestamp = r.made.Format(time.RFC3339)
	bill.Metadata.Tools = &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{Type: cyclonedx.ComponentTypeApplication, Name: "hack/release"}}}
	bill.Metadata.Component.Licenses = &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}}
	var out bytes.Buffer
	err = cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bill)
	return out.Bytes(), err
}
