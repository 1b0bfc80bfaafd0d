package raftnode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// asker asks other nodes on behalf of clients.
type asker interface {
	// ask posts body to a path of a peer's API. Its error wraps a notDialed if
	// not a byte of it left the node.
	ask(ctx context.Context, peer, path string, body []byte) (status int, answer []byte, err error)
	// close ends the connections that nobody uses.
	close()
}

// notDialed marks that not a byte of a request left the node.
type notDialed struct{ err error }

func (e *notDialed) Error() string { return e.err.Error() }
func (e *notDialed) Unwrap() error { return e.err }

// forward asks another node and gives its answer.
func (n *Node) forward(ctx context.Context, leader string, req Request, op operation) (Response, *Failure) {
	left := untilDeadline(ctx).Milliseconds()
	if left <= 0 {
		return Response{}, didNotHappen("timed out before it was forwarded")
	}
	req.Forwarded, req.Timeout = true, left
	body, err := json.Marshal(req)
	if err != nil {
		return Response{}, didNotHappen(err.Error())
	}
	status, answer, err := n.asker.ask(ctx, leader, n.cfg.path()+op.name, body)
	if err != nil {
		if nd := (*notDialed)(nil); errors.As(err, &nd) || op.read {
			return Response{}, didNotHappen(fmt.Sprintf("cannot reach %s: %v", leader, err))
		}
		return Response{}, mayHaveHappened(fmt.Sprintf("no answer from %s: %v", leader, err))
	}
	resp, f := DecodeAnswer(status, bytes.NewReader(answer))
	if f != nil && op.read {
		f.Happened = DidNotHappen
	}
	return resp, f
}

// DecodeAnswer reads the body of an answer to an operation. If the answer makes no
// sense, the failure says that the operation may have happened.
func DecodeAnswer(status int, body io.Reader) (Response, *Failure) {
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return Response{}, mayHaveHappened("answer broken off: " + err.Error())
	}
	if len(b) > maxAnswer {
		return Response{}, mayHaveHappened("answer is too long")
	}
	if status == http.StatusOK {
		var got struct {
			Value  json.RawMessage `json:"value"` // absent only from what is no answer
			Values []int64         `json:"values"`
			Txn    []Micro         `json:"txn"`
			Object *Object         `json:"object"`
			Cached *Cached         `json:"cached"`
			Token  int64           `json:"token"`
			Lease  int64           `json:"lease"`
		}
		if err := json.Unmarshal(b, &got); err != nil {
			return Response{}, mayHaveHappened("answer is garbled: " + err.Error())
		}
		r := Response{Values: got.Values, Txn: got.Txn, Object: got.Object, Cached: got.Cached, Token: got.Token, Lease: got.Lease}
		if err := json.Unmarshal(got.Value, &r.Value); err != nil {
			return Response{}, mayHaveHappened("answer has no proper value: " + err.Error())
		}
		return r, nil
	}
	f := &Failure{}
	if err := json.Unmarshal(b, f); err != nil {
		return Response{}, mayHaveHappened(fmt.Sprintf("answer with status %d is garbled: %v", status, err))
	}
	if f.Happened != DidNotHappen {
		f.Happened = Unknown
	}
	if f.Reason == "" {
		f.Reason = fmt.Sprintf("status %d", status)
	}
	return Response{}, f
}

// An answer holds at most a whole set.
const maxAnswer = 64 << 20
