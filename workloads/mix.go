package workloads

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"coup/cluster"
	"coup/harness"
)

// part is one of several workloads that run at once.
type part struct {
	name string
	Workload
}

// Every function of a load of several workloads has the name of its workload in front
// ("set.add"), and so has every key ("set-k0"): each object belongs to one of them. Keys
// that stand in values, as those of transactions do, stay what they are.

func (p part) key(key string) string {
	if key == "" {
		return ""
	}
	return p.name + "-" + key
}

// out is an operation of the workload as one of the load, and in is the reverse.
func (p part) out(op harness.Op) harness.Op {
	op.F, op.Key = p.name+"."+op.F, p.key(op.Key)
	return op
}

func (p part) in(op harness.Op) harness.Op {
	_, op.F = harness.Function(op.F)
	op.Key = strings.TrimPrefix(op.Key, p.name+"-")
	return op
}

// functions are those of the workload, as they are called in the load.
func (p part) functions(all []string) (named []string) {
	for _, f := range all {
		named = append(named, p.name+"."+f)
	}
	return named
}

// mix is several workloads as one: each operation is one of any of them.
func mix(parts []part) Workload {
	w := Workload{Doc: "several workloads at once, each on objects of its own", parts: parts}
	find := func(f string) (part, bool) {
		name, _ := harness.Function(f)
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return part{}, false
		}
		return parts[i], true
	}
	w.Generator = func(o Options) harness.Generator {
		m := mixed{parts, make([]harness.Generator, len(parts))}
		for i, p := range parts {
			m.of[i] = p.Generator(o)
		}
		return m
	}
	w.Final = func(keys []string) harness.Generator {
		m := mixed{parts, make([]harness.Generator, len(parts))}
		for i, p := range parts {
			var own []string
			for _, k := range keys {
				if owner, key, named := cutLast(k); named && p.Keys == nil && owner == p.name {
					own = append(own, key)
				} else if !named && p.Keys != nil && p.Owns(k) {
					own = append(own, k)
				}
			}
			m.of[i] = p.Final(own)
		}
		return m
	}
	w.Keys = func(op harness.Op) []string {
		p, ok := find(op.F)
		if !ok || p.Keys == nil {
			return []string{op.Key}
		}
		return p.Keys(p.in(op))
	}
	w.Invoke = func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		p, ok := find(op.F)
		if !ok {
			return nil, unknownFunction(op)
		}
		if sessions, ok := c.(sessions); ok {
			c = sessions.of[p.name]
		}
		_, op.F = harness.Function(op.F) // the system sees the key that the history has
		return p.Invoke(ctx, c, op)
	}
	w.Session = func(c cluster.Conn) cluster.Conn {
		s := sessions{c, map[string]cluster.Conn{}}
		for _, p := range parts {
			s.of[p.name] = c
			if p.Session != nil {
				s.of[p.name] = p.Session(c)
			}
		}
		return s
	}
	w.Looks = func(op *harness.Operation) bool {
		p, ok := find(op.F)
		if !ok {
			return false
		}
		own := *op
		_, own.F = harness.Function(op.F)
		return p.OnlyLooks(&own)
	}
	w.Supports = func(c cluster.Conn) bool {
		return !slices.ContainsFunc(parts, func(p part) bool { return !p.Supports(c) })
	}
	w.Decode = func(t harness.Type, f string, raw json.RawMessage) (any, error) {
		p, ok := find(f)
		if !ok {
			return nil, fmt.Errorf("no workload of this load has a function %q", f)
		}
		_, f = harness.Function(f)
		return p.Decode(t, f, raw)
	}
	w.Checkers = func() (all []harness.Checker) {
		for _, p := range parts {
			for _, c := range p.Checkers() {
				all = append(all, Part{p.name, c})
			}
		}
		return all
	}
	for _, p := range parts {
		w.Conditional = append(w.Conditional, p.functions(p.Conditional)...)
		w.Unserved = append(w.Unserved, p.functions(p.Unserved)...)
		for _, f := range p.Needs {
			// The next operation of a process is rarely one of the same object, so a lease may be
			// over each time.
			if !slices.Contains(p.Conditional, f) {
				w.Needs = append(w.Needs, p.functions([]string{f})...)
			}
		}
	}
	return w
}

// sessions is a connection of several workloads, each with its own memory of it.
type sessions struct {
	cluster.Conn
	of map[string]cluster.Conn // by workload
}

// cutLast cuts the name of a workload from a key; names have hyphens, and keys have none.
func cutLast(key string) (name, rest string, ok bool) {
	i := strings.LastIndexByte(key, '-')
	if i < 0 {
		return "", key, false
	}
	return key[:i], key[i+1:], true
}

// mixed draws from several generators at random.
type mixed struct {
	parts []part
	of    []harness.Generator // of each part; nil: it is exhausted
}

func (g mixed) Next(m harness.Moment) (harness.Op, harness.Generator) {
	g.of = slices.Clone(g.of)
	var wait harness.Op
	waits := false
	first := m.Rand.IntN(len(g.of))
	for n := range g.of {
		i := (first + n) % len(g.of)
		if g.of[i] == nil {
			continue
		}
		var op harness.Op
		op, g.of[i] = g.of[i].Next(m)
		switch {
		case g.of[i] == nil:
		case op.F != "":
			return g.parts[i].out(op), g
		case !waits || op.Time > 0 && (wait.Time == 0 || op.Time < wait.Time):
			wait, waits = op, true
		}
	}
	if !waits {
		return harness.Op{}, nil
	}
	return wait, g
}

func (g mixed) Update(m harness.Moment, op harness.Op) harness.Generator {
	name, _ := harness.Function(op.F)
	for i, p := range g.parts {
		if p.name == name && g.of[i] != nil {
			g.of = slices.Clone(g.of)
			g.of[i] = g.of[i].Update(m, p.in(op))
		}
	}
	return g
}

// Part judges the operations of one workload, in a load of several.
type Part struct {
	Of      string // the workload
	Checker harness.Checker
}

// Name implements [harness.Checker].
func (p Part) Name() string { return fmt.Sprintf("%s (%s)", p.Checker.Name(), p.Of) }

// Judges implements [harness.Judging].
func (p Part) Judges() harness.Subject { return harness.SubjectOf(p.Checker) }

// Needs implements [harness.Needing].
func (p Part) Needs() harness.Facts { return harness.NeedsOf(p.Checker) }

// Check implements [harness.Checker].
func (p Part) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	own := *h
	own.Operations = nil
	for _, op := range h.Operations {
		if name, f := harness.Function(op.F); name == p.Of {
			op.F = f
			own.Operations = append(own.Operations, op)
		}
	}
	r, err := p.Checker.Check(ctx, &own)
	r.Checker = p.Name()
	return r, err
}

// Without is the name of a checker without the workload that [Part] adds.
func Without(checker string) (name, workload string) {
	name, workload, _ = strings.Cut(strings.TrimSuffix(checker, ")"), " (")
	return name, workload
}
