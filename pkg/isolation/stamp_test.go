package isolation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestL10Stamped compares the boundary of residents with the words of the law: the weaker of
// the stamp and of what is known now; without a stamp the age of the RuntimeClass counts, and
// every PVC for a directory of the host.
func TestL10Stamped(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := randomGenerator(rand.New(rand.NewPCG(seed, 0)))
	policy := makePolicy(t)
	strength := []string{"container", "sandbox", "vm"}
	rise, fall := 0, 0
	for range 20000 {
		pod := Pod{
			Namespace: &Namespace{Name: "apps", Labels: map[string]string{tenantLabel: "acme"}},
			Privilege: PrivilegeRestricted, Annotations: map[string]string{},
			RuntimeClass: oneOf(g, "class", "class", "class", ""), RuntimeClassFound: true,
			Handler:          oneOf(g, "kata", "runsc", "runc"),
			HandlerUncertain: g.rarely(4),
			HostAccess:       oneOf(g, 0, 0, 0, HostPath, FlexVolume, SELinuxLabel),
			Resident:         true,
			MountsPVCs:       g.rarely(3),
		}
		stamp := oneOf(g, "", "container", "sandbox", "vm", "moat")
		if stamp != "" {
			pod.Annotations[EvidenceAnnotation] = "tenant=acme,data-class=unclassified,privilege=restricted,user-namespace=host,boundary=" + stamp
		}

		today := "container"
		if pod.RuntimeClass != "" && pod.HostAccess == 0 {
			today = map[string]string{"kata": "vm", "runsc": "sandbox", "runc": "container"}[pod.Handler]
		}
		want := today
		switch {
		case stamp == "" && (pod.HandlerUncertain || pod.MountsPVCs):
			want = "container"
		case stamp == "moat":
			want = "container"
		case stamp != "":
			want = strength[min(slices.Index(strength, stamp), slices.Index(strength, today))]
		}
		got := policy.Resolve(pod).Boundary().String()
		if got != want {
			t.Fatalf("stamp %q, today %s, %+v: got %s, want %s", stamp, today, pod, got, want)
		}
		if stamp == "vm" && want != "vm" {
			fall++
		}
		if stamp == "container" && today == "vm" {
			rise++
		}
	}
	if rise == 0 || fall == 0 {
		t.Errorf("%d pods would have become stronger and %d are weaker than their stamp: the generator does not reach both", rise, fall)
	}
}

// A pod that is not bound yet was not judged: what it says of itself is not read.
func TestL10IncomingPodsHaveNoStamp(t *testing.T) {
	pod := Pod{
		Namespace: &Namespace{Name: "apps", Labels: map[string]string{tenantLabel: "acme"}}, Privilege: PrivilegeRestricted,
		RuntimeClass: "class", RuntimeClassFound: true, Handler: "kata", MountsPVCs: true,
		Annotations: map[string]string{EvidenceAnnotation: "tenant=acme,boundary=container"},
	}
	if got := makePolicy(t).Resolve(pod).Boundary(); got != BoundaryVM {
		t.Errorf("got %s, want %s", got, BoundaryVM)
	}
}

func TestReconfiguresRuntime(t *testing.T) {
	for key, want := range map[string]bool{
		"io.katacontainers.config.hypervisor.path": true,
		"cdi.k8s.io/gpu":                                true,
		"nvidia.cdi.k8s.io/gpu":                         true,
		"io.kubernetes.cri-o.Devices":                   true,
		"irq-load-balancing.crio.io":                    true,
		"seccomp-profile.kubernetes.cri-o.io/container": true,
		"dev.gvisor.spec.mount.data.share":              true,
		"run.oci.handler":                               true,
		"devices.nri.io/pod":                            true,
		"org.systemd.property.DeviceAllow":              true,
		"io.kubernetes.created-by":                      false,
		"notcdi.k8s.io.example.com/gpu":                 false,
		"example.com/cdi.k8s.io":                        false,
		"kubernetes.io/description":                     false,
	} {
		t.Run(fmt.Sprintf("%s: %t", key, want), func(t *testing.T) {
			if got := ReconfiguresRuntime(key); got != want {
				t.Errorf("got %t", got)
			}
		})
	}
}
