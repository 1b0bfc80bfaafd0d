// Package clientcheck finds what a client program does wrong (see package
// cluster/systems/own/line): it drives the program against addresses that misbehave in
// ways that are known, and, if there is one, against a system that works. Start with [Run].
//
// The mistakes that it reports are certain. Where the client may be right, and may be wrong
// in a way that makes false alarms, it says that it can't tell.
package clientcheck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"coup/checker/model"
	"coup/cluster/systems/own/line"
	"coup/harness"
	"coup/workloads"
)

// Options are what is checked.
type Options struct {
	Command  line.Command
	Workload workloads.Workload
	// Nodes are what the client is told of the nodes: their ports by their names. The
	// first is asked.
	Nodes []Node
	// Works: the nodes' addresses are those of a system that works and is not broken
	// meanwhile. Otherwise they are not used.
	Works   bool
	Timeout time.Duration // of an operation; 0: 1 s
	Start   time.Duration // until the first answer of a program; 0: 15 s
}

// Node is a node as the client is told of it.
type Node struct {
	Name  string
	Ports []Port // the first is for clients
}

// Port is a port of a node.
type Port struct{ Number, Address string }

const (
	grace    = time.Second            // after its timeout, for an answer that is in time on a busy machine
	quiet    = 200 * time.Millisecond // for which a program must say nothing of itself
	unknownF = "coup-no-such-function"
)

// Found is what a check has found, each in one line.
type Found struct {
	Mistakes  []string
	Undecided []string // answers that are wrong or right, which nobody can tell from outside
}

// Run checks a client; say takes what was checked, line by line. The error is one of the
// check itself: a program that can't be started. If ctx ends first, that is the error, and
// what was found until then is returned.
func Run(ctx context.Context, o Options, say func(string)) (found Found, err error) {
	o.Timeout, o.Start = cmp.Or(o.Timeout, time.Second), cmp.Or(o.Start, 15*time.Second)
	if len(o.Nodes) == 0 {
		o.Nodes = []Node{{Name: "n1", Ports: []Port{{Number: "1"}}}}
	}
	if err := o.Command.Check(); err != nil {
		return found, err
	}
	c := &check{Options: o, interrupted: func() bool { return ctx.Err() != nil }}
	c.say = func(what string) { // of a step without a mistake
		if len(c.Mistakes) == c.told && !c.interrupted() {
			say(what)
		}
		c.told = len(c.Mistakes)
	}
	if c.ops, err = operations(o.Workload); err != nil {
		return found, err
	}
	if c.starts(ctx); len(c.Mistakes) == 0 {
		c.alone(ctx)
		for _, e := range endpoints {
			c.against(ctx, e)
		}
		if o.Works {
			c.works(ctx)
		}
	}
	return c.Found, ctx.Err()
}

type check struct {
	Options
	Found
	say         func(string)
	interrupted func() bool
	ops         []harness.Op // one of each function
	told        int          // how many mistakes there were when the last step ended
}

// wrong notes a mistake. What seems to be one may be the interruption, once there was one.
func (c *check) wrong(format string, args ...any) { c.note(&c.Mistakes, format, args...) }

func (c *check) note(to *[]string, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !c.interrupted() && !slices.Contains(*to, text) {
		*to = append(*to, text)
	}
}

// reads are functions that change nothing: one that was answered with fail, though it was
// performed, harms nobody.
var reads = []string{"read", "get", "list", "poll"}

// odd is the begin of the values that clients are asked to write, which nothing else holds.
const odd = 730541200

// operations are one of each function of a workload, with a value that is found again in
// what a client sends.
func operations(w workloads.Workload) (all []harness.Op, err error) {
	g, moment := w.Generator(workloads.Options{Keys: 1}), harness.Moment{Rand: rand.New(rand.NewPCG(1, 1))}
	drawn := map[string]harness.Op{}
	for range 200 {
		var op harness.Op
		if op, g = g.Next(moment); g == nil {
			break
		}
		if _, ok := drawn[op.F]; !ok && op.F != "" {
			drawn[op.F] = op
		}
	}
	for i, f := range w.Needs {
		op, ok := drawn[f]
		if !ok {
			op = harness.Op{F: f}
		}
		op.Key = "coup-check"
		value := int64(odd + i)
		switch op.Value.(type) {
		case int64:
			op.Value = value
		case model.CAS:
			op.Value = model.CAS{To: value}
		case model.Txn:
			op.Key, op.Value = "", model.Txn{{F: "append", Key: "coup-check", Value: value}}
		}
		all = append(all, op)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the workload %s has no functions", w.Name)
	}
	return all, nil
}

