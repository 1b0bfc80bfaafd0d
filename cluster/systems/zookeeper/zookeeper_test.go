package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

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
		{}, {Version: "3.8.0"}, {Version: "v3.5.5"}, {Reads: "linearizable"}, {Reads: "lease"}, {Reads: "stale"},
		set("tick", "2000", "session-timeout", "40000", "init-limit", "10", "sync-limit", "5", "snap-count", "100"),
		set("txn-log-sync", "false"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Version: "3.4.14"}, {Version: "4.0.0"}, {Version: "new"}, {Bug: "x"}, {Reads: "fresh"}, set("tickTime", "1"), set("tick", "0"), set("tick", "1s"),
		set("session-timeout", "999"), set("session-timeout", "10001"), set("txn-log-sync", "0"),
	} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

var three = []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}, {Name: "n3", Host: "10.0.0.3"}}

func TestPod(t *testing.T) {
	p := System{}.Pod(three[1], three, set("tick", "700"))
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	if config := string(p.Files[0].Content); !strings.Contains(config, "\nserver.3=10.0.0.3:2888:3888\n") || !strings.Contains(config, "\ntickTime=700\n") || string(p.Files[1].Content) != "2\n" {
		t.Errorf("%s, %s", config, p.Files[1].Content)
	}
	for value, want := range map[string]string{"true": "-Dzookeeper.snapshotSizeFactor=0.33", "false": "-Dzookeeper.snapshotSizeFactor=-1"} {
		if p := (System{}).Pod(three[0], three, set("txn-log-sync", value)); !slices.Contains(p.Containers[0].Args, want) {
			t.Errorf("%s: %q", value, p.Containers[0].Args)
		}
	}
	for _, port := range p.Ports {
		if port.Peers == (port.Name == clients) {
			t.Errorf("%+v", port)
		}
	}
}

func TestImages(t *testing.T) {
	for version, want := range map[string]int{"": 4, "3.9.5": 4, "3.6.0": 4, "3.5.5": 2} {
		r, err := System{}.Images(cluster.Options{Version: version})
		if err != nil || len(r) != 1 || len(r[0].Java.Jars) != want {
			t.Errorf("%s: %+v, %v", version, r, err)
		}
	}
}

// Which errors say that a write did not happen. One too many here is a false alarm.
func TestAnswer(t *testing.T) {
	for _, err := range []error{zk.ErrNoNode, zk.ErrNodeExists, zk.ErrBadVersion, zk.ErrNotEmpty, fmt.Errorf("%w: %w", harness.ErrFail, zk.ErrNoNode)} {
		if !answer(err) {
			t.Errorf("%v leaves it open", err)
		}
	}
	for _, err := range []error{zk.ErrConnectionClosed, zk.ErrNoServer, zk.ErrSessionExpired, zk.ErrSessionMoved, zk.ErrClosing, zk.ErrUnknown, io.EOF, context.DeadlineExceeded} {
		if answer(err) {
			t.Errorf("%v is taken for certain", err)
		}
	}
}

