package raftnode

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Request is the body of every operation, a POST to one of the paths below.
type Request struct {
	Key   string  `json:"key"`
	Value int64   `json:"value,omitempty"`
	From  *int64  `json:"from,omitempty"` // what a cas expects (absent: no value); the task that another waits for; the token of an assignment or delivery; the producer of a message
	Txn   []Micro `json:"txn,omitempty"`  // the steps of a transaction
	// Object is the object that it is about; Key is its directory.
	Object *Object `json:"object,omitempty"`
	Cached *Cached `json:"cached,omitempty"` // of an operation on the cache
	// Client and Seq identify a write: the same pair is applied once. A client
	// counts its writes up and has one of them open at a time.
	Client string `json:"client,omitempty"`
	Seq    uint64 `json:"seq,omitempty"`
	Retry  bool   `json:"retry,omitempty"` // nobody knows whether an earlier attempt happened
	// Timeout is how long the node may take, in milliseconds; 0 is 5 s.
	Timeout int64 `json:"timeout_ms,omitempty"`
	// Reads is the mode of a read: "" is linearizable.
	Reads     string `json:"reads,omitempty"`
	Forwarded bool   `json:"forwarded,omitempty"` // by another node: do not pass it on
}

// Response is the body of an answer with status 200. With any other status it
// is a [Failure].
type Response struct {
	// Value is the value of a register or counter, the value that a cas saw, or the
	// element that a dequeue took, the task that is assigned, or the message that is delivered; nil if there is none.
	Value  *int64  `json:"value"`
	Values []int64 `json:"values,omitempty"` // a set's elements, or the unfinished tasks, ascending
	Txn    []Micro `json:"txn,omitempty"`    // the steps of a transaction, with what its reads saw
	Object *Object `json:"object,omitempty"` // what an operation on objects saw
	Cached *Cached `json:"cached,omitempty"` // the lease that a get from the cache gave
	Token  int64   `json:"token,omitempty"`  // of an assignment
	Lease  int64   `json:"lease,omitempty"`  // of an assignment, in nanoseconds
}

// The paths of the operations.
const (
	PathRegisterRead  = "/register/read"
	PathRegisterWrite = "/register/write"
	PathRegisterCAS   = "/register/cas"
	PathSetAdd        = "/set/add"
	PathSetRead       = "/set/read"
	PathQueueEnqueue  = "/queue/enqueue"
	PathQueueDequeue  = "/queue/dequeue"
	PathCounterAdd    = "/counter/add"
	PathCounterRead   = "/counter/read"
	PathTaskSubmit    = "/task/submit"
	PathTaskTake      = "/task/take"
	PathTaskBeat      = "/task/beat"
	PathTaskFinish    = "/task/finish"
	PathTaskRead      = "/task/read"
	PathLetterPut     = "/letter/put"
	PathLetterDeliver = "/letter/deliver"
	PathLetterAck     = "/letter/ack"
	PathLetterWaiting = "/letter/waiting"
	PathLetterDead    = "/letter/dead"
	PathTxn           = "/txn"      // goes through the log
	PathTxnRead       = "/txn/read" // has only reads, and is answered like one
)

// PathStatus answers a GET with a [Status].
const PathStatus = "/status"

// operation is what a path stands for: a read of the state, or a command for the
// log.
type operation struct {
	name    string
	read    bool
	command string
	look    func(s *state, req Request) Response
}

var operations = []operation{
	{name: PathRegisterRead, read: true, look: func(s *state, req Request) Response {
		return Response{Value: s.register(req.Key)}
	}},
	{name: PathRegisterWrite, command: opWrite},
	{name: PathRegisterCAS, command: opCAS},
	{name: PathSetAdd, command: opSetAdd},
	{name: PathSetRead, read: true, look: func(s *state, req Request) Response {
		return Response{Values: s.set(req.Key)}
	}},
	{name: PathQueueEnqueue, command: opEnqueue},
	{name: PathQueueDequeue, command: opDequeue},
	{name: PathCounterAdd, command: opCounterAdd},
	{name: PathCounterRead, read: true, look: func(s *state, req Request) Response {
		v := s.counters[req.Key]
		return Response{Value: &v}
	}},
	{name: PathTaskSubmit, command: opSubmit},
	{name: PathTaskTake, command: opTaskTake},
	{name: PathTaskBeat, command: opBeat},
	{name: PathTaskFinish, command: opFinish},
	{name: PathTaskRead, read: true, look: func(s *state, req Request) Response {
		return Response{Values: s.unfinished(req.Key)}
	}},
	{name: PathLetterPut, command: opPut},
	{name: PathLetterDeliver, command: opDeliver},
	{name: PathLetterAck, command: opAck},
	{name: PathLetterWaiting, read: true, look: func(s *state, req Request) Response {
		return Response{Values: s.waiting(req.Key)}
	}},
	{name: PathLetterDead, read: true, look: func(s *state, req Request) Response {
		return Response{Values: s.deadLetters(req.Key)}
	}},
	{name: PathTxn, command: opTxn},
	{name: PathTxnRead, read: true, look: func(s *state, req Request) Response {
		return Response{Txn: s.glance(req.Txn)}
	}},
}

