package app

import (
	"context"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/audit"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/inforce"
	"tenantisolation.dev/scheduler/pkg/podfacts"
)

// follow makes the plugin that goes by what is in force of an IsolationPolicy.
func (p *Process) follow(ctx context.Context, parts *parts, name string) (fwk.Plugin, error) {
	client, err := dynamic.NewForConfig(forObjects(parts.handle.KubeConfig()))
	if err != nil {
		return nil, err
	}
	follower := inforce.NewFollower(client, name)
	p.addEngine(parts, dedication.Settings{Enabled: true}, true)
	parts.addPlugin()
	parts.addAuditor(audit.Settings{Paused: true})
	parts.engine.SetBlind(true)
	applied := &applied{parts: parts}
	if err := follower.OnChange(parts.logger, applied.apply); err != nil {
		return nil, err
	}
	leader := inforce.NewLeader(inforce.Config{
		Client:    parts.handle.ClientSet(),
		Dynamic:   client,
		Follower:  follower,
		Cluster:   parts.store,
		Controls:  newControls(parts.handle),
		Findings:  parts.auditor.Findings,
		Dedicated: parts.engine.Count,
		SetBlind:  parts.engine.SetBlind,
		Clock:     clock.RealClock{},
		Logger:    klog.LoggerWithName(parts.logger, "policy"),
	})
	if err := watch(parts.handle, follower, leader); err != nil {
		return nil, err
	}
	if err := p.start(ctx, parts); err != nil {
		return nil, err
	}
	go follower.Run(ctx)
	go func() {
		if p.awaitElection(ctx, parts) {
			go reportsWriter(client, follower, parts).Run(ctx)
			leader.Run(ctx)
		}
	}()
	return parts.plugin, nil
}

// forObjects returns the configuration of a client for custom resources, which have no protobuf form.
func forObjects(of *rest.Config) *rest.Config {
	with := rest.CopyConfig(of)
	with.ContentType, with.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return with
}

// applied puts what is in force into the parts of a process.
type applied struct {
	parts *parts
	last  *v1alpha1.IsolationPolicySpec
}

// apply is called for every version of the object, one at a time.
func (a *applied) apply(object *v1alpha1.IsolationPolicy) {
	var spec *v1alpha1.IsolationPolicySpec
	if object != nil && object.Status.InForce != nil {
		spec = &object.Status.InForce.Spec
	}
	if a.last != nil && spec != nil && reflect.DeepEqual(a.last, spec) {
		return
	}
	rules := podfacts.NoRules()
	if spec != nil {
		var err error
		if rules, err = podfacts.NewRules(spec); err != nil {
			// The leader has accepted it, so it is of another release.
			a.parts.logger.Error(err, "The policy in force cannot be read: no pod is placed", "generation", object.Status.InForce.Generation)
			rules, spec = podfacts.NoRules(), nil
		}
	}
	if a.last == nil && spec == nil {
		return
	}
	a.last = spec
	if spec == nil {
		a.parts.logger.Info("No IsolationPolicy is in force: no pod is placed")
		a.parts.store.SetRules(rules)
		a.parts.auditor.Configure(audit.Settings{Paused: true})
		return
	}
	a.parts.logger.Info("Another policy is in force", "generation", object.Status.InForce.Generation)
	a.parts.engine.Configure(dedicationSettings(spec, beside(object.Status.InForce)))
	a.parts.store.SetRules(rules)
	// The labels of nodes may change with them, though no pod's verdict does.
	a.parts.engine.RulesChanged()
	a.parts.auditor.Configure(auditSettings(spec))
}

// watch has the leader look whenever something that it keeps has changed.
func watch(handle fwk.Handle, follower *inforce.Follower, leader *inforce.Leader) error {
	if err := follower.OnChange(klog.Background(), func(*v1alpha1.IsolationPolicy) { leader.Look() }); err != nil {
		return err
	}
	look := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { leader.Look() }, UpdateFunc: func(any, any) { leader.Look() }, DeleteFunc: func(any) { leader.Look() },
	}
	doubt := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { leader.Doubt() }, UpdateFunc: func(any, any) { leader.Doubt() }, DeleteFunc: func(any) { leader.Doubt() },
	}
	factory := handle.SharedInformerFactory()
	policies := factory.Admissionregistration().V1()
	for _, w := range []struct {
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{factory.Node().V1().RuntimeClasses().Informer(), look},
		{factory.Core().V1().Namespaces().Informer(), look},
		{policies.MutatingWebhookConfigurations().Informer(), look},
		{policies.ValidatingAdmissionPolicies().Informer(), doubt},
		{policies.ValidatingAdmissionPolicyBindings().Informer(), doubt},
		{policies.MutatingAdmissionPolicies().Informer(), doubt},
		{policies.MutatingAdmissionPolicyBindings().Informer(), doubt},
	} {
		if _, err := w.informer.AddEventHandler(w.handler); err != nil {
			return err
		}
	}
	return nil
}