// start starts the program, and asks it for open with all nodes at address, or where they
// are if address is "". The program is nil if that was a mistake.
func (c *check) start(ctx context.Context, address string) (p *line.Program, r line.Request) {
	r = line.Request{Workload: c.Workload.Name, Node: c.Nodes[0].Name, Nodes: map[string]map[string]string{}, TimeoutMS: c.Timeout.Milliseconds()}
	for i, n := range c.Nodes {
		r.Nodes[n.Name] = map[string]string{}
		for j, port := range n.Ports {
			at := address
			if at == "" {
				at = port.Address
			}
			r.Nodes[n.Name][port.Number] = at
			if i == 0 && j == 0 {
				r.Address = at
			}
		}
	}
	p, err := line.Start(c.Command, nil)
	if err != nil {
		c.wrong("%v", err)
		return nil, r
	}
	open := r
	open.F, open.TimeoutMS = line.Open, (c.Start * 2 / 3).Milliseconds()
	bounded, cancel := context.WithTimeout(ctx, c.Start)
	defer cancel()
	_, err = p.Ask(bounded, open)
	if errors.Is(err, line.ErrLate) && ctx.Err() == nil {
		c.wrong("%s", c.silent(ctx, p))
	} else if err != nil {
		c.wrong("%v", err)
	}
	if err != nil {
		p.Close()
		return nil, r
	}
	return p, r
}

// silent tells why a program does not answer its first request: it may keep its answers
// until its standard input ends.
func (c *check) silent(ctx context.Context, p *line.Program) string {
	p.EndInput()
	bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := p.Late(bounded); err == nil {
		return "standard output is buffered: the first answer came only when standard input had ended; flush it after each line"
	}
	return fmt.Sprintf("the first request (open) was not answered within %v", c.Start)
}

// starts sees whether the program starts, is silent when nobody asks, and ends when its
// standard input does.
func (c *check) starts(ctx context.Context) {
	address, err := refusing()
	if err != nil {
		c.wrong("%v", err)
		return
	}
	p, _ := c.start(ctx, address)
	if p == nil {
		return
	}
	defer p.Close()
	bounded, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	if err := p.Silent(bounded); err != nil {
		c.wrong("%v", err)
		return
	}
	bounded, cancel = context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if !p.Ends(bounded) && ctx.Err() == nil {
		c.wrong("the client does not end when its standard input has ended")
	}
	c.say("it starts, answers open, says nothing of itself, and ends with its standard input")
}

// alone drives the program against an address where nobody listens.
func (c *check) alone(ctx context.Context) {
	address, err := refusing()
	if err != nil {
		c.wrong("%v", err)
		return
	}
	p, r := c.start(ctx, address)
	if p == nil {
		return
	}
	defer func() { p.Close() }()
	for _, op := range append(slices.Clone(c.ops), harness.Op{F: unknownF, Key: "coup-check"}) {
		a, ok := c.ask(ctx, p, r, op, "nothing listens there")
		if !ok {
			if p.Close(); ctx.Err() != nil {
				return
			}
			if p, r = c.start(ctx, address); p == nil {
				return
			}
			continue
		}
		if a.Type == harness.OK && op.F == unknownF {
			c.wrong("a function that the client can't know (%s) was answered with ok, not with fail", unknownF)
		} else if a.Type == harness.OK {
			c.wrong("%s was answered with ok, though nothing listens at the address: nobody can have performed it", op.F)
		}
	}
	c.say("where nothing listens, nothing succeeds, and a function that it does not know is no trouble")
}

// ask asks for an operation; ok is false if that was a mistake, after which the program
// can't be asked for more.
func (c *check) ask(ctx context.Context, p *line.Program, r line.Request, op harness.Op, where string) (a line.Answer, ok bool) {
	r.F, r.Key, r.Value = op.F, op.Key, op.Value
	bounded, cancel := context.WithTimeout(ctx, c.Timeout+grace)
	defer cancel()
	asked := time.Now()
	a, err := p.Ask(bounded, r)
	switch {
	case ctx.Err() != nil:
		return a, false
	case errors.Is(err, line.ErrLate):
		patient, cancel := context.WithTimeout(ctx, 3*c.Timeout)
		defer cancel()
		if _, err := p.Late(patient); err == nil {
			c.wrong("timeout_ms is not kept: %s, where %s, was answered after %v, and timeout_ms was %d", op.F, where, time.Since(asked).Round(100*time.Millisecond), r.TimeoutMS)
		} else if errors.Is(err, line.ErrLate) {
			c.wrong("timeout_ms is not kept: %s, where %s, was not answered within %v, and timeout_ms was %d", op.F, where, time.Since(asked).Round(100*time.Millisecond), r.TimeoutMS)
		} else {
			c.wrong("%v", err)
		}
		return a, false
	case err != nil:
		c.wrong("%v", err)
		return a, false
	}
	if _, known := r.Nodes[a.Node]; a.Node != "" && !known {
		c.wrong("an answer says that %s answered, which is no node", strconv.Quote(a.Node))
	}
	return a, true
}

