//go:build !wasip1

package simulated

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"coup/cluster/trace"
)

// words tells entries that say themselves what they are, and then concern the second word.
func words(data []byte) (what string, keys []string) {
	return string(data), strings.Fields(string(data))[1:2]
}

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

// overheard makes the wire's connections taps of one conversation.
func overheard(w *Transport) *heard {
	h := &heard{talk: Overhear(words)}
	w.dial = func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := dialTCP(ctx, addr)
		return &tap{conn, h}, err
	}
	return h
}

func raftLog(index uint64, what string) *raft.Log {
	return &raft.Log{Index: index, Term: 3, Type: raft.LogCommand, Data: []byte(what)}
}

// What is told of raft's messages is what a transport at work sends.
func TestPeersAreOverheard(t *testing.T) {
	a, b := testWire(t), testWire(t)
	h := overheard(a)
	respond(b, func(rpc raft.RPC) (any, error) {
		switch m := rpc.Command.(type) {
		case *raft.AppendEntriesRequest:
			return &raft.AppendEntriesResponse{Term: 3, LastLog: 10, Success: m.PrevLogEntry != 99}, nil
		case *raft.RequestVoteRequest:
			return &raft.RequestVoteResponse{Term: 4, Granted: true}, nil
		case *raft.RequestPreVoteRequest:
			return nil, errors.New("no such message")
		case *raft.InstallSnapshotRequest:
			io.Copy(io.Discard, rpc.Reader)
			return &raft.InstallSnapshotResponse{Term: 3, Success: true}, nil
		}
		return &raft.TimeoutNowResponse{}, nil
	})
	from := raft.RPCHeader{Addr: []byte("n1:7000")}
	to := b.LocalAddr()
	var appended raft.AppendEntriesResponse
	for _, m := range []*raft.AppendEntriesRequest{
		{RPCHeader: from, Term: 3},
		{RPCHeader: from, Term: 3, PrevLogEntry: 10, PrevLogTerm: 2, LeaderCommitIndex: 9, Entries: []*raft.Log{
			raftLog(11, "write k1 5"), raftLog(12, "cas k2 7 to 8"),
		}},
		{RPCHeader: from, Term: 3, PrevLogEntry: 12, PrevLogTerm: 3, LeaderCommitIndex: 12},
		{RPCHeader: from, Term: 3, PrevLogEntry: 99, PrevLogTerm: 3, LeaderCommitIndex: 12},
	} {
		if err := a.AppendEntries("b", to, m, &appended); err != nil {
			t.Fatal(err)
		}
	}
	data := strings.Repeat("x", 100_000)
	err := errors.Join(
		a.RequestVote("b", to, &raft.RequestVoteRequest{RPCHeader: from, Term: 4, LastLogIndex: 12, LastLogTerm: 3}, &raft.RequestVoteResponse{}),
		a.InstallSnapshot("b", to, &raft.InstallSnapshotRequest{RPCHeader: from, Term: 3, LastLogIndex: 12, LastLogTerm: 3, Size: int64(len(data))}, &raft.InstallSnapshotResponse{}, strings.NewReader(data)),
		a.TimeoutNow("b", to, &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}))
	if err != nil {
		t.Fatal(err)
	}
	if a.RequestPreVote("b", to, &raft.RequestPreVoteRequest{Term: 5}, &raft.RequestPreVoteResponse{}) == nil {
		t.Error("an error became an answer")
	}
	want := `AppendEntries: heartbeat, term 3 (idle)
AppendEntries reply: yes, term 3, log to 10 (idle)
AppendEntries: #11 write k1 5, #12 cas k2 7 to 8; term 3, after 10 of term 2, commit 9
AppendEntries reply: yes, term 3, log to 12
AppendEntries: no entries; term 3, after 12 of term 3, commit 12 (idle)
AppendEntries reply: yes, term 3, log to 10 (idle)
AppendEntries: no entries; term 3, after 99 of term 3, commit 12 (idle)
AppendEntries reply: no, term 3, log to 10
RequestVote: for term 4, log to 12 of term 3
RequestVote reply: yes, term 4
InstallSnapshot: term 3, state at 12 of term 3, 100000 bytes
snapshot
InstallSnapshot reply: yes, term 3
TimeoutNow: call for an election now
TimeoutNow reply: yes
RequestPreVote: for term 5, log to 0 of term 0
RequestPreVote reply: error: no such message
`
	if got := h.String(); got != want {
		t.Errorf("overheard\n%s\nwant\n%s", got, want)
	}
	sender := h.all[2].Sender
	if want := (trace.Belief{Role: "leader", Term: 3, Leader: "n1", Last: 12, Commit: 9}); sender == nil || *sender != want {
		t.Errorf("of its sender it tells %+v, want %+v", sender, want)
	}
	if want := (trace.Belief{Term: 3, Last: 12, Commit: 9}); *h.all[3].Sender != want {
		t.Errorf("its answer tells %+v, want %+v", h.all[3].Sender, want)
	}
	for _, m := range h.all[2:4] {
		if !reflect.DeepEqual(m.Keys, []string{"k1", "k2"}) {
			t.Errorf("%s concerns %q", m.Text, m.Keys)
		}
	}
}

