package inforce

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"tenantisolation.dev/scheduler/api/v1alpha1"
	"tenantisolation.dev/scheduler/pkg/dedication"
	"tenantisolation.dev/scheduler/pkg/podfacts"
	"tenantisolation.dev/scheduler/pkg/policy"
)

const (
	// lookEvery is how often everything is looked at, whether or not something has changed.
	lookEvery = 10 * time.Second
	// retryAfter is how long after a look that failed the next one is.
	retryAfter = time.Second
	// askEvery is how often the API server is asked whether it answers by the newest parameter.
	askEvery = time.Minute
	// namespacesPerLook bounds the tenant labels that are copied in one go.
	namespacesPerLook = 500
	// refusalsPerLook bounds those that are refused, which are tried again with every look. They come in no order, so that
	// others have their turn.
	refusalsPerLook = 10
)

// Controls are the admission policies, as the leader knows them.
type Controls interface {
	// Parameter returns the ConfigMap that the policies read.
	Parameter(inForce *v1alpha1.InForce) *v1.ConfigMap
	// Differences returns what is not as shipped, in sentences; none for an enforcement that needs none.
	Differences(ctx context.Context, inForce *v1alpha1.InForce) ([]string, error)
}

// Cluster is what the leader reads of the cluster.
type Cluster interface {
	// RuntimeClasses returns all RuntimeClasses.
	RuntimeClasses() []*nodev1.RuntimeClass
	// Namespaces returns all namespaces. The caller must not change them.
	Namespaces() []*v1.Namespace
	// Nodes returns all nodes. The caller must not change them.
	Nodes() []*v1.Node
}

// Config is what a Leader works with.
type Config struct {
	// Client and Dynamic are clients of the API server.
	Client  kubernetes.Interface
	Dynamic dynamic.Interface
	// Follower is that of the object.
	Follower *Follower
	// Cluster is read.
	Cluster Cluster
	// Controls are the admission policies.
	Controls Controls
	// Findings returns how many findings the audit has, false if it does not know.
	Findings func() (int, bool)
	// Dedicated returns how many nodes are dedicated.
	Dedicated func() int
	// SetBlind is called with true while the API server may answer by an old parameter.
	SetBlind func(bool)
	// Clock tells the time.
	Clock clock.WithTicker
	// Logger logs.
	Logger klog.Logger
}

// Leader keeps the policy in force. Only the leader of the scheduler runs one.
type Leader struct {
	Config
	wake chan struct{}
	// nonce is that of the parameter that was written last, seenNonce that which the API server has last
	// proved to see, and when.
	nonce, seenNonce string
	seen             time.Time
	// doubted: a policy or binding has changed since the API server was asked.
	doubted atomic.Bool
	// stale is what the API server was last found to do wrong.
	stale *notEnforced
	// trust makes whoever says whether the API server is to be trusted take turns.
	trust sync.Mutex
}

// NewLeader returns a leader. Run starts it.
func NewLeader(config Config) *Leader {
	registerMetrics()
	l := &Leader{Config: config, wake: make(chan struct{}, 1)}
	l.doubted.Store(true)
	return l
}

// Look has everything looked at soon: something has changed.
func (l *Leader) Look() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Doubt is Look after a change of an admission policy or binding: until the API server has been asked, no
// pod is placed on its word.
func (l *Leader) Doubt() {
	l.trust.Lock()
	l.doubted.Store(true)
	l.SetBlind(true)
	l.trust.Unlock()
	l.Look()
}

// Run keeps the policy in force until the context ends.
func (l *Leader) Run(ctx context.Context) {
	ticker := l.Clock.NewTicker(lookEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		err := l.look(ctx)
		var retry <-chan time.Time
		if err != nil && ctx.Err() == nil {
			if !errors.Is(err, errMoved) && !apierrors.IsConflict(err) {
				l.Logger.Error(err, "Keeping the IsolationPolicy in force failed, trying again")
			}
			retry = l.Clock.After(retryAfter)
		}
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-ticker.C():
		case <-retry:
		}
	}
}

// look brings everything in step with the object once.
func (l *Leader) look(ctx context.Context) error {
	object := l.Follower.Policy()
	if object == nil {
		return l.withdraw(ctx)
	}
	status := *object.Status.DeepCopy()
	status.ObservedGeneration = object.Generation
	rules, fault := l.accept(object, &status)
	if status.InForce == nil {
		l.setRest(&status, fault)
		l.setEnforced(&status, &notEnforced{"NoPolicy", "no policy is in force"})
		return errors.Join(l.withdraw(ctx), l.writeStatus(ctx, object, &status))
	}
	if err := l.writeParameter(ctx, object, status.InForce); err != nil {
		return err
	}
	// A namespace that refuses its tenant has none, and keeps nothing else from being looked at.
	refused := l.copyTenants(ctx, rules, status.InForce.Spec.TenantFrom)
	// The pods that wait are placed by it as soon as it is written, so first without what takes time.
	if !equality.Semantic.DeepEqual(object.Status.InForce, status.InForce) {
		l.setRest(&status, fault)
		if err := l.writeStatus(ctx, object, &status); err != nil {
			return err
		}
		l.Look()
		return refused
	}
	l.setEnforced(&status, l.check(ctx, object, status.InForce))
	l.setRest(&status, fault)
	return errors.Join(refused, l.writeStatus(ctx, object, &status))
}

