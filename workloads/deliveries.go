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
)

// deliveries makes every process a producer and a consumer. Some consumers acknowledge
// too late or never, and a few messages are never acknowledged by anybody, until the end.
var deliveries = Workload{
	Doc: "put messages into queues, get them, and acknowledge them; each producer's in order, delivered again, dead letters; drained at the end",
	Generator: func(o Options) harness.Generator {
		g := deliveryOps{queues: make([]deliveryQueue, o.orDefaults().Keys)}
		for i := range g.queues {
			g.queues[i].key = "k" + strconv.Itoa(i)
		}
		return g
	},
	Final: func(keys []string) harness.Generator {
		return finishBoards(keys, "deliver", "ack", "waiting", "dead")
	},
	Invoke: func(ctx context.Context, c cluster.Conn, op harness.Op) (any, error) {
		q := c.(cluster.Deliveries)
		switch op.F {
		case "put":
			p := op.Value.(model.Produced)
			return nil, q.Put(ctx, op.Key, p.Message, p.Producer)
		case "deliver":
			got, err := q.Deliver(ctx, op.Key)
			if err != nil || got == nil {
				return nil, err
			}
			return model.Delivery(*got), nil
		case "ack":
			d := op.Value.(model.Delivery)
			return nil, q.Ack(ctx, op.Key, d.Message, d.Token)
		case "waiting":
			return result(q.Waiting(ctx, op.Key))
		case "dead":
			return result(q.DeadLetters(ctx, op.Key))
		}
		return nil, unknownFunction(op)
	},
	Looks:    func(op *harness.Operation) bool { return op.F == "waiting" || op.F == "dead" },
	Supports: supports[cluster.Deliveries],
	Decode:   model.DecodeDeliveries,
	Checkers: func() []harness.Checker {
		return []harness.Checker{invariants.Deliveries{Most: cluster.MostDeliveries}}
	},
	Needs:       []string{"put", "deliver", "ack"},
	Conditional: []string{"ack"},
}

const (
	queueFull = 10 // messages that wait in a queue
	poisoned  = 25 // one message in so many is never acknowledged
)

// deliveryOps draws what processes do.
type deliveryOps struct {
	queues []deliveryQueue
	held   []heldMessage
}

type deliveryQueue struct {
	key     string
	last    int64         // message
	waiting int           // as far as is known
	idle    time.Duration // until when nobody asks for a message, because there was none
}

// heldMessage is a message in the hands of a process.
type heldMessage struct {
	process int
	key     string
	model.Delivery
	next time.Duration // when it is acknowledged
}

// Next implements harness.Generator.
func (g deliveryOps) Next(m harness.Moment) (harness.Op, harness.Generator) {
	hands, wake := 0, harness.Forever
	for _, h := range g.held {
		if h.process != m.Process {
			continue
		}
		if hands++; h.next > m.Time {
			wake = min(wake, h.next)
			continue
		}
		return harness.Op{F: "ack", Key: h.key, Value: model.Delivery{Message: h.Message, Token: h.Token}}, g
	}
	i := m.Rand.IntN(len(g.queues))
	q := g.queues[i]
	full, takes := q.waiting >= queueFull, hands < handsFull && q.idle <= m.Time
	switch x := m.Rand.IntN(20); {
	case x == 0:
		return harness.Op{F: "waiting", Key: q.key}, g
	case !full && (x < 9 || !takes):
		q.last++
		q.waiting++
		return harness.Op{F: "put", Key: q.key, Value: model.Produced{Message: q.last, Producer: int64(m.Process)}}, g.with(q)
	case takes:
		return harness.Op{F: "deliver", Key: q.key}, g
	}
	return harness.Op{Time: min(wake, m.Time+askAgain)}, g // another queue may have room then
}

func (g deliveryOps) with(q deliveryQueue) deliveryOps {
	g.queues = slices.Clone(g.queues)
	i := slices.IndexFunc(g.queues, func(old deliveryQueue) bool { return old.key == q.key })
	g.queues[i] = q
	return g
}

// Update implements harness.Generator.
func (g deliveryOps) Update(m harness.Moment, op harness.Op) harness.Generator {
	i := slices.IndexFunc(g.queues, func(q deliveryQueue) bool { return q.key == op.Key })
	if i < 0 {
		return g
	}
	q, ok := g.queues[i], op.Type == harness.OK
	if op.Type == harness.Info { // the process is gone, and with it what it held
		g.held = slices.DeleteFunc(slices.Clone(g.held), func(h heldMessage) bool { return h.process == op.Process })
	}
	switch v := op.Value.(type) {
	case model.Produced:
		if op.Type == harness.Fail {
			q.waiting--
		}
	case nil:
		if ok && op.F == "deliver" {
			q.idle = m.Time + askAgain
		}
	case []int64:
		q.waiting = len(v)
	case model.Delivery:
		if op.F == "deliver" {
			if h, acks := consume(m, v); acks {
				h.process, h.key = op.Process, op.Key
				g.held = append(slices.Clip(g.held), h)
			}
			break
		}
		g.held = slices.DeleteFunc(slices.Clone(g.held), func(h heldMessage) bool { return h.key == op.Key && h.Token == v.Token })
		if ok {
			q.waiting--
		}
	}
	return g.with(q)
}

// consume draws when a client acknowledges a message: at once, too late, or never.
func consume(m harness.Moment, d model.Delivery) (h heldMessage, acks bool) {
	h.Delivery = d
	switch x := m.Rand.IntN(20); {
	case d.Message%poisoned == 0, x == 19:
		return h, false
	case x < 14:
		h.next = m.Time + around(m, d.Within/20)
	case x < 16:
		h.next = m.Time + around(m, d.Within/2)
	default:
		h.next = m.Time + d.Within + around(m, d.Within)
	}
	return h, true
}
