package raft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coup/cluster"
	"coup/cluster/raftnode"
	"coup/harness"
)

// fakes are nodes that answer as the test says. asked lists who was asked
// for an operation, in order, with the request.
type fakes struct {
	t       *testing.T
	servers map[string]*httptest.Server
	answers map[string]func(path string, req raftnode.Request) (int, any)
	asked   []string
	reqs    []raftnode.Request
}

func newFakes(t *testing.T, names ...string) *fakes {
	f := &fakes{t: t, servers: map[string]*httptest.Server{}, answers: map[string]func(string, raftnode.Request) (int, any){}}
	for _, name := range names {
		f.servers[name] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == raftnode.PathStatus {
				json.NewEncoder(w).Encode(raftnode.Status{Node: name, Role: "follower", Term: 3, Leader: "n2", Applied: 7, Hash: "0a"})
				return
			}
			var req raftnode.Request
			if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
				t.Error(err)
			}
			f.asked, f.reqs = append(f.asked, name), append(f.reqs, req)
			status, body := f.answers[name](r.URL.Path, req)
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(body)
		}))
		t.Cleanup(f.servers[name].Close)
	}
	return f
}

// through is the way to nodes that have one port, whatever it is called.
type through dialNode

func (d through) Nodes() []cluster.Node                                      { return nil }
func (d through) Dial(ctx context.Context, node, _ string) (net.Conn, error) { return d(ctx, node) }
func (d through) DialAddress(context.Context, string) (net.Conn, error) {
	return nil, errors.New("not here")
}
func (d through) Exec(context.Context, string, string, ...string) ([]byte, error) {
	return nil, errors.New("not here")
}

func (f *fakes) dial(ctx context.Context, node string) (net.Conn, error) {
	s, ok := f.servers[node]
	if !ok {
		return nil, fmt.Errorf("there is no %s", node)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.Listener.Addr().String())
}

func (f *fakes) answer(name string, status int, body any) {
	f.answers[name] = func(string, raftnode.Request) (int, any) { return status, body }
}

func (f *fakes) open(node string, o cluster.Options) *connection {
	c, err := System{}.Open(through(f.dial), node, o)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	return c.(*connection)
}

func num(v int64) *int64 { return &v }

func TestRedirect(t *testing.T) {
	notLeader := raftnode.Failure{Reason: "not the leader", Happened: raftnode.DidNotHappen, Leader: "n2"}
	nobody := raftnode.Failure{Reason: "no leader", Happened: raftnode.DidNotHappen}
	doubt := raftnode.Failure{Reason: "lost", Happened: raftnode.Unknown, Leader: "n2"}
	good := raftnode.Response{Value: num(4)}
	for name, c := range map[string]struct {
		first, second any
		asked         []string
		ok, fail      bool
	}{
		"own node leads":            {good, nil, []string{"n1"}, true, false},
		"the leader answers":        {notLeader, good, []string{"n1", "n2"}, true, false},
		"the leader leads no more":  {notLeader, notLeader, []string{"n1", "n2"}, false, true},
		"the leader is in doubt":    {notLeader, doubt, []string{"n1", "n2"}, false, false},
		"nobody leads":              {nobody, nil, []string{"n1"}, false, true},
		"own node is in doubt":      {doubt, good, []string{"n1"}, false, false},
		"the leader is unreachable": {raftnode.Failure{Happened: "no", Leader: "n9"}, nil, []string{"n1"}, false, true},
		"it names itself":           {raftnode.Failure{Happened: "no", Leader: "n1"}, nil, []string{"n1"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakes(t, "n1", "n2")
			for node, body := range map[string]any{"n1": c.first, "n2": c.second} {
				status := 200
				if fail, ok := body.(raftnode.Failure); ok {
					status = map[string]int{"no": 421, "unknown": 504}[fail.Happened]
				}
				f.answer(node, status, body)
			}
			conn := f.open("n1", cluster.Options{})
			saw, err := conn.CAS(within(t, time.Minute), "k", nil, 5)
			if (err == nil) != c.ok || errors.Is(err, harness.ErrFail) != c.fail {
				t.Errorf("%v", err)
			}
			if c.ok && *saw != 4 {
				t.Errorf("saw %d", *saw)
			}
			if !reflect.DeepEqual(f.asked, c.asked) {
				t.Errorf("asked %v, want %v", f.asked, c.asked)
			}
			for _, req := range f.reqs {
				if req.Client != conn.client || req.Seq != 1 || req.Timeout <= 0 || req.Retry {
					t.Errorf("request %+v", req)
				}
			}
			if want := c.asked[len(c.asked)-1]; conn.Node() != want && name != "the leader is unreachable" {
				t.Errorf("asked last: %s, want %s", conn.Node(), want)
			}
		})
	}
}

