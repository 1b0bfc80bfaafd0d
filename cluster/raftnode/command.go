package raftnode

import (
	"errors"

	"coup/cluster/raftnode/coding"
)

// The operations of the state machine.
const (
	opNoop       = "noop" // marks the term of a new leader
	opWrite      = "write"
	opCAS        = "cas"
	opSetAdd     = "set-add"
	opEnqueue    = "enqueue"
	opDequeue    = "dequeue"
	opTake       = "take" // removes Value from a queue, wherever it is (dequeue-outside-log)
	opCounterAdd = "counter-add"
	opTxn        = "txn"
	opSubmit     = "task-submit"
	opTaskTake   = "task-take"
	opBeat       = "task-beat"
	opFinish     = "task-finish"
	opPut        = "letter-put"
	opDeliver    = "letter-deliver"
	opAck        = "letter-ack"
)

// timed says whether an operation looks at the clock of the log.
func timed(op string) bool {
	switch op {
	case opTaskTake, opBeat, opFinish, opDeliver, opAck:
		return true
	}
	return false
}

// command is an entry of the log.
type command struct {
	Op     string
	Key    string
	Value  int64
	From   *int64        // what a cas expects (nil: nothing); the task that a task waits for; the token of an assignment or a delivery; a producer
	Txn    []Micro       // the steps of a transaction
	Object objectCommand // of an operation on objects
	Cache  cacheCommand  // of an operation on the cache
	Client string        // with Seq, the command's identity
	Seq    uint64
	Retry  bool  // was proposed before
	At     int64 // when it was proposed: by the clock of the log (see tasks.go); in Unix nanoseconds (local-clock-apply)
	// Only of timed operations:
	Term  uint64 // in which At was read
	Lease int64  // for how long a task is assigned, or a message may be acknowledged, in nanoseconds
}

func (c command) encode() []byte {
	code := coder{coding.Coder{Write: true}}
	code.command(&c)
	return code.Out
}

func decodeCommand(b []byte) (c command, err error) {
	code := coder{coding.Coder{Fields: coding.Fields{B: b}}}
	if code.command(&c); code.Bad || len(code.B) > 0 {
		return command{}, errors.New("log entry is no command")
	}
	return c, nil
}

// coder writes or reads a command.
type coder struct{ coding.Coder }

// op codes the name of an operation. Those that exist are not made anew each time.
func (c *coder) op(v *string) {
	if c.Write {
		c.String(v)
		return
	}
	b := c.Fields.Bytes(c.Fields.Uint())
	switch string(b) {
	case opNoop:
		*v = opNoop
	case opWrite:
		*v = opWrite
	case opCAS:
		*v = opCAS
	case opSetAdd:
		*v = opSetAdd
	case opEnqueue:
		*v = opEnqueue
	case opDequeue:
		*v = opDequeue
	case opTake:
		*v = opTake
	case opCounterAdd:
		*v = opCounterAdd
	case opTxn:
		*v = opTxn
	case opSubmit:
		*v = opSubmit
	case opTaskTake:
		*v = opTaskTake
	case opBeat:
		*v = opBeat
	case opFinish:
		*v = opFinish
	case opPut:
		*v = opPut
	case opDeliver:
		*v = opDeliver
	case opAck:
		*v = opAck
	default:
		*v = string(b)
	}
}

// command codes the fields in their order.
func (c *coder) command(m *command) {
	c.op(&m.Op)
	c.String(&m.Key)
	c.Int(&m.Value)
	c.Optional(&m.From)
	n := uint64(len(m.Txn))
	c.Uint(&n)
	for i := uint64(0); i < n && !c.Bad; i++ {
		if !c.Write {
			m.Txn = append(m.Txn, Micro{})
		}
		c.String(&m.Txn[i].F)
		c.String(&m.Txn[i].Key)
		c.Int(&m.Txn[i].Value)
	}
	c.String(&m.Client)
	c.Uint(&m.Seq)
	c.Bool(&m.Retry)
	c.Int(&m.At)
	if onObject(m.Op) {
		c.object(&m.Object)
	}
	if onCache(m.Op) {
		c.cache(&m.Cache)
	}
	if timed(m.Op) {
		c.Uint(&m.Term)
		c.Int(&m.Lease)
	}
}

// result is what applying a command gave.
type result struct {
	Value *int64  `json:"v,omitempty"` // what a cas saw, what a dequeue took
	Txn   []Micro `json:"x,omitempty"` // what a transaction saw
	Token *int64  `json:"t,omitempty"` // of the lease to fill an entry of the cache
	Given int64   `json:"k,omitempty"` // of an assignment of the task Value
	Lease int64   `json:"l,omitempty"` // of an assignment, in nanoseconds
	// Refused says why the command was not applied.
	Refused refusal `json:"r,omitempty"`
}

// response is what a client is told of a command that was applied.
func (r result) response() Response {
	resp := Response{Value: r.Value, Txn: r.Txn, Token: r.Given, Lease: r.Lease}
	if r.Token != nil {
		resp.Cached = &Cached{Token: r.Token}
	}
	return resp
}

type refusal string

const (
	refusedOld     refusal = "a later command of the same client came first"
	refusedSession refusal = "the client was forgotten"
	refusedExpired refusal = "the command expired before it was applied"
	refusedOp      refusal = "unknown command"
	refusedTask    refusal = "the task is not assigned by this token, or its lease is over"
	refusedAck     refusal = "the message is not in this delivery, or its time is over"
	refusedAfter   refusal = "there is no such task to wait for"
)

// failure is what a refusal tells the client, nil if there is none.
func (r refusal) failure() *Failure {
	switch r {
	case "":
		return nil
	case refusedExpired, refusedOp, refusedMissing, refusedLease, refusedTask, refusedAfter, refusedAck:
		return &Failure{Reason: string(r), Happened: DidNotHappen, final: true}
	default:
		// An earlier proposal of the same command may have been applied.
		return &Failure{Reason: string(r), Happened: Unknown, final: true}
	}
}
