package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"coup/cluster"
	"coup/harness"
)

func set(pairs ...string) cluster.Options {
	o := cluster.Options{Settings: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		o.Settings[pairs[i]] = pairs[i+1]
	}
	return o
}

func TestCheck(t *testing.T) {
	for _, o := range []cluster.Options{
		{}, {Version: "3.9.2"}, {Version: "v4.0.0"}, {Reads: "linearizable"}, {Reads: "stale"},
		set("acks", "1", "min-isr", "1", "unclean", "true", "session-timeout", "9000", "replica-lag", "30000"), set("transactions", "true"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Version: "3.8.1"}, {Version: "2.8.0"}, {Version: "new"}, {Bug: "x"}, {Reads: "lease"}, set("acks", "0"), set("acks", "-1"), set("unclean", "yes"),
		set("transactions", "yes"), set("transactions", "true", "acks", "1"),
		set("min-isr", "0"), set("session-timeout", "1s"), set("session-timeout", "100"), set("min.insync.replicas", "2"),
	} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestLoses(t *testing.T) {
	for _, o := range []cluster.Options{{}, set("min-isr", "1"), {Reads: "stale"}} {
		if s := (System{}).Loses(o); s != "" {
			t.Errorf("%+v loses: %s", o, s)
		}
	}
	for _, o := range []cluster.Options{set("acks", "1"), set("unclean", "true")} {
		if (System{}).Loses(o) == "" {
			t.Errorf("%+v loses nothing", o)
		}
	}
}

var three = []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}, {Name: "n3", Host: "10.0.0.3"}}

func TestPod(t *testing.T) {
	p := System{}.Pod(three[1], three, set("session-timeout", "3000"))
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	meta, config := string(p.Files[0].Content), string(p.Files[1].Content)
	if !p.Files[0].Once || !strings.Contains(meta, "\nnode.id=2\n") {
		t.Errorf("%+v", p.Files[0])
	}
	for _, line := range []string{
		"node.id=2", "controller.quorum.voters=1@10.0.0.1:9093,2@10.0.0.2:9093,3@10.0.0.3:9093",
		"advertised.listeners=PLAINTEXT://10.0.0.2:9092,CONTROLLER://10.0.0.2:9093", "broker.session.timeout.ms=3000", "controller.quorum.election.timeout.ms=1000",
	} {
		if !strings.Contains(config, "\n"+line+"\n") {
			t.Errorf("no %q in\n%s", line, config)
		}
	}
	if nameOf(idOf("n3", three), three) != "n3" || nameOf(-1, three) != "" || nameOf(0, three) != "" || nameOf(4, three) != "" {
		t.Error("names and numbers of nodes")
	}
	// Objects are spread over the partitions.
	used := map[int32]bool{}
	for _, key := range strings.Fields("k0 k1 k2 k3 k4 k5 k6 k7 k8 k9") {
		p := partitionOf(key)
		used[p] = true
		if p < 0 || p >= partitions {
			t.Errorf("%s is in partition %d", key, p)
		}
	}
	if len(used) < 4 {
		t.Errorf("used: %v", used)
	}
}

// A sender knows whether records may have been sent. To say "no" wrongly is a false alarm.
func TestSender(t *testing.T) {
	request := func(key int16) []byte {
		b := make([]byte, 20)
		binary.BigEndian.PutUint16(b[4:], uint16(key))
		return b
	}
	for name, c := range map[string]struct {
		sent []byte
		want bool
	}{
		"records": {request(0), true}, "metadata": {request(3), false}, "fetch": {request(1), false}, "a part of a request": {[]byte{0, 0, 0, 1, 0}, true},
	} {
		here, there := net.Pipe()
		go func() {
			b := make([]byte, 64)
			for {
				if _, err := there.Read(b); err != nil {
					return
				}
			}
		}()
		k := &client{shut: false}
		s := sender{here, k}
		if _, err := s.Write(c.sent); err != nil || k.produced != c.want {
			t.Errorf("%s: produced is %v, %v", name, k.produced, err)
		}
		k.shut, k.produced = true, false
		if n, err := s.Write(request(0)); n != 0 || !errors.Is(err, errShut) || k.produced {
			t.Errorf("%s: %d bytes are written when it is shut: %v", name, n, err)
		}
		here.Close()
		there.Close()
	}
}

// nobody is a cluster of which no node answers.
type nobody struct{ cluster.Access }

func (nobody) Nodes() []cluster.Node { return three }
func (nobody) DialAddress(context.Context, string) (net.Conn, error) {
	return nil, errors.New("nobody is there")
}

func TestNobodyThere(t *testing.T) {
	conn, err := System{}.Open(nobody{}, "n1", cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := conn.(*connection).SetAdd(ctx, "k", 1); !errors.Is(err, harness.ErrFail) {
		t.Errorf("add: %v", err)
	}
	if _, err := conn.(*connection).SetRead(ctx, "k"); !errors.Is(err, harness.ErrFail) {
		t.Errorf("read: %v", err)
	}
	if _, err := (System{}).Status(ctx, nobody{}, "nobody"); err == nil {
		t.Error("a node that there is not has a status")
	}
}

// What is committed leaves out nothing that was not handed out.
func TestAssigned(t *testing.T) {
	record := func(offset int64, key, value string) *kgo.Record {
		return &kgo.Record{Offset: offset, Key: []byte(queue + key), Value: []byte(value)}
	}
	m := &member{has: map[int32]*assigned{3: {}}}
	if _, _, done, here := m.take(2, "a", 0); done || here {
		t.Error("a partition of somebody else is empty")
	}
	if _, _, done, here := m.take(3, "a", 1); done || !here {
		t.Error("a partition is empty of which nothing was fetched")
	}
	m.has[3].add([]*kgo.Record{{Offset: 3, Key: []byte("set:a"), Value: []byte("0")}, record(4, "a", "1"), record(5, "b", "2"), record(6, "a", ""), record(7, "a", "3")})
	for _, want := range []struct {
		key    string
		end    int64
		value  string // "": none
		commit int64
		done   bool
	}{
		{"b", 8, "2", 4, true}, // the first record is still to be handed out
		{"b", 8, "", 4, true},
		{"b", 9, "", 4, false},
		{"a", 7, "1", 7, true}, // the mark between needs no hand
		{"a", unmarked, "3", 8, true},
		{"a", unmarked, "", 8, false},
	} {
		r, commit, done, _ := m.take(3, queue+want.key, want.end)
		got := ""
		if r != nil {
			got = string(r.Value)
		}
		if got != want.value || commit != want.commit || done != want.done {
			t.Errorf("%+v: got %q, commit %d, done %v", want, got, commit, done)
		}
	}
}
