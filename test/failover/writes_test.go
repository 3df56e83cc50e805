package failover

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// writes are those for dedication: requests that kube-apiserver has answered, whatever it said,
// and what took effect in etcd.
type writes struct {
	tableRequests, nodeRequests int
	table, nodes                int
}

func (a *arena) writes() writes {
	a.Helper()
	r := a.witness.report()
	return writes{
		tableRequests: a.requests("configmaps", "PUT", "PATCH", "POST", "DELETE") - r.parameterWrites,
		nodeRequests:  a.requests("nodes", "PUT", "PATCH"),
		table:         r.tableWrites, nodes: r.nodeWrites,
	}
}

func (w writes) since(before writes) writes {
	return writes{
		tableRequests: w.tableRequests - before.tableRequests, nodeRequests: w.nodeRequests - before.nodeRequests,
		table: w.table - before.table, nodes: w.nodes - before.nodes,
	}
}

// No other client writes Nodes or the table here: there are no kubelets and no controllers.
func TestWritesPerOpenedNode(t *testing.T) {
	s := burstSize{nodes: 30, tenants: 5}
	openers, joiners := 100, 400
	if *full {
		s, joiners = burstSize{nodes: 60, tenants: 10}, 1900
	}
	a := newArena(t, s, true)
	a.startFleet(1)
	a.theLeader()
	pods := func(from, n int) []*corev1.Pod {
		var pods []*corev1.Pod
		for i := range n {
			pod := a.newPod(a.managed[i%len(a.managed)], fmt.Sprintf("p-%04d", from+i))
			// As many as a node takes.
			pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
			pods = append(pods, pod)
		}
		return pods
	}
	before := a.writes()
	a.create(pods(0, openers), openers)
	a.expectAllPlaced(openers)
	var opened int
	a.eventually("table, taints and pods to name the same nodes", func(context.Context) (bool, error) {
		c, err := a.dedicated()
		opened = len(c.table)
		return err == nil && c.consistent(), err
	})
	opening := a.writes().since(before)
	t.Logf("%d pods, %d nodes opened: %d requests to write the table, %d to write Nodes", openers, opened, opening.tableRequests, opening.nodeRequests)
	if opening.tableRequests > opened || opening.table > opened {
		t.Errorf("the table was written %d times for %d nodes, want once per node at most", opening.tableRequests, opened)
	}
	if opening.nodeRequests != opened || opening.nodes != opened {
		t.Errorf("Nodes were written %d times, want once for each of %d", opening.nodeRequests, opened)
	}

	before = a.writes()
	a.create(pods(openers, joiners), joiners)
	a.expectAllPlaced(openers + joiners)
	joining := a.writes().since(before)
	t.Logf("%d pods more on open nodes: %d requests to write the table, %d to write Nodes", joiners, joining.tableRequests, joining.nodeRequests)
	if joining != (writes{}) {
		t.Errorf("writes for pods on open nodes: %+v, want none", joining)
	}
	if r := a.witness.report(); len(r.broken) > 0 {
		t.Errorf("broken:\n\t%s", head(r.broken))
	}
}
