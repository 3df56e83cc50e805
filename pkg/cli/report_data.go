package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"tenantisolation.dev/scheduler/pkg/cli/inventory"
	"tenantisolation.dev/scheduler/pkg/cli/report"
)

// report gathers the data of the page, but for who made it and from where.
func (c *judgedCluster) report(ctx context.Context, made time.Time, j *judgement) (*report.Data, error) {
	found := c.engine.Report()
	d := &report.Data{
		Format: report.Format, Made: made.UTC().Truncate(time.Second), Tool: "kubectl-isolation " + Version(), Source: c.Source,
		Cluster: report.Cluster{UID: c.uid(), Version: c.Server},
		Summary: report.Summary{
			Nodes: found.Nodes, Pods: found.Pods, PairsChecked: found.PairsChecked, PairsBreaking: found.PairsBreaking,
		},
		Judged: j.Judged, NotJudged: j.NotJudged, PolicyGeneration: j.PolicyGeneration,
		Controls: c.controls(ctx),
		Findings: []report.Finding{},
		Warnings: c.Warnings,
	}
	d.Warnings = append(d.Warnings, sentencesOfRecreated(c.recreated(found.Findings))...)
	var err error
	if d.Policy, err = c.settings(); err != nil {
		return nil, err
	}
	perNode := map[string]int{}
	involved := map[string]bool{}
	for i := range found.Findings {
		f := &found.Findings[i]
		a := adviceOn(f.Reason)
		listed := report.Finding{
			Node: f.Node, Reason: string(f.Reason), Volume: f.Volume, Means: a.means, Fix: a.fix,
			Sides: sidesOf(f), Conflicts: conflictsOf(f), Pairs: f.Pairs,
		}
		for _, side := range listed.Sides {
			for _, pod := range side.Pods {
				involved[pod] = true
			}
		}
		perNode[f.Node]++
		d.Findings = append(d.Findings, listed)
	}
	c.nodes(d, perNode)
	return d, c.evidence(d, involved)
}

// uid is that of the namespace kube-system, which identifies a cluster; empty if the input does not have it.
func (c *judgedCluster) uid() string {
	for _, ns := range c.Namespaces {
		if ns.Name == metav1.NamespaceSystem {
			return string(ns.UID)
		}
	}
	return ""
}

// identify adds who makes the report and by which address, as the API server knows it.
func (o *options) identify(ctx context.Context, c *judgedCluster, d *report.Data) error {
	if c.client == nil {
		return nil
	}
	restConfig, err := o.restConfig()
	if err != nil {
		return err
	}
	d.Cluster.Address = restConfig.Host
	review, err := c.client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		d.Warnings = append(d.Warnings, fmt.Sprintf("who made the report is unknown: %v", err))
		return nil
	}
	user := &review.Status.UserInfo
	d.MadeBy = &report.User{Name: user.Username, UID: user.UID, Groups: user.Groups}
	return nil
}

// nodes adds the nodes with their trust domains.
func (c *judgedCluster) nodes(d *report.Data, findings map[string]int) {
	index := map[string]int{}
	digests := c.podsByNode()
	for _, object := range c.Nodes {
		occupancy := c.store.Occupancy(object.Name)
		n := report.Node{Name: object.Name, Findings: findings[object.Name], Others: occupancy.Len(), Digest: digests[object.Name]}
		counted := map[int]bool{}
		for _, g := range occupancy.Groups() {
			name := g.Domain.String()
			at, known := index[name]
			if !known {
				at = len(d.Domains)
				index[name] = at
				d.Domains = append(d.Domains, report.Domain{Name: name, Short: shortDomain(g.Domain)})
			}
			d.Domains[at].Pods += g.Pods
			if !counted[at] {
				counted[at] = true
				d.Domains[at].Nodes++
			}
			n.Others -= g.Pods
			n.Groups = append(n.Groups, report.Group{Domain: at, Pods: g.Pods, Isolated: g.Isolated})
		}
		slices.SortFunc(n.Groups, func(a, b report.Group) int { return a.Domain - b.Domain })
		d.Nodes = append(d.Nodes, n)
	}
}

// podsByNode returns a digest of the pods on each node. Pods are in order of namespace and name.
func (c *judgedCluster) podsByNode() map[string]string {
	const enough = 8
	sums := map[string][sha256.Size]byte{}
	for _, pod := range c.Pods {
		if pod.Spec.NodeName == "" || inventory.Ended(pod) {
			continue
		}
		before := sums[pod.Spec.NodeName]
		sums[pod.Spec.NodeName] = sha256.Sum256(fmt.Appendf(before[:], "%s/%s %s", pod.Namespace, pod.Name, pod.UID))
	}
	digests := make(map[string]string, len(sums))
	for name, sum := range sums {
		digests[name] = hex.EncodeToString(sum[:enough])
	}
	return digests
}

// evidence records which objects were judged; the pods that are involved in findings one
// by one.
func (c *judgedCluster) evidence(d *report.Data, involved map[string]bool) error {
	digest, objects, err := c.digest()
	if err != nil {
		return err
	}
	d.Evidence = report.Evidence{Lists: c.Versions, Digest: digest, Objects: objects}
	for _, pod := range c.Pods {
		if name := pod.Namespace + "/" + pod.Name; involved[name] {
			d.Evidence.Pods = append(d.Evidence.Pods, report.Object{Name: name, UID: string(pod.UID), ResourceVersion: pod.ResourceVersion})
		}
	}
	return nil
}

// digest returns the SHA-256 over everything that was judged, and the number of objects.
func (c *judgedCluster) digest() (digest string, objects int, err error) {
	var lines []string
	c.Objects(func(object runtime.Object) bool {
		meta, ok := object.(metav1.Object)
		if !ok {
			err = fmt.Errorf("%T has no metadata", object)
			return false
		}
		var content [sha256.Size]byte
		if content, err = contentOf(object); err != nil {
			return false
		}
		kind := reflect.TypeOf(object).Elem().Name()
		lines = append(lines, fmt.Sprintf("%s %s/%s %s %s %x\n", kind, meta.GetNamespace(), meta.GetName(), meta.GetUID(), meta.GetResourceVersion(), content))
		return true
	})
	if err != nil {
		return "", 0, err
	}
	objects = len(lines)
	slices.Sort(lines)
	rule, err := json.Marshal(c.policy)
	if err != nil {
		return "", 0, err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "policy %d %x\n", c.generation, sha256.Sum256(rule))
	for _, line := range lines {
		sum.Write([]byte(line))
	}
	return hex.EncodeToString(sum.Sum(nil)), objects, nil
}

// contentOf returns the SHA-256 of what was read of an object. Its protobuf form takes a fraction of the time of
// JSON, and has maps in order.
func contentOf(object runtime.Object) ([sha256.Size]byte, error) {
	var text []byte
	var err error
	if binary, ok := object.(interface{ Marshal() ([]byte, error) }); ok {
		text, err = binary.Marshal()
	} else {
		text, err = json.Marshal(object)
	}
	return sha256.Sum256(text), err
}

// settings are the fields of the policy.
func (c *judgedCluster) settings() ([]report.Setting, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c.policy)
	if err != nil {
		return nil, err
	}
	settings := []report.Setting{{Name: "policy", Value: c.policyFrom}}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, err := compactJSON(fields[name])
		if err != nil {
			return nil, err
		}
		settings = append(settings, report.Setting{Name: name, Value: value})
	}
	return settings, nil
}
