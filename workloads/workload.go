// Package workloads holds what clients do to a system: for each workload the
// generator of its operations, the client that performs them through whatever
// connection a system offers, and the checkers that judge the history.
//
// Start with [Find]. A new workload is one file and one line in [All].
package workloads

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/checker/online"
	"coup/checker/transactions"
	"coup/cluster"
	"coup/harness"
)

// Workload is a kind of load together with the promise that it tests.
type Workload struct {
	Name string // as in All; [Find] sets it
	Doc  string // one line
	// Generator returns the operations of the load, without end.
	Generator func(o Options) harness.Generator
	// Final returns the operations that look at everything once more, when the
	// system has healed. keys are all that the load has used.
	Final func(keys []string) harness.Generator
	// Keys are the objects that an invocation works on; nil: op.Key is the only one.
	Keys func(op harness.Op) []string
	// Owns reports, where Keys is set, whether a key is one that this workload makes.
	Owns func(key string) bool
	// Invoke performs op through a connection. A connection that lacks what the
	// workload needs is found by Supports before anything is invoked; see [Supported].
	Invoke func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error)
	// Session makes a connection one that remembers something from one operation of a
	// process to the next; nil: there is nothing to remember.
	Session  func(c cluster.Conn) cluster.Conn
	Supports func(c cluster.Conn) bool
	Decode   harness.Decoder
	// Looks reports whether an operation only reads; nil: one named "read" does.
	Looks func(op *harness.Operation) bool
	// Answers says why a value is no answer to an invocation; nil: if Decode takes it, it
	// is one.
	Answers func(asked harness.Op, value any) error
	// Checkers judge what the workload promises.
	Checkers func() []harness.Checker
	// Levels are what else the workload can be judged by, beside what Checkers do; see [Workload.At].
	Levels []Level
	// Needs are the functions of which a run must have seen successes to be
	// worth a verdict.
	Needs []string
	// Conditional are functions that may rightly fail again and again, because they can
	// only succeed soon after another one has: such as the release of a lock whose lease
	// is over.
	Conditional []string
	// Unserved are functions that the system must not serve, such as the attempts of
	// strangers: they say nothing of how well it serves its clients.
	Unserved []string

	weaker harness.Checker // see [Workload.Weaker]; nil: there is nothing to say
	parts  []part          // of several workloads at once
}

// Options shape a load. The zero value is useful.
type Options struct {
	Keys      int // objects in use at a time; 0: 5
	OpsPerKey int // operations that may have happened on an object before a new one takes its place; 0: 200
}

func (o Options) orDefaults() Options {
	if o.Keys <= 0 {
		o.Keys = 5
	}
	if o.OpsPerKey <= 0 {
		o.OpsPerKey = 200
	}
	return o
}

// All are the workloads by name.
var All = map[string]Workload{
	"register":    register,
	"set":         set,
	"queue":       queue,
	"messages":    messages,
	"counter":     counter,
	"list-append": listAppend,
	"lock":        lock,
	"log":         logs,
	"bank":        bank,
	"jobs":        jobs,
	"storage":     storage,
	"cache":       cache,
	"tasks":       tasks,
	"deliveries":  deliveries,
	"stranger":    stranger,
}

// Find returns the workload of that name, or of several names with commas between them,
// as one; its error says which there are.
func Find(name string) (Workload, error) {
	var parts []part
	for _, one := range Split(name) {
		w, ok := All[one]
		if !ok {
			return w, fmt.Errorf("there is no workload %q (there are %s)", one, strings.Join(Names(), ", "))
		}
		w.Name = one
		parts = append(parts, part{one, w})
	}
	if len(parts) == 1 {
		return parts[0].Workload, nil
	}
	return mix(parts), nil
}

// Split are the names in that of several workloads.
func Split(name string) []string { return strings.Split(name, ",") }

// Normal is a name that Find takes with its parts sorted, each once.
func Normal(name string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(Split(name)))), ",")
}

// Names lists the workloads, sorted.
func Names() []string { return slices.Sorted(maps.Keys(All)) }

// Supported are the workloads that a system with these options can do, sorted. It fails
// for a system that does not tell without a running cluster.
func Supported(sys cluster.System, o cluster.Options) ([]string, error) {
	c, err := cluster.Shown(sys, o)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(Names(), func(name string) bool { return !All[name].Supports(c) }), nil
}

