package admission

// threats are the rows of the threat model that admission can close. The others have no
// request that a policy could see: a kubelet's own static pods (7, in part), what a node
// says about itself (10), what runs on a node already (15, 16, 17), and
// what a tenant reads out of the scheduler's behaviour (18).
func threats() []threat {
	return []threat{
		labelSpoofing(), labelMutation(), bindingRewrites(), nodeName(), otherScheduler(),
		ephemeralContainers(), mirrorPods(), daemonSets(), runtimeClasses(), hostSharing(),
		holesInTheVM(), namespaceLabels(), nodeNameOfADedicatedNode(), unmanagedOnDedicatedNodes(), deposedScheduler(),
		dedicationsWritten(), pluginAbsent(), forceDelete(), templates(), volumesSwapped(), runtimesReconfigured(),
		othersPlacement(), dedicationsAskedFor(), othersEvicted(), hugePods(), policyWritten(),
	}
}
