package raftnode

import (
	"encoding/json"
	"fmt"
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
)

// command is an entry of the log.
type command struct {
	Op     string  `json:"op"`
	Key    string  `json:"k,omitempty"`
	Value  int64   `json:"v,omitempty"`
	From   *int64  `json:"f,omitempty"` // what a cas expects; nil: nothing
	Txn    []Micro `json:"x,omitempty"` // the steps of a transaction
	Client string  `json:"c,omitempty"` // with Seq, the command's identity
	Seq    uint64  `json:"s,omitempty"`
	Retry  bool    `json:"r,omitempty"` // was proposed before
	At     int64   `json:"t,omitempty"` // when it was proposed, in Unix nanoseconds (local-clock-apply)
}

func (c command) encode() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of numbers and strings
	}
	return b
}

func decodeCommand(b []byte) (command, error) {
	var c command
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("log entry is no command: %w", err)
	}
	return c, nil
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