// Client makes the client of one process from its connection.
func (w Workload) Client(c cluster.Conn) harness.Client {
	if _, universal := c.(cluster.Universal); w.Session != nil && !universal { // that knows of no sessions
		c = w.Session(c)
	}
	return client{w, c}
}

type client struct {
	w Workload
	cluster.Conn
}

func (c client) Invoke(ctx context.Context, op harness.Op) (any, error) {
	if u, ok := c.Conn.(cluster.Universal); ok {
		return c.w.universal(ctx, u, op)
	}
	return c.w.Invoke(ctx, c.Conn, op)
}

// Works reports whether a connection can do what the workload asks for.
func (w Workload) Works(c cluster.Conn) bool {
	_, ok := c.(cluster.Universal)
	return ok || w.Supports(c)
}

// universal performs op through a connection that knows nothing of the workload. An
// answer with a value that op can't have is no answer: the error wraps harness.ErrBroken.
func (w Workload) universal(ctx context.Context, c cluster.Universal, op harness.Op) (any, error) {
	for _, p := range w.parts { // of several, the one that the operation is of
		if name, f := harness.Function(op.F); name == p.name {
			op.F = f
			return p.universal(ctx, c, op)
		}
	}
	raw, err := c.Do(ctx, w.Name, op)
	if err != nil {
		return nil, err
	}
	value, err := w.Answer(op, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", harness.ErrBroken, err)
	}
	return value, nil
}

// Answer is the value of an operation that was answered with raw. It fails if the
// operation can't have that value.
func (w Workload) Answer(op harness.Op, raw json.RawMessage) (any, error) {
	value, err := w.Decode(harness.OK, op.F, raw)
	if err == nil && w.Answers != nil {
		err = w.Answers(op, value)
	}
	if err != nil {
		return nil, fmt.Errorf("the value of %s: %w", op.F, err)
	}
	return value, nil
}

// Objects are the keys that an invocation works on.
func (w Workload) Objects(op harness.Op) []string {
	if w.Keys == nil {
		return []string{op.Key}
	}
	return w.Keys(op)
}

// OnlyLooks reports whether an operation only reads.
func (w Workload) OnlyLooks(op *harness.Operation) bool {
	if w.Looks == nil {
		return op.F == "read"
	}
	return w.Looks(op)
}

// Monitor watches operations line by line while they are recorded. What it
// finds is true.
type Monitor interface {
	Observe(op harness.Op) (*online.Finding, error)
}

// Monitor returns what watches the operations of the workload while they are
// recorded; nil if its promise can't be watched.
func (w Workload) Monitor() Monitor {
	of := monitors{}
	for _, c := range w.Checkers() {
		name := ""
		if p, ok := c.(Part); ok {
			name, c = p.Of, p.Checker
		}
		if m := monitorOf(c); m != nil {
			of[name] = m
		}
	}
	if len(of) == 0 {
		return nil
	}
	return of
}

// monitors watch a load, each the part of a workload.
type monitors map[string]Monitor

func (m monitors) Observe(op harness.Op) (*online.Finding, error) {
	name, f := harness.Function(op.F)
	one, ok := m[name]
	if !ok {
		return nil, nil
	}
	op.F = f
	return one.Observe(op)
}

func monitorOf(c harness.Checker) Monitor {
	switch c := c.(type) {
	case linearizable.Checker:
		if m, err := online.NewMonitor(c.Model); err == nil {
			return m
		}
	case transactions.Checker:
		if !c.Registers && (c.Level == "" || c.Level == transactions.StrictSerializable) {
			return online.NewTransactionMonitor()
		}
	}
	return nil
}

func supports[T any](c cluster.Conn) bool {
	_, ok := c.(T)
	return ok
}

// unknownFunction is the error if generator and Invoke of a workload disagree.
func unknownFunction(op harness.Op) error {
	return fmt.Errorf("%w: the workload has no function %q", harness.ErrFail, op.F)
}

func maybe(v *int64) model.Maybe {
	if v == nil {
		return model.Maybe{}
	}
	return model.Just(*v)
}

// readAll are reads of every key, each until it succeeded.
func readAll(keys []string) []harness.Op {
	var ops []harness.Op
	for _, k := range keys {
		ops = append(ops, harness.Op{F: "read", Key: k})
	}
	return ops
}

func succeeded(op harness.Op) bool { return op.Type == harness.OK }