// errMoved: the follower is behind, and the change will come.
var errMoved = errors.New("the IsolationPolicy has changed meanwhile")

// confirm returns an error unless the object is the newest version: a leader that was paused must not
// write a parameter from what was in force then.
func (l *Leader) confirm(ctx context.Context, object *v1alpha1.IsolationPolicy) error {
	newest, err := l.Dynamic.Resource(v1alpha1.Resource).Get(ctx, object.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the IsolationPolicy: %w", err)
	}
	if newest.GetResourceVersion() != object.ResourceVersion || newest.GetUID() != object.UID {
		return errMoved
	}
	return nil
}

// accept puts the spec into force, if nothing is wrong with it. It returns the rules in force, and the fault.
func (l *Leader) accept(object *v1alpha1.IsolationPolicy, status *v1alpha1.IsolationPolicyStatus) (rules *podfacts.Rules, fault error) {
	inForce := &v1alpha1.InForce{Generation: object.Generation, Spec: object.Spec}
	if errs := policy.Validate(&object.Spec); len(errs) > 0 {
		fault = errs.ToAggregate()
	}
	rules, err := podfacts.NewRules(&object.Spec)
	if err != nil {
		fault = errors.Join(fault, err)
	}
	if fault != nil {
		if inForce = status.InForce; inForce == nil {
			return nil, fault
		}
		// What the classes are taken for changes with them.
		if rules, err = podfacts.NewRules(&inForce.Spec); err != nil {
			status.InForce = nil
			return nil, errors.Join(fault, err)
		}
	}
	inForce.RuntimeClasses = runtimeClasses(rules, l.Cluster.RuntimeClasses())
	status.InForce = inForce
	return rules, fault
}

func runtimeClasses(rules *podfacts.Rules, classes []*nodev1.RuntimeClass) []v1alpha1.RuntimeClassBoundary {
	var taken []v1alpha1.RuntimeClassBoundary
	for _, class := range classes {
		taken = append(taken, v1alpha1.RuntimeClassBoundary{
			Name: class.Name, Handler: class.Handler, Boundary: v1alpha1.Boundary(rules.BoundaryOf(class.Handler).String()),
		})
	}
	slices.SortFunc(taken, func(a, b v1alpha1.RuntimeClassBoundary) int { return strings.Compare(a.Name, b.Name) })
	return taken
}

// withdraw takes the parameter away: without one, the admission policies refuse the pods of managed
// namespaces, as the scheduler does.
func (l *Leader) withdraw(ctx context.Context) error {
	l.SetBlind(true)
	l.doubted.Store(true)
	l.nonce = ""
	parameter := l.Controls.Parameter(&v1alpha1.InForce{})
	err := l.Client.CoreV1().ConfigMaps(parameter.Namespace).Delete(ctx, parameter.Name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// writeParameter brings the ConfigMap of the policies in step with what is in force of the object.
func (l *Leader) writeParameter(ctx context.Context, object *v1alpha1.IsolationPolicy, inForce *v1alpha1.InForce) error {
	wanted := l.Controls.Parameter(inForce)
	configMaps := l.Client.CoreV1().ConfigMaps(wanted.Namespace)
	found, err := configMaps.Get(ctx, wanted.Name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	// Only now: if another leader writes after this, the version that was read is an old one.
	if err := l.confirm(ctx, object); err != nil {
		return err
	}
	if !missing && l.nonce != "" {
		wanted.Data[nonceKey] = l.nonce
		if maps.Equal(found.Data, wanted.Data) && len(found.BinaryData) == 0 {
			return nil
		}
	}
	nonce := newNonce()
	wanted.Data[nonceKey] = nonce
	if missing {
		_, err = configMaps.Create(ctx, wanted, metav1.CreateOptions{})
	} else {
		found = found.DeepCopy()
		found.Data, found.BinaryData = wanted.Data, nil
		_, err = configMaps.Update(ctx, found, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("writing the parameter of the admission policies: %w", err)
	}
	l.nonce = nonce
	return nil
}

// copyTenants copies the tenant label to the namespaces whose tenant another product names.
func (l *Leader) copyTenants(ctx context.Context, rules *podfacts.Rules, from *v1alpha1.TenantFrom) error {
	if from == nil {
		return nil
	}
	copied, refusals := 0, 0
	var refused error
	for _, ns := range l.Cluster.Namespaces() {
		tenant := ns.Labels[from.NamespaceLabel]
		// Some products label every namespace; those of the platform are no tenant's.
		if tenant == "" || ns.Labels[tenantLabel] == tenant || ns.DeletionTimestamp != nil || rules.IsPlatform(ns.Name, ns.Labels) {
			continue
		}
		if copied++; copied > namespacesPerLook {
			if refused == nil {
				l.Look()
			}
			break
		}
		err := l.label(ctx, ns.Name, tenant)
		if err == nil || apierrors.IsNotFound(err) {
			continue
		}
		refused = fmt.Errorf("copying the tenant of namespace %s: %w", ns.Name, err)
		// Any other error the next one would have as well.
		if refusals++; !dedication.IsRefusal(err) || refusals == refusalsPerLook {
			break
		}
	}
	return refused
}
