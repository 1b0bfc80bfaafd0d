package workloads

import (
	"context"
	"slices"
	"strconv"
	"time"

	"coup/checker/invariants"
	"coup/checker/model"
	"coup/cluster"
	"coup/harness"
	"coup/harness/gen"
)

// tasks makes every process a worker, who also submits. Some workers fall silent for
// longer than the lease of their task lasts. Most of those come back and try to finish it.
var tasks = Workload{
	Doc: "submit tasks, some after others; take them by a lease, keep it by heartbeats, finish them once; drained at the end",
	Generator: func(o Options) harness.Generator {
		g := taskOps{boards: make([]taskBoard, o.orDefaults().Keys)}
		for i := range g.boards {
			g.boards[i].key = "k" + strconv.Itoa(i)
		}
		return g
	},
	Final: func(keys []string) harness.Generator { return finishBoards(keys, "take", "finish", "read") },
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		t := c.(cluster.Tasks)
		switch op.F {
		case "submit":
			s := op.Value.(model.Submitted)
			if s.After.Set {
				return nil, t.Submit(ctx, op.Key, s.Task, &s.After.Int)
			}
			return nil, t.Submit(ctx, op.Key, s.Task, nil)
		case "take":
			got, err := t.Take(ctx, op.Key)
			if err != nil || got == nil {
				return nil, err
			}
			return model.Assignment(*got), nil
		case "beat":
			a := op.Value.(model.Assignment)
			lease, err := t.Beat(ctx, op.Key, a.Task, a.Token)
			if err != nil {
				return nil, err
			}
			a.Lease = lease
			return a, nil
		case "finish":
			a := op.Value.(model.Assignment)
			return nil, t.Finish(ctx, op.Key, a.Task, a.Token)
		case "read":
			return result(t.Unfinished(ctx, op.Key))
		}
		return nil, unknownFunction(op)
	},
	Supports:    supports[cluster.Tasks],
	Decode:      model.DecodeTasks,
	Checkers:    func() []harness.Checker { return []harness.Checker{invariants.Tasks{}} },
	Needs:       []string{"submit", "take", "finish", "read"},
	Conditional: []string{"beat", "finish"},
}

const (
	handsFull  = 4 // tasks that a worker does at a time
	boardFull  = 5 // tasks of a board that are not finished: fewer than there are hands, so that none waits long
	afterShare = 4 // one task in so many waits for another

	askAgain = 20 * time.Millisecond // after there was nothing to do
)

// taskOps draws what processes do.
type taskOps struct {
	boards []taskBoard
	held   []heldTask
}

type taskBoard struct {
	key  string
	last int64         // task
	open []int64       // tasks that were submitted and are not known to be finished
	idle time.Duration // until when nobody asks for a task, because there was none
}

// heldTask is a task in the hands of a process, as the process knows.
type heldTask struct {
	process int
	key     string
	model.Assignment
	next  time.Duration // when the process does something about it
	beats int           // before it is finished
}

// Next implements harness.Generator.
func (g taskOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	hands, wake := 0, harness.Forever
	for _, h := range g.held {
		if h.process != m.Process {
			continue
		}
		if hands++; h.next > m.Time {
			wake = min(wake, h.next)
			continue
		}
		op := harness.Op{F: "finish", Key: h.key, Value: model.Assignment{Task: h.Task, Token: h.Token}}
		if h.beats > 0 {
			op.F = "beat"
		}
		return op, g
	}
	i := m.Rand.IntN(len(g.boards))
	b := g.boards[i]
	full, takes := len(b.open) >= boardFull, hands < handsFull && b.idle <= m.Time
	switch x := m.Rand.IntN(20); {
	case x == 0:
		return harness.Op{F: "read", Key: b.key}, g
	case !full && (x < 9 || !takes):
		s := model.Submitted{Task: b.last + 1}
		if len(b.open) > 0 && m.Rand.IntN(afterShare) == 0 {
			s.After = model.Just(b.open[m.Rand.IntN(len(b.open))])
		}
		b.last++
		return harness.Op{F: "submit", Key: b.key, Value: s}, g.with(b)
	case takes:
		return harness.Op{F: "take", Key: b.key}, g
	}
	return harness.Op{Time: min(wake, m.Time+askAgain)}, g // another board may have room then
}

func (g taskOps) with(b taskBoard) taskOps {
	g.boards = slices.Clone(g.boards)
	i := slices.IndexFunc(g.boards, func(old taskBoard) bool { return old.key == b.key })
	g.boards[i] = b
	return g
}

