package dedication

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// Pods of several tenants come and go, others bypass the scheduler, answers get lost, and
// leaders are replaced while they still send requests. At every bind the rule holds on the node,
// and in the end no empty node stays dedicated.
func TestStorm(t *testing.T) {
	seeds := 30
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		for _, reuse := range []NodeReuse{ReuseImmediately, ReuseAfterReboot} {
			t.Run(fmt.Sprintf("seed %d, reuse %s", seed, reuse), func(t *testing.T) {
				inWorld(t, func(w *world) {
					s := &storm{world: w, chance: rand.New(rand.NewPCG(uint64(seed), 1)), reuse: reuse}
					s.run()
				})
			})
		}
	}
}

type storm struct {
	*world
	reuse NodeReuse

	mu     sync.Mutex
	chance *rand.Rand
	leader *view
	placed int
	// hosted is the tenant whose containers a node hosted last, and in which boot.
	hosted map[string][2]string
	// deleted are the pods that can no longer be bound.
	deleted map[string]bool
}

const stormNodes = 4

func (s *storm) intn(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.IntN(n)
}

func (s *storm) pause(longest time.Duration) { time.Sleep(time.Duration(s.intn(int(longest)))) }

func (s *storm) run() {
	s.hosted, s.deleted = map[string][2]string{}, map[string]bool{}
	for n := range stormNodes {
		s.node(fmt.Sprintf("n%d", n))
	}
	s.elect()
	s.onCall(func(string) fault {
		switch s.intn(25) {
		case 0:
			return fault{before: errLost}
		case 1:
			return fault{after: errLost}
		}
		return fault{}
	})
	var group sync.WaitGroup
	for i := range 60 {
		group.Go(func() {
			s.pause(5 * time.Minute)
			s.runPod(i)
		})
	}
	for i := range 12 {
		group.Go(func() {
			s.pause(5 * time.Minute)
			s.runUnmanaged(i)
		})
	}
	for i := range 10 {
		group.Go(func() {
			s.pause(6 * time.Minute)
			s.reboot(fmt.Sprintf("n%d", s.intn(stormNodes)), fmt.Sprintf("boot %d", i))
		})
	}
	for range 3 {
		group.Go(func() {
			s.pause(5 * time.Minute)
			s.elect()
		})
	}
	group.Wait()
	s.onCall(nil)
	for n := range stormNodes {
		name := fmt.Sprintf("n%d", n)
		s.sleep(2 * time.Minute)
		s.reboot(name, "last boot of "+name)
		s.current().engine.NodeChanged(name)
	}
	s.sleep(10 * time.Minute)
	for n := range stormNodes {
		if name := fmt.Sprintf("n%d", n); s.dedicated(name) {
			s.t.Errorf("%s is empty and stays dedicated", name)
		}
	}
	if s.placed < 10 {
		s.t.Errorf("placed %d pods: this storm shows nothing", s.placed)
	}
}

// elect starts another process that leads; the one that led until then keeps running.
func (s *storm) elect() {
	p, _ := s.process(func(c *Config) { c.NodeReuse = s.reuse })
	p.engine.Lead()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leader = p
}

func (s *storm) current() *view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leader
}

// runPod places a pod somewhere, lets it run, and removes it.
func (s *storm) runPod(i int) {
	var change []func(*v1.Pod)
	if s.intn(3) == 0 {
		change = append(change, inVM)
	}
	if s.intn(4) == 0 {
		change = append(change, privileged)
	}
	pod := s.pod(fmt.Sprintf("pod-%d", i), []string{"acme", "bolt", "cask"}[s.intn(3)], change...)
	for range 20 {
		// A lost request may have bound it already.
		if s.nodeOf(pod) != "" || s.tryPlace(s.current(), pod, fmt.Sprintf("n%d", s.intn(stormNodes))) {
			s.pause(time.Minute)
			break
		}
		s.pause(10 * time.Second)
	}
	s.mu.Lock()
	s.deleted[pod.Name] = true
	s.mu.Unlock()
	node := s.nodeOf(pod)
	s.removePod(pod)
	s.current().engine.NodeChanged(node)
}

