package preflight

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/admission"
)

// ChartFile is the file that `kubectl isolation chart` writes.
const ChartFile = "tenant-isolation.tgz"

// advice is what to do about a finding.
type advice struct {
	says string
	run  []string
}

// advise takes commands for a shell, which a user of nothing but kubectl, Helm and the tool can run.
func advise(says string, run ...string) advice { return advice{says, run} }

// quoted is a text as one word of a shell: tenants write some of what is in the advice.
func quoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// install brings the project into the cluster, or back what was changed or removed of it. What is there keeps
// its image, size and policy.
func (c *Checker) install(deployments []appsv1.Deployment) advice {
	const chart = "kubectl isolation chart " + ChartFile
	if len(deployments) == 0 {
		return advise("install it. REPOSITORY and TAG are of the image of the scheduler in your registry", chart,
			"helm upgrade --install tenant-isolation "+ChartFile+" --namespace kube-system --take-ownership --force-conflicts --set-string image.repository=REPOSITORY,image.tag=TAG")
	}
	d := &deployments[0]
	if release := d.Annotations["meta.helm.sh/release-name"]; release != "" {
		return advise("bring it back as shipped", chart, "helm upgrade "+quoted(release)+" "+ChartFile+
			" --namespace "+quoted(d.Annotations["meta.helm.sh/release-namespace"])+" --reset-then-reuse-values --force-conflicts")
	}
	command := "helm upgrade --install tenant-isolation " + ChartFile + " --namespace kube-system --take-ownership --force-conflicts"
	if containers := d.Spec.Template.Spec.Containers; len(containers) > 0 {
		command += " --set-string " + quoted(imageValues(containers[0].Image))
	}
	if d.Spec.Replicas != nil && *d.Spec.Replicas > 0 {
		command += " --set replicas=" + strconv.Itoa(int(*d.Spec.Replicas))
	}
	if c.Policy != nil {
		command += policyValues(c.Policy.Enforcement, c.Policy.Dedication.Mode)
	}
	return advise("bring it back as shipped, as a release of Helm. What was installed with a kustomization of your own can be applied again instead", chart, command)
}

// enforce makes policies that observe refuse, and dedicates nodes, as the chart does by itself.
func (c *Checker) enforce(deployments []appsv1.Deployment) advice {
	made := (&Checker{}).install(deployments)
	made.says = "once the warnings are resolved, enforce them, and dedicate nodes. They are made anew, as an upgrade merges lists with those that are there"
	made.run = slices.Insert(made.run, 1,
		"kubectl delete validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings --selector=app.kubernetes.io/part-of=tenant-isolation")
	made.run[len(made.run)-1] += policyValues(v1alpha1.EnforcementEnforce, v1alpha1.ModeEnabled)
	return made
}

// restore brings policies back. Those that were changed are made anew, as an upgrade leaves what others have added to
// a list. The keepers stay: without them the API server stops following parameters.
func (c *Checker) restore(deployments []appsv1.Deployment, found []admission.Difference) advice {
	made := c.install(deployments)
	var changed []string
	for _, difference := range found {
		if difference.Field != "" && difference.Name != admission.Keeper {
			changed = append(changed, strings.ToLower(difference.Kind)+"/"+difference.Name)
		}
	}
	if len(changed) > 0 {
		made.says += ". What was changed is made anew, as an upgrade leaves what was added to a list"
		made.run = slices.Insert(made.run, 1, "kubectl delete "+strings.Join(changed, " "))
	}
	return made
}

func policyValues(enforcement v1alpha1.Enforcement, mode v1alpha1.Mode) string {
	return " --set policy.enforcement=" + string(enforcement) + ",policy.dedication.mode=" + string(mode)
}

// imageValues are the values of the chart for an image.
func imageValues(image string) string {
	if repository, digest, found := strings.Cut(image, "@"); found {
		return "image.repository=" + repository + ",image.digest=" + digest
	}
	colon := strings.LastIndex(image, ":")
	if colon < strings.LastIndex(image, "/") || colon < 0 {
		return "image.repository=" + image
	}
	return "image.repository=" + image[:colon] + ",image.tag=" + image[colon+1:]
}

// maxCommands is how many commands of one kind a line has: like names, the rest follows the same pattern.
const maxCommands = maxNamed

func first(commands []string) []string { return commands[:min(len(commands), maxCommands)] }

// each makes a command of each name.
func each(format string, names []string) []string {
	var commands []string
	for _, name := range names {
		commands = append(commands, fmt.Sprintf(format, name))
	}
	return first(commands)
}

func restart(kind, namespace, name string) string {
	return fmt.Sprintf("kubectl rollout restart --namespace=%s %s/%s", namespace, kind, name)
}

func explain(kind, namespace, name string) string {
	return fmt.Sprintf("kubectl get --namespace=%s %s %s --output=yaml | kubectl isolation explain --filename=-", namespace, kind, name)
}

// changePolicy advises to change the IsolationPolicy, by the last of the commands.
func (c *Checker) changePolicy(says string, run ...string) advice {
	if !c.Installed {
		return advise(says+". There is no IsolationPolicy to say it in yet: install it first, and run preflight again", run[:len(run)-1]...)
	}
	return advise(says, run...)
}

// addPlatform adds namespaces to those of the platform.
func addPlatform(names []string) string {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value"`
	}
	var patch []operation
	for _, name := range names {
		patch = append(patch, operation{"add", "/spec/platformNamespaces/names/-", name})
	}
	return patchPolicy("json", patch)
}

// listHandlers says that handlers of RuntimeClasses start virtual machines.
func listHandlers(handlers []string) string {
	vms := map[string]v1alpha1.Boundary{}
	for _, handler := range handlers {
		vms[handler] = v1alpha1.BoundaryVM
	}
	return patchPolicy("merge", map[string]any{"spec": map[string]any{"boundaries": map[string]any{"handlers": vms}}})
}

// labelAllNodes has every node labelled, by a selector that matches them all.
func labelAllNodes() string {
	all := map[string]any{"selector": map[string]any{}}
	return patchPolicy("json", []map[string]any{{"op": "add", "path": "/spec/nodeLabel", "value": all}})
}

func patchPolicy(kind string, patch any) string {
	text, err := json.Marshal(patch)
	utilruntime.Must(err)
	return "kubectl patch isolationpolicy " + v1alpha1.DefaultName + " --type=" + kind + " --patch=" + quoted(string(text))
}