// Update implements harness.Generator.
func (g taskOps) Update(m harness.Moment, op harness.Op) harness.Generator {
	i := slices.IndexFunc(g.boards, func(b taskBoard) bool { return b.key == op.Key })
	if i < 0 {
		return g
	}
	b, ok := g.boards[i], op.Type == harness.OK
	without := func(gone func(heldTask) bool) { g.held = slices.DeleteFunc(slices.Clone(g.held), gone) }
	if op.Type == harness.Info { // the process is gone, and with it what it held
		without(func(h heldTask) bool { return h.process == op.Process })
	}
	switch v := op.Value.(type) {
	case model.Submitted:
		if ok {
			b.open = append(slices.Clip(b.open), v.Task)
		}
	case nil:
		if ok && op.F == "take" {
			b.idle = m.Time + askAgain
		}
	case []int64:
		b.open = v
	case model.Assignment:
		if op.F == "take" {
			if h, works := work(m, v); works {
				h.process, h.key = op.Process, op.Key
				g.held = append(slices.Clip(g.held), h)
			}
			break
		}
		this := func(h heldTask) bool { return h.key == op.Key && h.Token == v.Token }
		if op.F == "beat" && ok {
			g.held = slices.Clone(g.held)
			if i := slices.IndexFunc(g.held, this); i >= 0 {
				g.held[i].beats--
				g.held[i].next = m.Time + around(m, v.Lease/3)
			}
			break
		}
		without(this)
		if ok {
			b.open = slices.DeleteFunc(slices.Clone(b.open), func(id int64) bool { return id == v.Task })
		}
	}
	return g.with(b)
}

// work draws what a worker does with a task: most are done at once or kept by
// heartbeats for a while; some workers fall silent, and most of these come back too late.
func work(m harness.Moment, a model.Assignment) (h heldTask, works bool) {
	h.Assignment = a
	switch x := m.Rand.IntN(20); {
	case x < 5:
		h.next = m.Time + around(m, a.Lease/10)
	case x < 15:
		h.next, h.beats = m.Time+around(m, a.Lease/3), 1+m.Rand.IntN(6)
	case x < 18:
		h.next, h.beats = m.Time+a.Lease+around(m, a.Lease), m.Rand.IntN(2)
	default:
		return h, false
	}
	return h, true
}

// around is between half and one and a half times d.
func around(m harness.Moment, d time.Duration) time.Duration {
	return time.Duration((0.5 + m.Rand.Float64()) * float64(d))
}

// finishAll takes and finishes what is on boards, or in queues, until they are empty: the
// leases of clients that are gone must end first.
type finishAll struct {
	take, finish string   // functions
	looks        []string // functions: the first shows what is not finished, the others come after it
	boards       []finishing
	held         []heldThing
}

type finishing struct {
	key  string
	step int           // 0: take; then the looks; then it is empty
	at   time.Duration // not before
	busy bool
}

// heldThing is a task or a message in the hands of a process.
type heldThing struct {
	process int
	op      harness.Op // finishes it
}

func finishBoards(keys []string, take, finish string, looks ...string) harness.Generator {
	d := finishAll{take: take, finish: finish, looks: looks}
	for _, k := range keys {
		d.boards = append(d.boards, finishing{key: k})
	}
	return d
}

const finishPause = 200 * time.Millisecond

// Next implements harness.Generator.
func (d finishAll) Next(m harness.Moment) (harness.Op, harness.Generator) {
	for _, h := range d.held {
		if h.process == m.Process {
			return h.op, d
		}
	}
	wake, left := harness.Forever, false
	for i, b := range d.boards {
		if b.step > len(d.looks) {
			continue
		}
		if left = true; b.busy {
			continue
		}
		if b.at > m.Time {
			wake = min(wake, b.at)
			continue
		}
		d.boards = slices.Clone(d.boards)
		d.boards[i].busy = true
		f := d.take
		if b.step > 0 {
			f = d.looks[b.step-1]
		}
		return harness.Op{F: f, Key: b.key}, d
	}
	switch {
	case !left:
		return harness.Op{}, nil
	case wake == harness.Forever:
		return gen.Pending, d
	}
	return harness.Op{Time: wake}, d
}

// Update implements harness.Generator.
func (d finishAll) Update(m harness.Moment, op harness.Op) harness.Generator {
	if op.F == d.finish {
		d.held = slices.DeleteFunc(slices.Clone(d.held), func(h heldThing) bool { return h.process == op.Process })
		return d
	}
	i := slices.IndexFunc(d.boards, func(b finishing) bool { return b.key == op.Key })
	if i < 0 {
		return d
	}
	d.boards = slices.Clone(d.boards)
	b := &d.boards[i]
	b.busy = false
	seen, _ := op.Value.([]int64)
	var mine any
	switch v := op.Value.(type) {
	case model.Assignment:
		mine = model.Assignment{Task: v.Task, Token: v.Token}
	case model.Delivery:
		mine = model.Delivery{Message: v.Message, Token: v.Token}
	}
	switch {
	case op.Type != harness.OK:
		b.at = m.Time + finishPause
	case mine != nil:
		d.held = append(slices.Clip(d.held), heldThing{op.Process, harness.Op{F: d.finish, Key: op.Key, Value: mine}})
	case b.step == 1 && len(seen) > 0:
		b.step, b.at = 0, m.Time+finishPause
	default:
		b.step++
	}
	return d
}
