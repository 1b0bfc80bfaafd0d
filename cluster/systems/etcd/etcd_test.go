package etcd

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"coup/cluster"
	"coup/harness"
)

func settings(pairs ...string) cluster.Options {
	o := cluster.Options{Settings: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		o.Settings[pairs[i]] = pairs[i+1]
	}
	return o
}

func TestCheck(t *testing.T) {
	for _, o := range []cluster.Options{
		{}, {Reads: "linearizable"}, {Reads: "stale"}, {Version: "3.5.21"}, {Version: "v3.6.8"}, {Version: "3.4.13"}, {Version: "3.8.0-alpha.0"},
		settings("heartbeat-interval", "100", "election-timeout", "1000", "snapshot-count", "100", "pre-vote", "false", "lock-ttl", "5"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Reads: "lease"}, {Bug: "early-ack"}, {Version: "3.3.1"}, {Version: "3"}, {Version: "2.3.4"}, {Version: "latest"}, {Version: "3.4.1"}, {Version: "3.x.1"},
		settings("heartbeat", "50"), settings("data-dir", "/tmp"), settings("heartbeat-interval", "50ms"), settings("heartbeat-interval", "0"),
		settings("heartbeat-interval", "200"), settings("lock-ttl", "-1"),
	} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestPod(t *testing.T) {
	all := []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}}
	p := System{}.Pod(all[1], all, settings("election-timeout", "700", "lock-ttl", "9"))
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	args := p.Containers[0].Args
	for _, want := range []string{
		"--name=n2", "--initial-cluster=n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380", "--data-dir=/data/etcd",
		"--initial-advertise-peer-urls=http://10.0.0.2:2380", "--advertise-client-urls=http://10.0.0.2:2379",
		"--heartbeat-interval=50", "--election-timeout=700",
	} {
		if !slices.Contains(args, want) {
			t.Errorf("%s is not among %q", want, args)
		}
	}
	if strings.Contains(strings.Join(args, " "), "lock-ttl") || strings.Contains(strings.Join(args, " "), "snapshot-count") {
		t.Errorf("arguments %q", args)
	}
	if c, err := p.Port("clients"); err != nil || c.Peers || c.Number != 2379 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestMembersComeBackInOwnImages(t *testing.T) {
	if err := (System{}).CanSetMember(cluster.Options{Version: "3.5.21"}); err != nil {
		t.Error(err)
	}
	if err := (System{}).CanSetMember(cluster.Options{Image: "some/etcd"}); err == nil {
		t.Error("an image of etcd's own has the keeper")
	}
	r, err := System{}.Images(cluster.Options{})
	if err != nil || !strings.Contains(strings.Join(r[0].Programs[0].More, ""), "func main()") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestImages(t *testing.T) {
	for version, module := range map[string]string{
		"": "go.etcd.io/etcd/server/v3@v" + DefaultVersion, "v3.5.2": "go.etcd.io/etcd/server/v3@v3.5.2",
		"3.4.13": "go.etcd.io/etcd@v0.5.0-alpha.5.0.20200910180754-dd1b699fc489",
	} {
		r, err := System{}.Images(cluster.Options{Version: version})
		if err != nil || len(r) != 1 || r[0].Name != "etcd" || r[0].Programs[0].Module+"@"+r[0].Programs[0].Version != module {
			t.Errorf("%q: %+v, %v", version, r, err)
		}
	}
}

// Which errors say that a write did not happen. One too many here is a false alarm.
func TestDidNotHappen(t *testing.T) {
	certain := map[string]error{
		"no leader":         rpctypes.ErrGRPCNoLeader,
		"too many requests": rpctypes.ErrGRPCRequestTooManyRequests,
		"too large":         rpctypes.ErrGRPCRequestTooLarge,
		"no such lease":     rpctypes.ErrGRPCLeaseNotFound,
		"not capable":       rpctypes.ErrGRPCNotCapable,
		"a learner":         rpctypes.ErrGRPCNotSupportedForLearner,
		"nobody took it":    status.Error(codes.Unknown, "raft proposal dropped"),
		"as the client's":   rpctypes.ErrLeaseNotFound,
	}
	for name, err := range certain {
		if !didNotHappen(err) || !didNotHappen(fmt.Errorf("put: %w", err)) && name == "as the client's" {
			t.Errorf("%s: %v leaves it open", name, err)
		}
	}
	for name, err := range map[string]error{
		"space, which is also said of what was written": rpctypes.ErrGRPCNoSpace,
		"leader changed":         rpctypes.ErrGRPCLeaderChanged,
		"stopped":                rpctypes.ErrGRPCStopped,
		"timeout":                rpctypes.ErrGRPCTimeout,
		"timeout, leader failed": rpctypes.ErrGRPCTimeoutDueToLeaderFail,
		"timeout, connection":    rpctypes.ErrGRPCTimeoutDueToConnectionLost,
		"timeout, waiting":       rpctypes.ErrGRPCTimeoutWaitAppliedIndex,
		"corrupt":                rpctypes.ErrGRPCCorrupt,
		"cancelled":              rpctypes.ErrGRPCCanceled,
		"deadline":               context.DeadlineExceeded,
		"deadline by gRPC":       status.Error(codes.DeadlineExceeded, "context deadline exceeded"),
		"connection lost":        status.Error(codes.Unavailable, "error reading from server: EOF"),
		"connection closing":     status.Error(codes.Unavailable, "transport is closing"),
		"not known":              status.Error(codes.Unknown, "etcdserver: something new"),
		"words alone":            errors.New("etcdserver: requested lease is odd"),
		"of a renewal":           errRenewal{rpctypes.ErrGRPCNoLeader},
		"of another code":        status.Error(codes.Unavailable, "raft proposal dropped"),
	} {
		if didNotHappen(err) {
			t.Errorf("%s: %v is taken for certain", name, err)
		}
	}
}

func TestEvent(t *testing.T) {
	at := time.Date(2026, 11, 28, 7, 40, 0, 123456000, time.UTC)
	for text, want := range map[string]harness.Event{
		`"msg":"8e9e05c52164694d became leader at term 7"`:                                          {Kind: harness.RoleEvent, Node: "n2", Role: "leader", Term: 7},
		`"msg":"8e9e05c52164694d became follower at term 7"`:                                        {Kind: harness.RoleEvent, Node: "n2", Role: "follower"},
		`"msg":"8e9e05c52164694d became candidate at term 7"`:                                       {Kind: harness.RoleEvent, Node: "n2", Role: "candidate"},
		`"msg":"8e9e05c52164694d became pre-candidate at term 7"`:                                   {Kind: harness.RoleEvent, Node: "n2", Role: "candidate"},
		`"msg":"8e9e05c52164694d is starting a new election at term 7"`:                             {Kind: harness.ElectionEvent, Node: "n2", Term: 7},
		`"msg":"starting an etcd server","etcd-version":"3.5.21","git-sha":"x"`:                     {Kind: harness.BootEvent, Node: "n2", Message: "3.5.21"},
		`"msg":"saved snapshot","snapshot-index":500`:                                               {Kind: harness.SnapshotEvent, Node: "n2", Applied: 500},
		`"msg":"raft.node: 8e9e05c52164694d elected leader 8e9e05c52164694d at term 7"`:             {},
		`"msg":"8e9e05c52164694d became leader at term many"`:                                       {},
		`"msg":"request stats","request content":"key:\"x\" value:\"abc became leader at term 3\""`: {},
		`"msg":"the value is 8e9e05c52164694d became leader at term 7, said a client"`:              {},
	} {
		e, wall, ok := System{}.Event("n2", []byte(`{"level":"info","ts":"2026-11-28T07:40:00.123456Z","logger":"raft",`+text+"}"))
		if ok != (want.Kind != "") || ok && (!reflect.DeepEqual(e, want) || !wall.Equal(at)) {
			t.Errorf("%s: %+v, %v, %v", text, e, wall, ok)
		}
	}
	// Milliseconds, as releases before 3.6 write them.
	if _, wall, ok := (System{}).Event("n2", []byte(`{"ts":"2026-11-28T07:40:00.123Z","msg":"a became leader at term 2"}`)); !ok || !wall.Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("%v, %v", wall, ok)
	}
	for _, text := range []string{"", "{", "panic: x", `{"ts":"soon","msg":"a became leader at term 2"}`, `{"ts":5,"msg":"a became leader at term 2"}`} {
		if e, _, ok := (System{}).Event("n2", []byte(text)); ok {
			t.Errorf("%s is taken for %+v", text, e)
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"ts":"2026-11-28T07:40:00.123Z","msg":"a became leader at term 2"}`))
	f.Add([]byte(`{"ts":"2026-11-28T07:40:00.123Z","msg":"saved snapshot","snapshot-index":-5}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, wall, ok := (System{}).Event("n1", b); ok && (e.Kind == "" || e.Node != "n1" || wall.IsZero() && !strings.Contains(string(b), "0001")) {
			t.Errorf("%q: %+v at %v", b, e, wall)
		}
	})
}
