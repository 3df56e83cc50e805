package policy

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"tenantisolation.dev/scheduler/manifests/crds"
)

// schema is that of the spec, in the three forms that the API server works with.
type schema struct {
	structural *structuralschema.Structural
	values     validation.SchemaValidator
	rules      *cel.Validator
}

// ofSpec returns the schema of the spec. The CustomResourceDefinition is a part of the program, so that
// one that cannot be read is a fault of the program.
var ofSpec = sync.OnceValue(func() *schema {
	s, err := newSchema(crds.IsolationPolicies)
	if err != nil {
		panic(fmt.Sprintf("the CustomResourceDefinition of IsolationPolicy: %v", err))
	}
	return s
})

func newSchema(definition []byte) (*schema, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(definition, &crd); err != nil {
		return nil, err
	}
	var whole apiextensions.JSONSchemaProps
	versioned := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(versioned, &whole, nil); err != nil {
		return nil, err
	}
	spec := whole.Properties["spec"]
	structural, err := structuralschema.NewStructural(&spec)
	if err != nil {
		return nil, err
	}
	values, _, err := validation.NewSchemaValidator(&spec)
	if err != nil {
		return nil, err
	}
	return &schema{
		structural: structural,
		values:     values,
		rules:      cel.NewValidator(structural, false, celconfig.PerCallLimit),
	}, nil
}

// complete sets the defaults of a spec, and returns what is wrong with it: first the fields that do not
// exist and values of a wrong type, and only without these what the rules say.
func (s *schema) complete(path *field.Path, spec map[string]any) field.ErrorList {
	var errs field.ErrorList
	unknown := pruning.PruneWithOptions(spec, s.structural, false, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, name := range unknown {
		errs = append(errs, field.Invalid(path.Child(name), field.OmitValueType{}, "there is no such field"))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(spec, s.structural)
	defaulting.Default(spec, s.structural)
	errs = append(errs, validation.ValidateCustomResource(path, spec, s.values)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(path, s.structural, spec)...)
	if len(errs) > 0 {
		return errs
	}
	faults, _ := s.rules.Validate(context.Background(), path, s.structural, spec, nil, celconfig.RuntimeCELCostBudget)
	return faults
}