// Nodes with a release of raft before 1.3.7 don't say in every message who sent it.
func TestOldPeersAreOverheard(t *testing.T) {
	talk := Overhear(words)
	say := func(dialler bool, kind byte, m any) string {
		code := encoder([]byte{kind, 0, 0, 0, 0})
		code.unnamed = true
		code.message(m)
		binary.LittleEndian.PutUint32(code.Out[1:], uint32(len(code.Out)-wireHead))
		told := talk.Said(dialler, code.Out)
		if len(told) != 1 {
			return fmt.Sprint(told)
		}
		return fmt.Sprint(told[0].Text, " ", *told[0].Sender)
	}
	members := &raft.Log{Index: 5, Term: 3, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{
		{ID: "n1", Address: "n1:7000"}, {ID: "n2", Address: "n2:7000", Suffrage: raft.Nonvoter},
	}})}
	//lint:ignore SA1019 where those releases say it
	asked := &raft.AppendEntriesRequest{Term: 3, Leader: []byte("n1:7000"), PrevLogEntry: 4, PrevLogTerm: 2, LeaderCommitIndex: 4, Entries: []*raft.Log{members}}
	if got, want := say(true, wireAppend, asked), "#5 members n1 n2 (no vote); term 3, after 4 of term 2, commit 4 {leader 3 n1 5 4}"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if got, want := say(false, 0, &raft.AppendEntriesResponse{Term: 3, LastLog: 4, Success: true}), "yes, term 3, log to 5 { 3  5 4}"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if got := tellMembers([]byte("nonsense")); got != "?" {
		t.Errorf("nonsense is told as %q", got)
	}
}

// A message that nobody has thought of here is told as one that isn't understood.
func TestEveryMessageIsTold(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for kind := byte(1); ; kind++ {
		req, resp := newMessages(kind)
		if req == nil {
			break
		}
		for _, m := range []any{req, resp} {
			fill(reflect.ValueOf(m).Elem(), r)
			if got := Words(words).tellPeer(m); got.Text == "" || got.Kind == "" || strings.Contains(got.Kind, ".") || got.Reply != (m == resp) {
				t.Errorf("%T is told as %+v", m, got)
			}
		}
	}
	talk := Overhear(words)
	if got := talk.Said(true, []byte{99, 0, 0, 0, 0}); len(got) != 1 || got[0].Kind != "?" {
		t.Errorf("an unknown message: %+v", got)
	}
	if got := talk.Said(true, []byte{wireTimeoutNow, 0, 0, 0, 0}); got != nil {
		t.Errorf("behind it: %+v", got)
	}
}

// What the log store writes is told: see wal.go.
func TestWritesAreTold(t *testing.T) {
	b := appendLog(newFrame(0), raftLog(11, "write k1 5"))
	b = appendLog(b, &raft.Log{Index: 12, Term: 4, Type: raft.LogNoop, AppendedAt: time.Unix(1, 0)})
	b = seal(appendKey(b, "CurrentTerm", []byte{0, 0, 0, 0, 0, 0, 0, 4}))
	b = append(b, seal(appendKey(newFrame(0), "LastVoteCand", []byte("n2:7000")))...)
	const want = "#11 of term 3: write k1 5, #12 of term 4: no-op of raft's, CurrentTerm 4, LastVoteCand n2"
	if got := Words(words).Wrote("data/raft.wal", b); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if got := Words(words).Wrote("data/snapshots/state.bin", b); got != "" {
		t.Errorf("of another file: %q", got)
	}
	wal := openTestWAL(t, t.TempDir())
	if err := wal.DeleteRange(3, 5); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(wal.path)
	if err != nil {
		t.Fatal(err)
	}
	if got := Words(words).Wrote(wal.path, b); got != "begin, drops #3 to #5" {
		t.Errorf("told %q of the file itself", got)
	}
}

func FuzzOverhear(f *testing.F) {
	f.Add([]byte{wireTimeoutNow, 0, 0, 0, 0}, true)
	f.Fuzz(func(t *testing.T, b []byte, dialler bool) {
		any := func([]byte) (string, []string) { return "any", nil }
		talk := Overhear(any)
		talk.Said(dialler, b)
		talk.Said(!dialler, b)
		Words(any).Wrote(walFile, b)
	})
}