// nodeOf returns where a pod is bound, empty if nowhere.
func (s *storm) nodeOf(pod *v1.Pod) string {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if bound := s.pods[string(pod.UID)]; bound != nil {
		return bound.Spec.NodeName
	}
	return ""
}

// tryPlace is one attempt of the scheduler: Filter, Reserve, Ensure, the rule again, and the bind.
func (s *storm) tryPlace(p *view, pod *v1.Pod, node string) bool {
	subject := p.subject(pod)
	occupancy := p.Occupancy(node)
	if !isolation.Decide(subject, &isolation.Node{Occupancy: occupancy}).Allowed() {
		return false
	}
	if p.engine.Reserve(pod, node, subject) != nil {
		return false
	}
	assumed := pod.DeepCopy()
	assumed.Spec.NodeName = node
	p.mu.Lock()
	p.assumed[pod.UID] = assumed
	p.mu.Unlock()
	outcome := OutcomeKnown
	defer func() {
		p.engine.Release(pod.UID, node, outcome)
		p.mu.Lock()
		delete(p.assumed, pod.UID)
		p.mu.Unlock()
		p.engine.NodeChanged(node)
	}()
	if p.engine.Ensure(s.t.Context(), pod, node, subject) != nil {
		return false
	}
	token, ok := p.engine.Token(node)
	others := p.Occupancy(node)
	others = others.Without(string(pod.UID))
	if !ok || !isolation.Decide(subject, &isolation.Node{Occupancy: others}).Allowed() {
		return false
	}
	if s.intn(10) == 0 {
		// The request takes long, and its answer is lost.
		outcome = OutcomeUnknown
		go func() {
			s.pause(20 * time.Second)
			s.commit(token, pod, node)
		}()
		return false
	}
	return s.commit(token, pod, node)
}

// commit binds the pod as the API server does, if the fence lets it, and checks the node.
func (s *storm) commit(token string, pod *v1.Pod, node string) bool {
	s.mu.Lock()
	deleted := s.deleted[pod.Name]
	s.mu.Unlock()
	if deleted || s.nodeOf(pod) != "" || s.bindWith(token, pod, node) != nil {
		return false
	}
	s.checkNode(pod, node)
	s.mu.Lock()
	s.placed++
	s.mu.Unlock()
	return true
}

// runUnmanaged places an unmanaged pod as the stock scheduler does, and removes it.
func (s *storm) runUnmanaged(i int) {
	pod := s.pod(fmt.Sprintf("intruder-%d", i), "")
	for range 5 {
		node := fmt.Sprintf("n%d", s.intn(stormNodes))
		if _, fenced := s.entryOf(node); !fenced && s.podsOn(node) == 0 {
			s.bindPod(pod, node)
			s.checkNode(pod, node)
			s.current().engine.NodeChanged(node)
			s.pause(30 * time.Second)
			s.removePod(pod)
			s.current().engine.NodeChanged(node)
			return
		}
		s.pause(10 * time.Second)
	}
}

// checkNode checks that no pod on the node breaks the rule with the new one and that, with
// AfterReboot, no kernel has hosted containers of two tenants.
func (s *storm) checkNode(pod *v1.Pod, node string) {
	subject := s.subject(pod)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	for uid, other := range s.pods {
		if other.Spec.NodeName != node || uid == string(pod.UID) || (pod.Labels["of"] == "" && other.Labels["of"] == "") {
			continue
		}
		resident := s.subject(other)
		if !subject.SharesKernelWith(*resident) && (!subject.Open() || !resident.Open()) {
			s.t.Errorf("%s comes to %s beside %s", pod.Name, node, other.Name)
		}
	}
	if s.reuse != ReuseAfterReboot || subject.Open() || pod.Labels["of"] == "" {
		return
	}
	boot := s.nodes[node].Status.NodeInfo.BootID
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.hosted[node]; last[0] != "" && last[0] != pod.Labels["of"] && last[1] == boot {
		s.t.Errorf("%s of %s comes to %s in %q, in which %s was there", pod.Name, pod.Labels["of"], node, boot, last[0])
	}
	s.hosted[node] = [2]string{pod.Labels["of"], boot}
}
