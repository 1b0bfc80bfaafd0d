package workloads

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"coup/checker/invariants"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// logs is what Jepsen's test of Kafka does: processes send messages to logs, and each
// polls the logs that it assigned to itself, from one message to the next.
var logs = Workload{
	Doc: "send messages to logs, and poll them in their order; polled to their ends at the end",
	Generator: func(o Options) harness.Generator {
		o = o.orDefaults()
		return newLogOps(o.Keys, o.OpsPerKey)
	},
	Final: func(keys []string) harness.Generator { return drain{keys: keys} },
	Keys: func(op harness.Op) (keys []string) {
		switch v := op.Value.(type) {
		case model.Assigned:
			return v.Keys
		case model.LogSteps:
			for _, s := range v.Steps {
				if s.F == "send" {
					keys = append(keys, s.Key)
				}
			}
		}
		return keys
	},
	Owns:     func(key string) bool { return strings.HasPrefix(key, logPrefix) },
	Session:  func(c cluster.Conn) cluster.Conn { return &consumer{Conn: c, next: map[string]int64{}} },
	Looks:    func(op *harness.Operation) bool { return op.F != "send" },
	Supports: supports[cluster.Logs],
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		mine := c.(*consumer)
		switch op.F {
		case "send":
			return mine.send(ctx, op.Value.(model.LogSteps).Steps[0])
		case "assign":
			mine.assign(op.Value.(model.Assigned))
			return nil, nil
		case "poll":
			return mine.poll(ctx)
		}
		return nil, unknownFunction(op)
	},
	Decode:   model.DecodeLog,
	Checkers: func() []harness.Checker { return []harness.Checker{logChecker{}} },
	Needs:    []string{"send", "poll"},
}

const logPrefix = "log"

// consumer is a connection that knows which logs it polls, and where it goes on.
type consumer struct {
	cluster.Conn
	keys []string
	next map[string]int64
}

func (c *consumer) logs() cluster.Logs { return c.Conn.(cluster.Logs) }

func (c *consumer) send(ctx context.Context, s model.LogStep) (any, error) {
	offset, err := c.logs().Send(ctx, s.Key, s.Message.Value)
	if err != nil {
		return nil, err
	}
	s.Message.Offset = maybe(offset)
	return model.LogSteps{Steps: []model.LogStep{s}}, nil
}

func (c *consumer) assign(to model.Assigned) {
	before := c.next
	c.keys, c.next = to.Keys, map[string]int64{}
	for _, key := range to.Keys {
		if !to.FromBeginning {
			c.next[key] = before[key]
		}
	}
}

// poll polls each log. If one of them cannot be polled, it answers with what the others
// gave: nobody moves on in a log without having told what was in it.
func (c *consumer) poll(ctx context.Context) (any, error) {
	step := model.LogStep{F: "poll", Polled: []model.Polled{}}
	var failed error
	for _, key := range c.keys {
		messages, next, err := c.logs().Poll(ctx, key, c.next[key])
		if err != nil {
			failed = err
			continue
		}
		p := model.Polled{Key: key}
		for _, m := range messages {
			p.Messages = append(p.Messages, model.Message{Offset: maybe(m.Offset), Value: m.Value})
		}
		c.next[key] = next
		step.Polled = append(step.Polled, p)
	}
	if failed != nil && len(step.Polled) == 0 {
		return nil, failed
	}
	return model.LogSteps{Steps: []model.LogStep{step}}, nil
}

// logOps draws sends, polls, and now and then an assignment, which also tells a new
// process what to poll. A log that was sent enough is retired, and a new one takes its
// place. Values count up from 1.
type logOps struct {
	logs []txnList
	next int // the number of the next log
	most int // messages of a log
}

func newLogOps(logs, most int) logOps {
	g := logOps{logs: make([]txnList, logs), next: logs, most: most}
	for i := range g.logs {
		g.logs[i].key = logPrefix + strconv.Itoa(i)
	}
	return g
}

