package main

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// rootType is the type that the page describes.
const rootType = "TenantIsolationArgs"

// types are the declarations of the versioned package.
type types struct {
	pkg     *doc.Package
	structs map[string]structType
	choices map[string]choice
}

// structType is a struct with its comment.
type structType struct {
	doc    string
	fields []structField
}

// structField is a field under its JSON name.
type structField struct {
	goName, name string
	typ          string // in words, such as "list of Axis"
	base         string // the name of the type without lists and pointers around it
	doc          string
}

// choice is a string type with constants, of which one must be chosen.
type choice struct {
	doc    string
	values []choiceValue
}

type choiceValue struct {
	value, goName, doc string
}

// parseTypes reads the declarations of one file. A field without a JSON name or
// without a comment is an error: the page would have a hole.
func parseTypes(path string) (*types, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	pkg, err := doc.NewFromFiles(files, []*ast.File{file}, "tenantisolation.dev/scheduler/pkg/apis/config/v1", doc.PreserveAST)
	if err != nil {
		return nil, err
	}
	t := &types{pkg: pkg, structs: map[string]structType{}, choices: map[string]choice{}}
	for _, declared := range pkg.Types {
		for _, spec := range declared.Decl.Specs {
			typeSpec, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			switch underlying := typeSpec.Type.(type) {
			case *ast.StructType:
				s, err := parseStruct(declared.Doc, underlying)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", declared.Name, err)
				}
				t.structs[declared.Name] = s
			case *ast.Ident:
				c, err := parseChoice(declared)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", declared.Name, err)
				}
				t.choices[declared.Name] = c
			}
		}
	}
	if _, ok := t.structs[rootType]; !ok {
		return nil, fmt.Errorf("%s declares no %s", path, rootType)
	}
	return t, nil
}

func parseStruct(comment string, declared *ast.StructType) (structType, error) {
	s := structType{doc: comment}
	for _, field := range declared.Fields.List {
		if len(field.Names) == 0 {
			continue // TypeMeta: apiVersion and kind are the scheduler's to fill in
		}
		goName := field.Names[0].Name
		if field.Tag == nil {
			return structType{}, fmt.Errorf("field %s has no JSON name", goName)
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			return structType{}, fmt.Errorf("field %s: %w", goName, err)
		}
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "" {
			return structType{}, fmt.Errorf("field %s has no JSON name", goName)
		}
		words, base, err := inWords(field.Type)
		if err != nil {
			return structType{}, fmt.Errorf("field %s: %w", goName, err)
		}
		if strings.TrimSpace(field.Doc.Text()) == "" {
			return structType{}, fmt.Errorf("field %s has no comment", goName)
		}
		s.fields = append(s.fields, structField{goName: goName, name: name, typ: words, base: base, doc: field.Doc.Text()})
	}
	return s, nil
}

func parseChoice(declared *doc.Type) (choice, error) {
	c := choice{doc: declared.Doc}
	for _, group := range declared.Consts {
		for _, spec := range group.Decl.Specs {
			constant, ok := spec.(*ast.ValueSpec)
			if !ok || len(constant.Names) != 1 || len(constant.Values) != 1 {
				return choice{}, fmt.Errorf("want one name and one value for each constant")
			}
			goName := constant.Names[0].Name
			literal, ok := constant.Values[0].(*ast.BasicLit)
			if !ok {
				return choice{}, fmt.Errorf("constant %s is not a literal", goName)
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				return choice{}, fmt.Errorf("constant %s: %w", goName, err)
			}
			if strings.TrimSpace(constant.Doc.Text()) == "" {
				return choice{}, fmt.Errorf("constant %s has no comment", goName)
			}
			c.values = append(c.values, choiceValue{value: value, goName: goName, doc: constant.Doc.Text()})
		}
	}
	return c, nil
}

// inWords describes a type to readers who do not know Go, and names what is at the
// bottom of it.
func inWords(expr ast.Expr) (words, base string, err error) {
	switch expr := expr.(type) {
	case *ast.Ident:
		return expr.Name, expr.Name, nil
	case *ast.SelectorExpr:
		return expr.Sel.Name, expr.Sel.Name, nil
	case *ast.StarExpr:
		return inWords(expr.X)
	case *ast.ArrayType:
		words, base, err = inWords(expr.Elt)
		return "list of " + plural(words), base, err
	case *ast.MapType:
		key, _, err := inWords(expr.Key)
		if err != nil {
			return "", "", err
		}
		words, base, err = inWords(expr.Value)
		return "map of " + key + " to " + words, base, err
	}
	return "", "", fmt.Errorf("cannot describe the type %T", expr)
}

func plural(words string) string {
	switch {
	case strings.HasPrefix(words, "list of "):
		return "lists of " + strings.TrimPrefix(words, "list of ")
	case words == "string":
		return "strings"
	}
	return words
}
