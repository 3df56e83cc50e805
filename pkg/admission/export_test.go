package admission

// Read adds the policies and bindings of a file.
func (p *Policies) Read(text []byte) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	return p.read(scheme, text)
}
