package tenantisolation

import (
	"math"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

func amounts(cpu, memory, gpu string) v1.ResourceList {
	list := v1.ResourceList{v1.ResourceCPU: resource.MustParse(cpu), v1.ResourceMemory: resource.MustParse(memory)}
	if gpu != "" {
		list["example.com/gpu"] = resource.MustParse(gpu)
	}
	return list
}

func asking(requests v1.ResourceList) *v1.Pod {
	return &v1.Pod{Spec: v1.PodSpec{Containers: []v1.Container{{Resources: v1.ResourceRequirements{Requests: requests}}}}}
}

func TestFill(t *testing.T) {
	for name, tc := range map[string]struct {
		node, there, asked v1.ResourceList
		overhead           v1.ResourceList
		want               float64
	}{
		"how full it would be is averaged over the resources": {
			node: amounts("10", "100Gi", ""), asked: amounts("5", "10Gi", ""),
			want: 0.3,
		},
		"what is there already makes the node fuller": {
			node: amounts("10", "100Gi", ""), there: amounts("2", "0", ""), asked: amounts("4", "20Gi", ""),
			want: 0.4,
		},
		"a resource of which the pod takes nothing counts for how full the node is": {
			node: amounts("10", "100Gi", "8"), asked: amounts("3", "30Gi", ""),
			want: 0.2,
		},
		"an extended resource counts like any other": {
			node: amounts("10", "100Gi", "8"), asked: amounts("1", "10Gi", "4"),
			want: (0.1 + 0.1 + 0.5) / 3,
		},
		"the overhead of a VM counts": {
			node: amounts("10", "100Gi", ""), asked: amounts("1", "0", ""), overhead: amounts("1", "20Gi", ""),
			want: 0.2,
		},
		"a pod without requests takes nothing": {
			node: amounts("10", "100Gi", ""), asked: v1.ResourceList{},
			want: 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := &v1.Node{Status: v1.NodeStatus{Allocatable: tc.node}}
			info := framework.NewNodeInfo()
			if tc.there != nil {
				info = framework.NewNodeInfo(asking(tc.there))
			}
			info.SetNode(node)
			pod := asking(tc.asked)
			pod.Spec.Overhead = tc.overhead
			request := newRequest(pod)
			if got := request.fill(info); math.Abs(got-tc.want) > 1e-9 {
				t.Errorf("want %v, got %v", tc.want, got)
			}
		})
	}
}