// against drives the program against an endpoint that takes requests and gives no answer.
func (c *check) against(ctx context.Context, e endpoint) {
	with := ", and with info what may have happened"
	for _, op := range c.ops {
		at, err := listen(e)
		if err != nil {
			c.wrong("%v", err)
			return
		}
		p, r := c.start(ctx, at.address)
		if p == nil {
			at.close()
			return
		}
		a, ok := c.ask(ctx, p, r, op, e.where)
		changed := a.Type == harness.Fail && !slices.Contains(reads, op.F)
		if ok && changed {
			with = ""
		}
		switch {
		case !ok:
		case a.Type == harness.OK:
			c.wrong("%s was answered with ok, though %s", op.F, e.where)
		case a.Type == harness.Fail && at.got(op.Value):
			c.wrong("%s was answered with fail, though it was sent and may have happened (%s): answer info", op.F, e.where)
		case changed && at.sentAny():
			c.note(&c.Undecided, "%s was answered with fail, after bytes that do not show its value as text, number, base64 or hex (%s): if they held the request, answer info", op.F, e.where)
		}
		if ok { // what it says next is no answer to the one before
			bounded, cancel := context.WithTimeout(ctx, quiet)
			if err := p.Silent(bounded); err != nil {
				c.wrong("%v", err)
			}
			cancel()
		}
		p.Close()
		at.close()
	}
	c.say("where " + e.where + ", it answers in time" + with)
}

// works drives the program against a system that works: one client, one operation after
// the other. A history of those that no order explains is a mistake, too.
func (c *check) works(ctx context.Context) {
	p, r := c.start(ctx, "")
	if p == nil {
		return
	}
	defer p.Close()
	w := c.Workload
	g, moment := w.Generator(workloads.Options{Keys: 2}), harness.Moment{Rand: rand.New(rand.NewPCG(2, 2))}
	h := &harness.History{Nodes: []string{r.Node}}
	succeeded := map[string]int{}
	for i := range 100 {
		var op harness.Op
		if op, g = g.Next(moment); g == nil || op.F == "" {
			break
		}
		if op.Key != "" {
			op.Key = fmt.Sprintf("coup-check-%d-%s", time.Now().UnixNano()/1e9, op.Key)
		}
		began := time.Duration(i) * time.Second
		a, ok := c.ask(ctx, p, r, op, "the system works")
		if !ok {
			return
		}
		done := harness.Operation{F: op.F, Key: op.Key, Input: op.Value, Type: a.Type, Call: 2 * i, Return: 2*i + 1, Start: began, End: began + 1, Node: r.Node, Error: a.Error, Line: i + 1, Index: -1}
		if a.Type == harness.OK {
			value, err := w.Answer(op, a.Value)
			if err != nil {
				c.wrong("%v", err)
				return
			}
			done.Output = value
			succeeded[op.F]++
		}
		if a.Type == harness.Info {
			done.Return = harness.Open
		}
		h.Operations = append(h.Operations, done)
		next := op
		next.Type, next.Value = a.Type, done.Output
		g = g.Update(moment, next)
	}
	for _, f := range w.Needs {
		asked := slices.ContainsFunc(h.Operations, func(o harness.Operation) bool { return o.F == f })
		if asked && succeeded[f] == 0 {
			i := slices.IndexFunc(h.Operations, func(o harness.Operation) bool { return o.F == f })
			c.wrong("%s never succeeds, though the system works: %s", f, h.Operations[i].Error)
			return
		}
	}
	for _, checker := range w.Checkers() {
		v, err := checker.Check(ctx, h)
		if err == nil && v.Valid == harness.Invalid {
			c.wrong("the answers contradict each other, though nothing is broken and there is one client: %s", v.Summary)
			return
		}
	}
	c.say("where the system works, each function succeeds, with values of the right type that agree")
}
