package raftnode

import (
	"context"
	"errors"
	"fmt"
)

// Micro is one step of a transaction: it appends Value to the list Key, or reads
// it. A transaction is applied as a whole: nobody sees a part of it, and its own
// reads see its own appends.
type Micro struct {
	F     string  `json:"f"` // append or r
	Key   string  `json:"k"`
	Value int64   `json:"v,omitempty"` // append: what is appended
	List  []int64 `json:"l,omitempty"` // r, in an answer: what the list holds
}

// The functions of a Micro.
const (
	MicroAppend = "append"
	MicroRead   = "r"
)

// checkTxn says what is wrong with the steps that a request brings.
func checkTxn(txn []Micro, readOnly bool) error {
	if len(txn) == 0 {
		return errors.New("bad request: a transaction without steps")
	}
	for _, m := range txn {
		switch {
		case m.F != MicroRead && m.F != MicroAppend:
			return fmt.Errorf("bad request: a step is append or r, not %q", m.F)
		case m.F == MicroAppend && readOnly:
			return errors.New("bad request: " + PathTxnRead + " appends nothing")
		}
	}
	return nil
}

// transact performs the steps in their order and returns them with what the reads
// saw.
func (s *state) transact(txn []Micro) []Micro {
	out := make([]Micro, len(txn))
	for i, m := range txn {
		out[i] = Micro{F: m.F, Key: m.Key, Value: m.Value}
		if m.F == MicroAppend {
			s.appendTo(m.Key, m.Value)
		} else {
			out[i].List = s.list(m.Key)
		}
	}
	return out
}

// glance returns what transact would return, without changing the state.
func (s *state) glance(txn []Micro) []Micro {
	out := make([]Micro, len(txn))
	own := map[string][]int64{}
	for i, m := range txn {
		out[i] = Micro{F: m.F, Key: m.Key, Value: m.Value}
		list, touched := own[m.Key]
		if !touched {
			list = s.list(m.Key)
		}
		if m.F == MicroAppend {
			own[m.Key] = append(list, m.Value) // what list returns has no room to grow into
		} else {
			out[i].List = list
		}
	}
	return out
}

// torn proposes each step of a transaction by itself (torn-transaction).
func (n *Node) torn(ctx context.Context, c command) (result, *Failure) {
	var all result
	for i, m := range c.Txn {
		part := c
		part.Client, part.Txn = fmt.Sprintf("%s/%d", c.Client, i), []Micro{m}
		r, f := n.propose(ctx, part)
		if f != nil {
			if i > 0 && f.Happened == DidNotHappen {
				f = mayHaveHappened(f.Reason)
			}
			return result{}, f
		}
		all.Txn = append(all.Txn, r.Txn...)
	}
	return all, nil
}

// fractured reads the lists of a transaction one after the other, each as it
// should be read (fractured-read).
func (n *Node) fractured(ctx context.Context, req Request, op operation) (Response, *Failure) {
	seen := map[string]Micro{}
	var all Response
	for _, m := range req.Txn {
		if _, done := seen[m.Key]; !done {
			if f := n.confirm(ctx, req.Reads != Lease); f != nil {
				return Response{}, f
			}
			seen[m.Key] = n.look(Request{Txn: []Micro{m}}, op).Txn[0]
		}
		all.Txn = append(all.Txn, seen[m.Key])
	}
	return all, nil
}
