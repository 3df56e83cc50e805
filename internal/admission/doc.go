// Package admission renders the admission policies in manifests/components/admission from the
// scheduler's configuration and its service account.
//
// A policy reads what it can from its parameter, a ConfigMap. What the policy language
// cannot take from there (label keys in selectors, and all that is decided in policies
// which have to work when the ConfigMap is missing) is written into the policies. Both
// come out of one run, so that they cannot disagree.
//
// The templates are the policies as they are read, with ${names} where a value comes from
// the configuration.
package admission