func TestEvent(t *testing.T) {
	const at = "2026-11-28T10:37:03.266Z "
	when, _ := time.Parse(time.RFC3339, strings.TrimSpace(at))
	for line, want := range map[string]harness.Event{
		at + "[QuorumPeer[myid=3](plain=0.0.0.0:2181)(secure=disabled)] INFO org.apache.zookeeper.server.quorum.QuorumPeer - LOOKING":                                                                 {Kind: harness.RoleEvent, Role: "candidate"},
		at + "[QuorumPeer] INFO org.apache.zookeeper.server.quorum.QuorumPeer - FOLLOWING":                                                                                                            {Kind: harness.RoleEvent, Role: "follower"},
		at + "[QuorumPeer] INFO org.apache.zookeeper.server.quorum.Leader - Have quorum of supporters, sids: [[1, 3],[1, 3]]; starting up and setting last processed zxid: 0x2100000000":              {Kind: harness.RoleEvent, Role: "leader", Term: 33},
		"2026-11-28 10:37:03,266 [myid:1] - INFO  [QuorumPeer[myid=1](plain=[0:0:0:0:0:0:0:0]:2181)(secure=disabled):o.a.z.s.q.QuorumPeer@912] - LOOKING":                                             {Kind: harness.RoleEvent, Role: "candidate"},
		at + "[main] INFO org.apache.zookeeper.server.ZooKeeperServer - Server environment:zookeeper.version=3.9.5-abc, built on 2026-01-01":                                                          {Kind: harness.BootEvent, Message: "3.9.5-abc"},
		at + "[QuorumPeer] INFO org.apache.zookeeper.server.quorum.QuorumPeer - LEADING":                                                                                                              {},
		at + "[WorkerReceiver[myid=1]] INFO org.apache.zookeeper.server.quorum.FastLeaderElection - Notification: my state:LOOKING; n.sid:1, n.state:LOOKING, n.leader:1":                             {},
		at + "[QuorumPeer] INFO org.apache.zookeeper.server.quorum.Leader - Have quorum of supporters, sids: [[1],[1]]; starting up and setting last processed zxid: 0x21000000000000000000 and more": {},
		"java.io.IOException: ZooKeeperServer not running": {}, "": {}, "2026-11-28T10:37:03": {}, " - LOOKING": {},
	} {
		e, wall, ok := System{}.Event("n1", []byte(line))
		if want.Kind != "" {
			want.Node = "n1"
		}
		if ok != (want.Kind != "") || ok && (!reflect.DeepEqual(e, want) || !wall.Equal(when)) {
			t.Errorf("%q is %+v at %v, %v", line, e, wall, ok)
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add("2026-11-28T10:37:03.266Z [x] INFO y - LOOKING")
	f.Add("2026-11-28 10:37:03,266 Have quorum of supporters, a; starting up and setting last processed zxid: 0x1")
	f.Fuzz(func(t *testing.T, line string) {
		if e, _, ok := (System{}).Event("n1", []byte(line)); ok && (e.Kind == "" || e.Node != "n1") {
			t.Errorf("%q: %+v", line, e)
		}
	})
}

// access is a cluster whose nodes answer srvr.
type access struct {
	cluster.Access
	says map[string]string
}

func (access) Nodes() []cluster.Node { return three }

func (a access) Dial(_ context.Context, node, _ string) (net.Conn, error) {
	text, ok := a.says[node]
	if !ok {
		return nil, errors.New("nobody is there")
	}
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		io.ReadFull(there, make([]byte, 4)) // the command
		io.WriteString(there, text)
	}()
	return here, nil
}

func TestStatus(t *testing.T) {
	says := func(zxid, mode string) string {
		return "Zookeeper version: 3.9.5\nLatency min/avg/max: 0/0.0/0\nConnections: 1\nZxid: " + zxid + "\nMode: " + mode + "\nNode count: 5\n"
	}
	const not = "This ZooKeeper instance is not currently serving requests\n"
	for name, c := range map[string]struct {
		says map[string]string
		want cluster.Status
	}{
		"it leads":                     {map[string]string{"n1": says("0x500000007", "leader")}, cluster.Status{Role: "leader", Term: 5, Leader: "n1", Applied: 5<<32 + 7}},
		"it follows":                   {map[string]string{"n1": says("0x500000007", "follower"), "n3": says("0x500000007", "leader")}, cluster.Status{Role: "follower", Term: 5, Leader: "n3", Applied: 5<<32 + 7}},
		"it has nothing of a new term": {map[string]string{"n1": says("0x400000007", "follower"), "n3": says("0x500000000", "leader")}, cluster.Status{Role: "follower", Term: 4, Leader: "n3", Applied: 4<<32 + 7}},
		"of two leaders the newer one": {map[string]string{"n1": says("0x400000007", "follower"), "n2": says("0x500000000", "leader"), "n3": says("0x400000009", "leader")}, cluster.Status{Role: "follower", Term: 4, Leader: "n2", Applied: 4<<32 + 7}},
		"a leader that is over":        {map[string]string{"n1": says("0x500000007", "follower"), "n3": says("0x400000007", "leader")}, cluster.Status{Role: "follower", Term: 5, Applied: 5<<32 + 7}},
		"it looks for a leader":        {map[string]string{"n1": not, "n2": not}, cluster.Status{Role: "candidate"}},
	} {
		c.want.Node = "n1"
		if got, err := (System{}).Status(t.Context(), access{says: c.says}, "n1"); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	for name, says := range map[string]map[string]string{"nobody": {}, "hung up": {"n1": ""}} {
		if got, err := (System{}).Status(t.Context(), access{says: says}, "n1"); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	all := map[string]string{"n1": says("0x1", "leader"), "n2": says("0x1", "follower"), "n3": says("0x1", "follower")}
	if err := (System{}).Ready(t.Context(), access{says: all}, cluster.Options{}); err != nil {
		t.Error(err)
	}
	for node, other := range map[string]string{"n1": says("0x1", "follower"), "n2": says("0x1", "leader"), "n3": not} {
		before := all[node]
		all[node] = other
		if err := (System{}).Ready(t.Context(), access{says: all}, cluster.Options{}); err == nil {
			t.Errorf("ready, though %s says %q", node, other)
		}
		all[node] = before
	}
}

// What can't be sent did not happen, and whoever asks for it does not wait for ever.
func TestNobodyThere(t *testing.T) {
	conn, err := System{}.Open(access{}, "n1", cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 2 {
		if err := conn.(*connection).Write(t.Context(), "k", 1); !errors.Is(err, harness.ErrFail) {
			t.Errorf("a write: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := conn.(*connection).Renew(ctx, "k"); !errors.Is(err, harness.ErrFail) {
		t.Errorf("renewing what is not held: %v", err)
	}
}
