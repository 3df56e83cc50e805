// Package admission has the shipped admission policies, the parameter that they read, and what a cluster's
// policies differ by from them.
//
// The policies are the files of manifests/, embedded. None holds a choice of the administrator: the leader
// writes what they need from the IsolationPolicy into the ConfigMap that Parameters makes.
package admission
