//go:build !wasip1

package raftnode

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"coup/cluster/raftnode/simulated"
	"coup/cluster/trace"
)

// tap is a connection that is overheard by its dialler's side.
type tap struct {
	net.Conn
	heard *heard
}

type heard struct {
	mu   sync.Mutex
	talk trace.Conversation
	all  []trace.Message
}

func (h *heard) said(dialler bool, b []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// In pieces, as a network may cut them.
	for len(b) > 0 {
		n := min(len(b), 7)
		h.all = append(h.all, h.talk.Said(dialler, b[:n])...)
		b = b[n:]
	}
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	snapshot := false
	for _, m := range h.all {
		if m.Kind == "snapshot" { // in as many parts as it came
			if !snapshot {
				b.WriteString("snapshot\n")
			}
			snapshot = true
			continue
		}
		snapshot = false
		fmt.Fprintf(&b, "%s%s: %s%s\n", m.Kind, map[bool]string{true: " reply"}[m.Reply], m.Text, map[bool]string{true: " (idle)"}[m.Idle])
	}
	return b.String()
}

func (t *tap) Write(b []byte) (int, error) {
	t.heard.said(true, b)
	return t.Conn.Write(b)
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.heard.said(false, b[:n])
	return n, err
}

func TestClientsAreOverheard(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	five := int64(5)
	mux := http.NewServeMux()
	for path, body := range map[string]any{
		PathRegisterRead: Response{Value: &five}, PathRegisterCAS: Response{}, PathSetRead: Response{Values: []int64{1, 2, 3}},
		PathTxn:    Response{Txn: []Micro{{F: MicroAppend, Key: "k1", Value: 4}, {F: MicroRead, Key: "k2", List: []int64{3, 9}}}},
		PathMember: Members{Voters: []string{"n1", "n2"}},
		PathStatus: Status{Node: "n1", Role: "leader", Term: 3, Leader: "n1", Last: 9, Commit: 8, Applied: 7},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { answer(w, http.StatusOK, body) })
	}
	mux.HandleFunc(PathRegisterWrite, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusMisdirectedRequest, &Failure{Reason: "not the leader", Happened: DidNotHappen, Leader: "n3"})
	})
	s := simulated.NewServer(mux, 2*maxBody, nil)
	go s.Serve(l)
	defer s.Close()
	h := &heard{talk: OverhearClients()}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &tap{conn, h}, err
	}}}
	defer client.CloseIdleConnections()
	ask := func(path string, req any) {
		var body []byte
		if req != nil {
			body, _ = json.Marshal(req)
		}
		method := http.MethodPost
		if req == nil {
			method = http.MethodGet
		}
		hr, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(hr)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	ask(PathStatus, nil)
	ask(PathRegisterRead, &Request{Key: "k1", Reads: Stale})
	ask(PathRegisterWrite, &Request{Key: "k1", Value: 6, Client: "p2", Seq: 9})
	ask(PathRegisterCAS, &Request{Key: "k1", Value: 6, Forwarded: true})
	ask(PathSetRead, &Request{Key: "k2"})
	ask(PathTxn, &Request{Txn: []Micro{{F: MicroAppend, Key: "k1", Value: 4}, {F: MicroRead, Key: "k2"}}, Client: "p3", Seq: 1})
	ask(PathMember, &MemberRequest{Node: "n3", As: Absent})
	want := `status:  (idle)
status reply: leader, term 3, leader n1, log to 9, commit 8, applied 7 (idle)
read: k1, stale
read reply: 5
write: k1 6, number 9 of p2
write reply: not the leader (the operation did not happen); ask n3
cas: k1 nothing to 6, forwarded
cas reply: nothing
read: k2
read reply: 1 2 3
txn: append k1 4, read k2, number 1 of p3
txn reply: append k1 4, read k2 [3 9]
member: {"node":"n3","as":"absent"}
member reply: {"voters":["n1","n2"]}
`
	if got := h.String(); got != want {
		t.Errorf("overheard\n%s\nwant\n%s", got, want)
	}
	if got := h.all[1].Sender; got == nil || got.Commit != 8 || got.Role != "leader" {
		t.Errorf("the status tells %+v", got)
	}
	if got := OverhearClients().Said(true, []byte("hello\r\n\r\n")); len(got) != 1 || got[0].Kind != "?" {
		t.Errorf("garbage: %+v", got)
	}
}

// A command is told as it stands in the log.
func TestCommandsAreTold(t *testing.T) {
	seven := int64(7)
	for _, c := range []struct {
		command command
		what    string
		keys    []string
	}{
		{command{Op: opWrite, Key: "k1", Value: 5}, "write k1 5", []string{"k1"}},
		{command{Op: opCAS, Key: "k2", From: &seven, Value: 8}, "cas k2 7 to 8", []string{"k2"}},
		{command{Op: opNoop}, "noop", nil},
		{command{Op: opTxn, Txn: []Micro{{F: MicroAppend, Key: "a", Value: 1}, {F: MicroRead, Key: "b"}}}, "txn append a 1, read b", []string{"a", "b"}},
	} {
		if what, keys := tellData(c.command.encode()); what != c.what || !reflect.DeepEqual(keys, c.keys) {
			t.Errorf("told %q of %q, want %q of %q", what, keys, c.what, c.keys)
		}
	}
	if what, keys := tellData([]byte("nonsense")); what != "unknown command" || keys != nil {
		t.Errorf("told %q of %q", what, keys)
	}
}

func FuzzOverhear(f *testing.F) {
	f.Add([]byte("GET /status HTTP/1.1\r\nHost: n1\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, dialler bool) {
		for _, talk := range []trace.Conversation{OverhearPeers(), OverhearClients()} {
			talk.Said(dialler, b)
			talk.Said(!dialler, b)
		}
		TellWritten("raft.wal", b)
	})
}
