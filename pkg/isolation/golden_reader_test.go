package isolation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// command is one line of a golden file: a directive, words and key=value pairs. A
// value in parentheses is a list. Whatever is read is taken away, so that what is
// left over was not understood.
type command struct {
	name  string
	words *[]string
	args  map[string]string
}

func parseCommand(line string) (command, error) {
	c := command{words: &[]string{}, args: map[string]string{}}
	for rest := strings.TrimSpace(line); rest != ""; {
		var token string
		token, rest, _ = strings.Cut(rest, " ")
		for strings.Contains(token, "(") && !strings.HasSuffix(token, ")") {
			if rest == "" {
				return c, fmt.Errorf("list %s is not closed", token)
			}
			var more string
			more, rest, _ = strings.Cut(rest, " ")
			token += " " + more
		}
		key, value, pair := strings.Cut(token, "=")
		switch {
		case token == "":
			return c, errors.New("two spaces")
		case c.name == "":
			c.name = token
		case !pair:
			*c.words = append(*c.words, token)
		default:
			if _, ok := c.args[key]; ok {
				return c, fmt.Errorf("%s is given twice", key)
			}
			c.args[key] = value
		}
	}
	return c, nil
}

// word takes the first word, empty if there is none.
func (c command) word() string {
	if c.words == nil || len(*c.words) == 0 {
		return ""
	}
	w := (*c.words)[0]
	*c.words = (*c.words)[1:]
	return w
}

// flag takes the word and reports whether it was there.
func (c command) flag(word string) bool {
	i := slices.Index(*c.words, word)
	if i < 0 {
		return false
	}
	*c.words = slices.Delete(*c.words, i, i+1)
	return true
}

// value takes the value of a key.
func (c command) value(key string) (string, bool) {
	v, ok := c.args[key]
	delete(c.args, key)
	return v, ok
}

// list takes the value of a key as a list, nil if the key is not there.
func (c command) list(key string) []string {
	v, ok := c.value(key)
	if !ok {
		return nil
	}
	return append([]string{}, strings.Fields(strings.Trim(v, "()"))...)
}

// pairs takes the value of a key as a list of key=value, nil if the key is not there.
func (c command) pairs(key string) map[string]string {
	var pairs map[string]string
	for _, pair := range c.list(key) {
		if pairs == nil {
			pairs = map[string]string{}
		}
		k, v, _ := strings.Cut(pair, "=")
		pairs[k] = v
	}
	return pairs
}

// groups takes the value of a key as lists that bars separate.
func (c command) groups(key string) [][]string {
	v, ok := c.value(key)
	if !ok {
		return nil
	}
	var groups [][]string
	for group := range strings.SplitSeq(strings.Trim(v, "()"), "|") {
		groups = append(groups, strings.Fields(group))
	}
	return groups
}

func (c command) leftover() error {
	left := slices.Sorted(maps.Keys(c.args))
	if c.words != nil {
		left = append(left, *c.words...)
	}
	if len(left) > 0 {
		return fmt.Errorf("not understood: %s", strings.Join(left, ", "))
	}
	return nil
}