func (g logOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	switch x := m.Rand.IntN(20); {
	case x < 3:
		to := model.Assigned{Keys: []string{}, FromBeginning: x == 0}
		for _, l := range g.logs {
			if m.Rand.IntN(4) > 0 {
				to.Keys = append(to.Keys, l.key)
			}
		}
		return harness.Op{F: "assign", Value: to}, g
	case x < 11:
		return harness.Op{F: "poll", Value: pollStep()}, g
	}
	g.logs = slices.Clone(g.logs)
	l := &g.logs[m.Rand.IntN(len(g.logs))]
	if l.steps >= g.most {
		*l = txnList{key: logPrefix + strconv.Itoa(g.next)}
		g.next++
	}
	l.steps++
	l.last++
	return harness.Op{F: "send", Value: model.LogSteps{Steps: []model.LogStep{{F: "send", Key: l.key, Message: model.Message{Value: l.last}}}}}, g
}

func (g logOps) Update(harness.Moment, harness.Op) harness.Generator { return g }

func pollStep() model.LogSteps { return model.LogSteps{Steps: []model.LogStep{{F: "poll"}}} }

// drain lets one process poll all logs from their beginnings, until it meets their ends.
type drain struct {
	keys     []string
	process  int
	assigned bool
	ended    bool
}

func (d drain) Next(m harness.Moment) (harness.Op, harness.Generator) {
	switch {
	case d.ended || len(d.keys) == 0:
		return harness.Op{}, nil
	case m.Thread != 0:
		return gen.Pending, d
	case !d.assigned || m.Process != d.process: // one that takes the place of another begins anew
		return harness.Op{F: "assign", Value: model.Assigned{Keys: d.keys, FromBeginning: true}}, d
	}
	return harness.Op{F: "poll", Value: pollStep()}, d
}

func (d drain) Update(_ harness.Moment, op harness.Op) harness.Generator {
	switch {
	case op.F == "assign" && op.Type == harness.OK:
		d.process, d.assigned = op.Process, true
	case op.F == "poll" && op.Type == harness.OK:
		d.ended = d.assigned && op.Process == d.process && atEnd(op.Value, d.keys)
	}
	return d
}

// atEnd says whether a poll found none of the logs to go on.
func atEnd(answer any, keys []string) bool {
	got, _ := answer.(model.LogSteps)
	left := len(keys)
	for _, s := range got.Steps {
		for _, p := range s.Polled {
			if len(p.Messages) > 0 {
				return false
			}
			if slices.Contains(keys, p.Key) {
				left--
			}
		}
	}
	return left == 0
}

// logChecker is [invariants.Log], which takes messages that nobody polled for lost only
// if all logs were polled to their ends.
type logChecker struct{ invariants.Log }

// Check implements [harness.Checker].
func (l logChecker) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	l.Drained = drained(h.Operations)
	return l.Log.Check(ctx, h)
}

// drained says whether a process polled all logs from the beginning to their ends after
// the last send was answered.
func drained(ops []harness.Operation) bool {
	var keys []string
	sent := 0 // the position of the last send
	for i := range ops {
		op := &ops[i]
		steps, _ := op.Input.(model.LogSteps)
		for _, s := range steps.Steps {
			if s.F != "send" {
				continue
			}
			if !slices.Contains(keys, s.Key) {
				keys = append(keys, s.Key)
			}
			if sent = max(sent, op.Call); op.Type == harness.OK {
				sent = max(sent, op.Return)
			}
		}
	}
	whole := map[int]bool{} // processes that go through all logs
	for i := range ops {
		op := &ops[i]
		if op.Type != harness.OK || op.Call < sent {
			continue
		}
		switch to, assigns := op.Input.(model.Assigned); {
		case assigns:
			whole[op.Process] = to.FromBeginning && !slices.ContainsFunc(keys, func(k string) bool { return !slices.Contains(to.Keys, k) })
		case whole[op.Process] && op.F == "poll" && atEnd(op.Output, keys):
			return true
		}
	}
	return false
}
