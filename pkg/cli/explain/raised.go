package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	psaapi "k8s.io/pod-security-admission/api"
	psapolicy "k8s.io/pod-security-admission/policy"

	"tenantisolation.dev/scheduler/pkg/isolation"
)

// raised lists the checks of the Pod Security Standards that a pod fails, those of the
// baseline level first.
func raised(pod *v1.Pod) ([]Raised, error) {
	evaluator, err := psapolicy.NewEvaluator(psapolicy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	var all []Raised
	seen := map[string]bool{}
	for _, level := range []struct {
		level psaapi.Level
		makes isolation.Privilege
	}{
		{psaapi.LevelBaseline, isolation.PrivilegePrivileged},
		{psaapi.LevelRestricted, isolation.PrivilegeBaseline},
	} {
		lv := psaapi.LevelVersion{Level: level.level, Version: psaapi.LatestVersion()}
		for _, result := range evaluator.EvaluatePod(lv, &pod.ObjectMeta, &pod.Spec) {
			// A pod that fails a baseline check fails the restricted one too.
			if result.Allowed || seen[result.ForbiddenReason] {
				continue
			}
			seen[result.ForbiddenReason] = true
			all = append(all, Raised{
				Level:  level.makes.String(),
				Reason: result.ForbiddenReason,
				Detail: result.ForbiddenDetail,
				Fields: fields(pod, result.ForbiddenDetail),
			})
		}
	}
	return all, nil
}

// RaisedBy lists the failed checks that give a pod this privilege, or any if it is empty.
func RaisedBy(pod *v1.Pod, privilege string) ([]Raised, error) {
	all, err := raised(pod)
	if privilege == "" {
		return all, err
	}
	return slices.DeleteFunc(all, func(r Raised) bool { return r.Level != privilege }), err
}

// fields finds paths in the text of a check: it quotes containers and volumes, and names a
// field of the security context.
func fields(pod *v1.Pod, detail string) []string {
	field := regexp.MustCompile(`securityContext\.[A-Za-z.]+[A-Za-z]`).FindString(detail)
	places := map[string]string{}
	add := func(list, name string) { places[name] = fmt.Sprintf("spec.%s[%s]", list, name) }
	for i := range pod.Spec.Volumes {
		add("volumes", pod.Spec.Volumes[i].Name)
		if pod.Spec.Volumes[i].HostPath != nil {
			places[pod.Spec.Volumes[i].Name] += ".hostPath"
		}
	}
	for i := range pod.Spec.Containers {
		add("containers", pod.Spec.Containers[i].Name)
	}
	for i := range pod.Spec.InitContainers {
		add("initContainers", pod.Spec.InitContainers[i].Name)
	}
	for i := range pod.Spec.EphemeralContainers {
		add("ephemeralContainers", pod.Spec.EphemeralContainers[i].Name)
	}
	var paths []string
	for _, quoted := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(detail, -1) {
		place, known := places[quoted[1]]
		if !known {
			continue
		}
		if field != "" && !strings.HasPrefix(place, "spec.volumes") {
			place += "." + field
		}
		paths = append(paths, place)
	}
	if strings.HasPrefix(detail, "pod must") || strings.Contains(detail, "pod or container") || strings.Contains(detail, "pod or containers") {
		paths = append(paths, "spec."+field)
	}
	for _, name := range []string{"hostNetwork", "hostPID", "hostIPC"} {
		if strings.Contains(detail, name+"=true") {
			paths = append(paths, "spec."+name)
		}
	}
	return paths
}