// parsed applies a parser to every value.
func parsed[T any](values []string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for _, value := range values {
		v, err := parse(value)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// policy [separate-by=(AXIS...)] [share-data-classes=(A B | C D)]
// [share-privileges=(A B)] [minimum-boundary=B] [preemption=P]
//
// What it does not say is as by default.
func (g *golden) setPolicy(c command) error {
	config := makeConfig()
	var err error
	if axes := c.list("separate-by"); axes != nil {
		if config.SeparateBy, err = parsed(axes, ParseAxis); err != nil {
			return err
		}
	}
	config.ShareDataClasses = c.groups("share-data-classes")
	for _, group := range c.groups("share-privileges") {
		levels, err := parsed(group, ParsePrivilege)
		if err != nil {
			return err
		}
		config.SharePrivileges = append(config.SharePrivileges, levels)
	}
	if value, ok := c.value("minimum-boundary"); ok {
		if config.MinimumBoundary, err = ParseBoundary(value); err != nil {
			return err
		}
	}
	if value, ok := c.value("preemption"); ok {
		if config.Preemption, err = ParsePreemption(value); err != nil {
			return err
		}
	}
	g.config = config
	g.policy, err = NewPolicy(config)
	return err
}

// namespace NAME [tenant=V] [data-class=V] [privilege=V] [boundary=V] [label:KEY=V]
// [platform-selected]
func (g *golden) addNamespace(c command) error {
	name := c.word()
	ns := &Namespace{Name: name, Labels: map[string]string{}, PlatformSelected: c.flag("platform-selected")}
	c.takeLabels(ns.Labels, "tenant", "data-class", "privilege", "boundary")
	if _, ok := g.namespaces[name]; ok || name == "" {
		return fmt.Errorf("namespace %q is empty or defined twice", name)
	}
	g.namespaces[name] = ns
	g.unused["namespace "+name] = true
	return nil
}

// takeLabels takes each key as a label of the contract, and label:KEY as it stands.
func (c command) takeLabels(labels map[string]string, keys ...string) {
	for _, key := range keys {
		if v, ok := c.value(key); ok {
			labels["tenantisolation.dev/"+key] = v
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.args)) {
		if label, ok := strings.CutPrefix(key, "label:"); ok {
			labels[label], _ = c.value(key)
		}
	}
}

// pod NAME in=NAMESPACE|unknown [older] [spec=PRIVILEGE|unknown] [user-namespace=pod]
// [runtime-class=NAME [handler=NAME|none|uncertain]] [host=(ACCESS...)]
// [tenant=V] [data-class=V] [privilege=V] [boundary=V] [annotations=(KEY...)]
//
// Its handler is called as its RuntimeClass unless handler says otherwise;
// handler=none is a RuntimeClass that does not exist, handler=uncertain one that
// was made after the pod had been started.
func (g *golden) addPod(c command) error {
	name := c.word()
	if _, ok := g.pods[name]; ok || name == "" {
		return fmt.Errorf("pod %q is empty or defined twice", name)
	}
	p := Pod{Labels: map[string]string{}, Annotations: map[string]string{}, Privilege: PrivilegeRestricted}
	if in, _ := c.value("in"); in != "unknown" {
		ns, ok := g.namespaces[in]
		if !ok {
			return fmt.Errorf("unknown namespace %q", in)
		}
		p.Namespace = ns
		delete(g.unused, "namespace "+in)
	}
	p.OlderThanNamespace = c.flag("older")
	if value, ok := c.value("spec"); ok {
		var err error
		if p.Privilege, err = ParsePrivilege(value); err != nil && value != "unknown" {
			return err
		}
	}
	if value, ok := c.value("user-namespace"); ok {
		if value != "pod" {
			return fmt.Errorf("user-namespace=%s: say pod, or nothing for the host's", value)
		}
		p.UserNamespace = UserNamespacePod
	}
	if class, ok := c.value("runtime-class"); ok {
		p.RuntimeClass, p.Handler, p.RuntimeClassFound = class, class, true
		if handler, ok := c.value("handler"); ok && handler == "uncertain" {
			p.HandlerUncertain = true
		} else if ok {
			p.Handler = handler
		}
		if p.Handler == "none" {
			p.Handler, p.RuntimeClassFound = "", false
		}
	}
	for _, way := range c.list("host") {
		access := HostAccess(1)
		for access.String() != strings.ReplaceAll(way, "-", " ") {
			if access <<= 1; access == 0 {
				return fmt.Errorf("unknown host access %q", way)
			}
		}
		p.HostAccess |= access
	}
	c.takeLabels(p.Labels, "tenant", "data-class", "privilege", "boundary")
	for _, key := range c.list("annotations") {
		p.Annotations[key] = "x"
	}
	g.pods[name] = p
	g.unused["pod "+name] = true
	return nil
}

// node NAME [handlers=(NAME...)]
func (g *golden) addNode(c command) error {
	name := c.word()
	if _, ok := g.nodes[name]; ok || name == "" {
		return fmt.Errorf("node %q is empty or defined twice", name)
	}
	n := Node{}
	if handlers := c.list("handlers"); handlers != nil {
		n.Handlers = map[string]bool{}
		for _, h := range handlers {
			n.Handlers[h] = true
		}
	}
	g.nodes[name] = n
	g.unused["node "+name] = true
	return nil
}

func (g *golden) pod(name string) (Pod, error) {
	p, ok := g.pods[name]
	if !ok {
		return p, fmt.Errorf("unknown pod %q", name)
	}
	delete(g.unused, "pod "+name)
	return p, nil
}

// A golden file that is misread says nothing, so whatever is not understood fails.
func TestGoldenReaderIsStrict(t *testing.T) {
	const begin = "namespace a tenant=acme\npod web in=a\n"
	for name, tc := range map[string]struct{ text, want string }{
		"a question and its answer":           {begin + "decide web\n----\nadmit EmptyNode\n", ""},
		"an unknown directive":                {begin + "judge web\n----\nadmit EmptyNode\n", `3: unknown directive "judge"`},
		"a comment without a space":           {"#decide\n", "1: unknown directive"},
		"a leftover argument":                 {begin + "decide web besides=(web)\n----\nadmit EmptyNode\n", "3: not understood: besides"},
		"a leftover word":                     {begin + "decide web now\n----\nadmit EmptyNode\n", "3: not understood: now"},
		"a leftover argument of a definition": {"namespace a tenants=acme\n", "1: not understood: tenants"},
		"an argument twice":                   {"namespace a tenant=acme tenant=globex\n", "1: tenant is given twice"},
		"a list without an end":               {begin + "decide web beside=(web\n", "3: list beside=(web is not closed"},
		"a question without an answer":        {begin + "decide web\n", "3: a question is followed by ----"},
		"a definition with an answer":         {"namespace a tenant=acme\n----\nadmit EmptyNode\n", "1: a definition has no answer"},
		"an answer without a question":        {begin + "----\nadmit EmptyNode\n", "2: a definition has no answer"},
		"a pod that is not defined":           {"decide web\n----\nadmit EmptyNode\n", `1: unknown pod "web"`},
		"a namespace that is not defined":     {"pod web in=a\n", `1: unknown namespace "a"`},
		"a node that is not defined":          {begin + "decide web on=big\n----\nadmit EmptyNode\n", `3: unknown node "big"`},
		"a pod twice":                         {begin + "pod web in=a\n", `3: pod "web" is empty or defined twice`},
		"a pod that no question is about":     {begin, "2: never asked about: pod web"},
		"a policy at fault":                   {"policy minimum-boundary=container\n", "1: MinimumBoundary"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := answerGolden(tc.text)
			if (err == nil) != (tc.want == "") || (err != nil && !strings.HasPrefix(err.Error(), tc.want)) {
				t.Errorf("got error %v, want %q", err, tc.want)
			}
		})
	}
}