// allOperations are those of all kinds of objects.
func allOperations() []operation { return slices.Concat(operations, objectOperations, cacheOperations) }

const (
	defaultTimeout = 5 * time.Second
	maxTimeout     = time.Minute
	maxBody        = 1 << 20
)

func (n *Node) handler() http.Handler {
	mux := operationsOf(n.ctx, n.do)
	mux.HandleFunc("POST "+PathReadIndex, func(w http.ResponseWriter, r *http.Request) {
		serveOperation(n.ctx, w, r, readIndex, func(ctx context.Context, _ Request, _ operation) (Response, *Failure) { return n.tellIndex(ctx) })
	})
	mux.HandleFunc("POST "+PathTransfer, n.serveTransfer)
	mux.HandleFunc("POST "+PathMember, n.serveMember)
	mux.HandleFunc("GET "+PathStatus, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, n.Status())
	})
	return mux
}

// perform performs an operation.
type perform func(ctx context.Context, req Request, op operation) (Response, *Failure)

// operationsOf serves the operations of clients while the node lives.
func operationsOf(life context.Context, do perform) *http.ServeMux {
	mux := http.NewServeMux()
	for _, op := range allOperations() {
		mux.HandleFunc("POST "+op.name, func(w http.ResponseWriter, r *http.Request) { serveOperation(life, w, r, op, do) })
	}
	return mux
}

func serveOperation(life context.Context, w http.ResponseWriter, r *http.Request, op operation, do perform) {
	req, err := decodeRequest(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil && (op.name == PathTxn || op.name == PathTxnRead) {
		err = checkTxn(req.Txn, op.read)
	}
	if err == nil && strings.HasPrefix(op.name, "/object/") {
		err = checkObject(req, op.name)
	}
	if err == nil && onCache(op.command) {
		err = checkCache(req, op.name)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, didNotHappen(err.Error()))
		return
	}
	// Not the connection's context: an operation goes on when its client has gone
	// away.
	ctx, cancel := context.WithTimeout(life, patience(req.Timeout))
	defer cancel()
	resp, f := do(ctx, req, op)
	reply(w, resp, f)
}

// reply answers with body, or with the failure if there is one.
func reply(w http.ResponseWriter, body any, f *Failure) {
	switch {
	case f == nil:
		answer(w, http.StatusOK, body)
	case f.Happened == Unknown:
		answer(w, http.StatusGatewayTimeout, f)
	case f.Leader != "":
		answer(w, http.StatusMisdirectedRequest, f)
	default:
		answer(w, http.StatusServiceUnavailable, f)
	}
}

// patience is how long a request with this timeout in milliseconds may take.
func patience(timeout int64) time.Duration {
	if timeout <= 0 {
		return defaultTimeout
	}
	return time.Duration(min(timeout, maxTimeout.Milliseconds())) * time.Millisecond
}

func decodeRequest(body io.Reader) (Request, error) {
	b, err := io.ReadAll(body)
	req, ok := decodePlain(b)
	if err == nil && !ok {
		req = Request{}
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		err = dec.Decode(&req)
	}
	if err != nil {
		return req, errors.New("bad request: " + err.Error())
	}
	switch req.Reads {
	case "", Linearizable, Lease, Stale:
	default:
		return req, errors.New("bad request: reads is none of linearizable, lease, stale")
	}
	if req.Timeout < 0 {
		return req, errors.New("bad request: timeout_ms is negative")
	}
	return req, nil
}

func (n *Node) do(ctx context.Context, req Request, op operation) (Response, *Failure) {
	if op.read {
		return n.read(ctx, req, op)
	}
	if n.cfg.Cache > 0 {
		n.recent.forget(req.Key)
	}
	if n.cfg.Bug.is(CacheFollower) && op.command == opCacheGet {
		if v := n.cacheFollower(req.Key); v != nil {
			return Response{Value: v}, nil
		}
	}
	return n.route(ctx, req, op, func(ctx context.Context) (Response, *Failure) {
		return n.write(ctx, req, op)
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	b, err := encodeAnswer(body)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that went away needs no answer
}