func TestOperations(t *testing.T) {
	f := newFakes(t, "n1")
	var path string
	var req raftnode.Request
	answer := raftnode.Response{Value: num(4), Values: []int64{1, 2}}
	f.answers["n1"] = func(p string, r raftnode.Request) (int, any) {
		path, req = p, r
		answer.Txn = slices.Clone(r.Txn)
		for i, m := range r.Txn {
			if m.F == "r" {
				answer.Txn[i].List = []int64{5}
			}
		}
		return 200, answer
	}
	c := f.open("n1", cluster.Options{Reads: raftnode.Stale, Client: "p7"})
	ctx := within(t, time.Minute)
	read := raftnode.Request{Key: "k", Reads: raftnode.Stale}
	look := []cluster.Micro{{F: "r", Key: "k"}}
	steps := []raftnode.Micro{{F: "r", Key: "k"}}
	write := func(seq uint64, value int64, from *int64) raftnode.Request {
		return raftnode.Request{Key: "k", Value: value, From: from, Client: "p7", Seq: seq}
	}
	for i, step := range []struct {
		do   func() (any, error)
		want any
		path string
		req  raftnode.Request
	}{
		{func() (any, error) { return c.Read(ctx, "k") }, num(4), raftnode.PathRegisterRead, read},
		{func() (any, error) { return nil, c.Write(ctx, "k", 9) }, nil, raftnode.PathRegisterWrite, write(1, 9, nil)},
		{func() (any, error) { return c.CAS(ctx, "k", num(1), 2) }, num(4), raftnode.PathRegisterCAS, write(2, 2, num(1))},
		{func() (any, error) { return nil, c.SetAdd(ctx, "k", 3) }, nil, raftnode.PathSetAdd, write(3, 3, nil)},
		{func() (any, error) { return c.SetRead(ctx, "k") }, []int64{1, 2}, raftnode.PathSetRead, read},
		{func() (any, error) { return nil, c.Enqueue(ctx, "k", 3) }, nil, raftnode.PathQueueEnqueue, write(4, 3, nil)},
		{func() (any, error) { return c.Dequeue(ctx, "k") }, num(4), raftnode.PathQueueDequeue, write(5, 0, nil)},
		{func() (any, error) { return nil, c.CounterAdd(ctx, "k", -2) }, nil, raftnode.PathCounterAdd, write(6, -2, nil)},
		{func() (any, error) { return c.CounterRead(ctx, "k") }, int64(4), raftnode.PathCounterRead, read},
		{func() (any, error) { return c.Txn(ctx, look) }, []cluster.Micro{{F: "r", Key: "k", List: []int64{5}}}, raftnode.PathTxnRead,
			raftnode.Request{Txn: steps, Reads: raftnode.Stale}},
		{func() (any, error) {
			return nil, second(c.Txn(ctx, append(look, cluster.Micro{F: "append", Key: "x", Value: 2})))
		}, nil, raftnode.PathTxn,
			raftnode.Request{Txn: append(steps, raftnode.Micro{F: "append", Key: "x", Value: 2}), Client: "p7", Seq: 7}},
	} {
		got, err := step.do()
		if err != nil || !reflect.DeepEqual(got, step.want) {
			t.Errorf("step %d: %v, %v", i, got, err)
		}
		req.Timeout = 0
		if path != step.path || !reflect.DeepEqual(req, step.req) {
			t.Errorf("step %d: asked %s %+v, want %s %+v", i, path, req, step.path, step.req)
		}
	}
	answer = raftnode.Response{}
	if v, err := c.Dequeue(ctx, "k"); v != nil || err != nil {
		t.Errorf("an empty queue: %v, %v", v, err)
	}
	if _, err := c.CounterRead(ctx, "k"); !errors.Is(err, harness.ErrFail) {
		t.Errorf("a counter without a value: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestClientsAreUnique(t *testing.T) {
	f := newFakes(t, "n1")
	seen := map[string]bool{}
	for range 5 {
		c := f.open("n1", cluster.Options{})
		if c.client == "" || seen[c.client] {
			t.Errorf("client %q", c.client)
		}
		seen[c.client] = true
	}
}

func TestStatus(t *testing.T) {
	f := newFakes(t, "n1")
	s, err := System{}.Status(within(t, time.Minute), through(f.dial), "n1")
	want := cluster.Status{Node: "n1", Role: "follower", Term: 3, Leader: "n2", Applied: 7, Hash: "0a"}
	if err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := (System{}).Status(within(t, time.Minute), through(f.dial), "n5"); err == nil {
		t.Error("the status of nobody")
	}
	broken := serve(t, once("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	if _, err := (System{}).Status(within(t, time.Minute), through(broken.dial), "n1"); err == nil {
		t.Error("a status of garbage")
	}
	sick := serve(t, once("HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n{}"))
	if _, err := (System{}).Status(within(t, time.Minute), through(sick.dial), "n1"); err == nil {
		t.Error("the status of a sick node")
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := System{}.Status(within(t, 50*time.Millisecond), through(piped(silent)), "n1")
		if took := time.Since(start); err == nil || took != 50*time.Millisecond {
			t.Errorf("a mute node: %v after %v, want an error after 50ms", err, took)
		}
	})
}

func TestEvent(t *testing.T) {
	const head, tail = `{"event":"`, `,"time":1000000007,"node":"n1","role":"leader","term":4,"leader":"n3","index":9,"hash":"0b"}`
	for kind, want := range map[string]string{
		"boot": harness.BootEvent, "role": harness.RoleEvent, "election": harness.ElectionEvent, "leader": harness.LeaderEvent,
		"snapshot": harness.SnapshotEvent, "restore": harness.RestoreEvent, "state": harness.StateEvent,
	} {
		e, wall, ok := System{}.Event("n1", []byte(head+kind+`"`+tail))
		full := harness.Event{Kind: want, Node: "n1", Role: "leader", Term: 4, Leader: "n3", Applied: 9, Hash: "0b"}
		if !ok || !reflect.DeepEqual(e, full) || wall.UnixNano() != 1000000007 {
			t.Errorf("%s: %+v, %v, %v", kind, e, wall, ok)
		}
	}
	if e, _, ok := (System{}).Event("n1", []byte(head+`boot","time":7,"node":"n1","raft":"v1.3.5"}`)); !ok || e.Message != "v1.3.5" {
		t.Errorf("a node that says what it runs: %+v, %v", e, ok)
	}
	for name, line := range map[string]string{
		"log line":        "2026-01-01T00:00:00Z [INFO] n1.raft: entering leader state",
		"shutdown":        head + `shutdown"` + tail,
		"of another node": strings.Replace(head+`boot"`+tail, "n1", "n2", 1),
	} {
		if e, _, ok := (System{}).Event("n1", []byte(line)); ok {
			t.Errorf("%s is taken for %+v", name, e)
		}
	}
}

func TestPod(t *testing.T) {
	all := []cluster.Node{{Name: "n1", Host: "a"}, {Name: "n2", Host: "::1"}}
	p := System{}.Pod(all[1], all, cluster.Options{Bug: "early-ack", Settings: map[string]string{"heartbeat": "1s", "forward": "true"}})
	want := []string{
		"--id=n2", "--peers=n1=a:7000,n2=[::1]:7000", "--data=/data", "--listen-peer=:7000", "--listen-client=:8000",
		"--heartbeat=1s", "--forward=true", "--bug=early-ack",
	}
	c, err := p.Port("clients")
	if !p.Bundled() || !reflect.DeepEqual(p.Containers[0].Args, want) || p.DataOf("/data/raft.wal") != "/data" || err != nil || c.Number != 8000 || c.Peers {
		t.Errorf("%+v", p)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	if err := raftnode.CheckArgs(p.Containers[0].Args); err != nil {
		t.Errorf("the node does not take its arguments: %v", err)
	}
}

func TestCheck(t *testing.T) {
	set := func(kv ...string) cluster.Options {
		o := cluster.Options{Settings: map[string]string{}}
		for i := 0; i < len(kv); i += 2 {
			o.Settings[kv[i]] = kv[i+1]
		}
		return o
	}
	for _, o := range []cluster.Options{
		{}, {Reads: "stale"}, {Bug: "lost-log"},
		set("heartbeat", "1s", "election", "1s", "lease", "500ms", "commit", "5ms", "snapshot-threshold", "50", "snapshot-interval", "1s",
			"trailing", "10", "forward", "true", "hold", "0s", "retry", "1s", "state-every", "0", "rpc-timeout", "1s", "log-level", "warn"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Reads: "dirty"}, {Bug: "no-bug"}, set("heart-beat", "1s"), set("heartbeat", "soon"), set("lease", "9s"), set("retry", "0s"), set("data", "/tmp"), set("log-level", "loud"),
	} {
		if err := (System{}).Check(o); err == nil {
			t.Errorf("%+v is fine", o)
		}
	}
}

func TestBugsAreComplete(t *testing.T) {
	names := map[string]bool{}
	for _, b := range (System{}).Bugs() {
		if b.Doc == "" || b.Workload == "" || len(b.Nemesis) == 0 || names[b.Name] {
			t.Errorf("%+v", b)
		}
		for _, n := range b.Nemesis {
			if fault, target, ok := strings.Cut(n, ":"); !ok || fault == "" || target == "" {
				t.Errorf("%s: nemesis %q", b.Name, n)
			}
		}
		names[b.Name] = true
	}
	if len(names) != len(raftnode.Bugs) {
		t.Errorf("%d bugs of %d", len(names), len(raftnode.Bugs))
	}
	for b := range exposes {
		if !names[string(b)] {
			t.Errorf("%s is no bug", b)
		}
	}
}

func TestAdministration(t *testing.T) {
	f := newFakes(t, "n1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f.answer("n1", 200, raftnode.Transferred{Refused: "nobody there"})
	if refused, err := (System{}).TransferLeader(ctx, through(f.dial), "n1", "n2"); refused != "nobody there" || err != nil {
		t.Errorf("%q, %v", refused, err)
	}
	f.answer("n1", 200, raftnode.Members{Voters: []string{"n1"}, Nonvoters: []string{"n2"}})
	if m, err := (System{}).SetMember(ctx, through(f.dial), "n1", "n2", cluster.Nonvoter); err != nil || !reflect.DeepEqual(m, cluster.Members{Voters: []string{"n1"}, Nonvoters: []string{"n2"}}) {
		t.Errorf("%+v, %v", m, err)
	}
	for happened, c := range map[string]struct {
		status        int
		fail, pending bool
	}{raftnode.DidNotHappen: {421, true, false}, raftnode.Unknown: {504, false, true}} {
		f.answer("n1", c.status, raftnode.Failure{Reason: "no", Happened: happened})
		_, err := (System{}).SetMember(ctx, through(f.dial), "n1", "n2", cluster.Absent)
		if errors.Is(err, harness.ErrFail) != c.fail || errors.Is(err, cluster.ErrPending) != c.pending {
			t.Errorf("%s: %v", happened, err)
		}
		if _, err := (System{}).TransferLeader(ctx, through(f.dial), "n1", "n2"); errors.Is(err, harness.ErrFail) != c.fail || err == nil {
			t.Errorf("%s: %v", happened, err)
		}
	}
	if _, err := (System{}).SetMember(ctx, through(f.dial), "n7", "n2", cluster.Absent); !errors.Is(err, harness.ErrFail) {
		t.Errorf("a node that is not there: %v", err)
	}
}
