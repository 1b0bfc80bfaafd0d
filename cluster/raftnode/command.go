package raftnode

import "errors"

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
)

// command is an entry of the log.
type command struct {
	Op     string
	Key    string
	Value  int64
	From   *int64  // what a cas expects; nil: nothing
	Txn    []Micro // the steps of a transaction
	Client string  // with Seq, the command's identity
	Seq    uint64
	Retry  bool  // was proposed before
	At     int64 // when it was proposed, in Unix nanoseconds (local-clock-apply)
}

func (c command) encode() []byte {
	code := coder{write: true}
	code.command(&c)
	return code.out
}

func decodeCommand(b []byte) (c command, err error) {
	code := coder{fields: fields{b: b}}
	if code.command(&c); code.bad || len(code.b) > 0 {
		return command{}, errors.New("log entry is no command")
	}
	return c, nil
}

// op codes the name of an operation. Those that exist are not made anew each time.
func (c *coder) op(v *string) {
	if c.write {
		c.string(v)
		return
	}
	b := c.fields.bytes(c.fields.uint())
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
	default:
		*v = string(b)
	}
}

// command codes the fields in their order.
func (c *coder) command(m *command) {
	c.op(&m.Op)
	c.string(&m.Key)
	c.int(&m.Value)
	c.optional(&m.From)
	n := uint64(len(m.Txn))
	c.uint(&n)
	for i := uint64(0); i < n && !c.bad; i++ {
		if !c.write {
			m.Txn = append(m.Txn, Micro{})
		}
		c.string(&m.Txn[i].F)
		c.string(&m.Txn[i].Key)
		c.int(&m.Txn[i].Value)
	}
	c.string(&m.Client)
	c.uint(&m.Seq)
	c.bool(&m.Retry)
	c.int(&m.At)
}

// result is what applying a command gave.
type result struct {
	Value *int64  `json:"v,omitempty"` // what a cas saw, what a dequeue took
	Txn   []Micro `json:"x,omitempty"` // what a transaction saw
	// Refused says why the command was not applied.
	Refused refusal `json:"r,omitempty"`
}

type refusal string

const (
	refusedOld     refusal = "a later command of the same client came first"
	refusedSession refusal = "the client was forgotten"
	refusedExpired refusal = "the command expired before it was applied"
	refusedOp      refusal = "unknown command"
)

// failure is what a refusal tells the client, nil if there is none.
func (r refusal) failure() *Failure {
	switch r {
	case "":
		return nil
	case refusedExpired, refusedOp:
		return &Failure{Reason: string(r), Happened: DidNotHappen, final: true}
	default:
		// An earlier proposal of the same command may have been applied.
		return &Failure{Reason: string(r), Happened: Unknown, final: true}
	}
}
