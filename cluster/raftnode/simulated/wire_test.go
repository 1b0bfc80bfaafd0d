package simulated

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// fill sets every field of a message to something of its own.
func fill(v reflect.Value, r *rand.Rand) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), r)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(0, r.Int64N(1<<60)+1)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), r)
		}
	case reflect.Slice:
		n := 1 + r.IntN(4)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), r)
		}
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(r.Int64N(1 << 31))
	case reflect.Uint8:
		v.SetUint(r.Uint64N(256))
	default:
		v.SetUint(r.Uint64())
	}
}

// Every field of every message survives, and no cut-off message is taken for
// a whole one.
func TestWireCode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for kind := wireAppend; kind <= wireTimeoutNow; kind++ {
		for range 50 {
			req, resp := newMessages(kind)
			for _, m := range []any{req, resp} {
				fill(reflect.ValueOf(m).Elem(), r)
				out := encoder(nil)
				out.message(m)
				back := reflect.New(reflect.TypeOf(m).Elem()).Interface()
				in := decoder(out.Out)
				in.message(back)
				if in.Bad || len(in.B) > 0 || !reflect.DeepEqual(back, m) {
					t.Fatalf("%T:\n%+v\nbecame\n%+v", m, m, back)
				}
				for n := range len(out.Out) {
					cut := decoder(out.Out[:n])
					if cut.message(reflect.New(reflect.TypeOf(m).Elem()).Interface()); !cut.Bad {
						t.Fatalf("%T is read from %d of %d bytes", m, n, len(out.Out))
					}
				}
			}
		}
	}
	if req, _ := newMessages(99); req != nil {
		t.Error("there is a message 99")
	}
	bad := encoder(nil)
	if bad.message("text"); !bad.Bad {
		t.Error("a string is a message")
	}
}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

func testWire(t *testing.T) *Transport {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := NewTransport(l, l.Addr().String(), dialTCP, time.Minute, LeastInFlight) // no message takes so long
	t.Cleanup(func() { w.Close() })
	return w
}

// respond answers everything that comes to w.
func respond(w *Transport, answer func(rpc raft.RPC) (any, error)) {
	go func() {
		for {
			select {
			case rpc := <-w.Consumer():
				rpc.Respond(answer(rpc))
			case <-w.ended:
				return
			}
		}
	}()
}

func TestWire(t *testing.T) {
	a, b := testWire(t), testWire(t)
	to := b.LocalAddr()
	var snapshot []byte
	respond(b, func(rpc raft.RPC) (any, error) {
		switch m := rpc.Command.(type) {
		case *raft.AppendEntriesRequest:
			return &raft.AppendEntriesResponse{Term: m.Term, LastLog: uint64(len(m.Entries)), Success: true}, nil
		case *raft.RequestVoteRequest:
			return nil, fmt.Errorf("no vote in term %d", m.Term)
		case *raft.RequestPreVoteRequest:
			return &raft.RequestPreVoteResponse{Term: m.Term, Granted: true}, nil
		case *raft.InstallSnapshotRequest:
			var err error
			snapshot, err = io.ReadAll(rpc.Reader)
			return &raft.InstallSnapshotResponse{Success: true}, err
		case *raft.TimeoutNowRequest:
			return &raft.TimeoutNowResponse{RPCHeader: raft.RPCHeader{ID: []byte("b")}}, nil
		}
		return nil, errors.New("unknown")
	})
	for i := range uint64(3) { // over one connection
		var resp raft.AppendEntriesResponse
		if err := a.AppendEntries("b", to, &raft.AppendEntriesRequest{Term: i, Entries: make([]*raft.Log, 0)}, &resp); err != nil || resp.Term != i || !resp.Success {
			t.Errorf("append: %+v, %v", resp, err)
		}
	}
	if len(a.open) != 1 {
		t.Errorf("%d connections", len(a.open))
	}
	var vote raft.RequestVoteResponse
	if err := a.RequestVote("b", to, &raft.RequestVoteRequest{Term: 7}, &vote); err == nil || err.Error() != "no vote in term 7" {
		t.Errorf("vote: %v", err)
	}
	var pre raft.RequestPreVoteResponse
	if err := a.RequestPreVote("b", to, &raft.RequestPreVoteRequest{Term: 8}, &pre); err != nil || !pre.Granted {
		t.Errorf("pre-vote: %+v, %v", pre, err)
	}
	data := bytes.Repeat([]byte("snapshot"), 100_000)
	var installed raft.InstallSnapshotResponse
	if err := a.InstallSnapshot("b", to, &raft.InstallSnapshotRequest{Size: int64(len(data))}, &installed, bytes.NewReader(data)); err != nil || !installed.Success || !bytes.Equal(snapshot, data) {
		t.Errorf("snapshot: %+v, %v, %d bytes", installed, err, len(snapshot))
	}
	var now raft.TimeoutNowResponse
	if err := a.TimeoutNow("b", to, &raft.TimeoutNowRequest{}, &now); err != nil || string(now.ID) != "b" {
		t.Errorf("timeout now: %+v, %v", now, err)
	}

	p, err := a.AppendEntriesPipeline("b", to)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for i := range uint64(20) {
			if _, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 100 + i}, &raft.AppendEntriesResponse{}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i := range uint64(20) {
		f := <-p.Consumer()
		if f.Error() != nil || f.Response().Term != 100+i || f.Request().Term != 100+i {
			t.Errorf("pipeline: %+v, %v", f.Response(), f.Error())
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}

	// A peer that hangs up: what is under way fails, and so does what follows.
	b.Close()
	if err := a.AppendEntries("b", to, &raft.AppendEntriesRequest{}, &raft.AppendEntriesResponse{}); err == nil {
		t.Error("an answer from a peer that is closed")
	}
}

func TestWireTimesOut(t *testing.T) {
	a, b := testWire(t), testWire(t) // nobody consumes
	a.timeout = 50 * time.Millisecond
	err := a.RequestVote("b", b.LocalAddr(), &raft.RequestVoteRequest{}, &raft.RequestVoteResponse{})
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v, want a timeout", err)
	}
	if len(a.open) != 0 {
		t.Error("the connection is kept, though an answer may still come")
	}
}

func TestWireHeartbeats(t *testing.T) {
	a, b := testWire(t), testWire(t)
	b.SetHeartbeatHandler(func(rpc raft.RPC) { rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil) })
	respond(b, func(raft.RPC) (any, error) { return nil, errors.New("through the main loop") })
	beat := &raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{Addr: []byte("a")}, Term: 1}
	if err := a.AppendEntries("b", b.LocalAddr(), beat, &raft.AppendEntriesResponse{}); err != nil {
		t.Errorf("a heartbeat: %v", err)
	}
	beat.PrevLogEntry = 3
	if err := a.AppendEntries("b", b.LocalAddr(), beat, &raft.AppendEntriesResponse{}); err == nil || !strings.Contains(err.Error(), "main loop") {
		t.Errorf("what is more than a heartbeat: %v", err)
	}
}
