package redis

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"coup/cluster"
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
		{}, {Reads: "linearizable"},
		set("min-replicas", "1", "min-replicas-max-lag", "1", "wait", "2", "appendfsync", "always", "down-after", "500ms", "failover-timeout", "2s", "lock-ttl", "1500ms"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Version: "7.0.15"}, {Bug: "x"}, {Reads: "stale"}, set("save", "60"), set("wait", "-1"), set("wait", "all"), set("min-replicas", "1s"),
		set("appendfsync", "sometimes"), set("down-after", "1000"), set("down-after", "1us"), set("lock-ttl", "0s"),
	} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// The first node is the master at first, and what says so is written once.
func TestPod(t *testing.T) {
	all := []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}, {Name: "n3", Host: "10.0.0.3"}}
	for _, n := range all {
		p := System{}.Pod(n, all, set("min-replicas", "1", "appendfsync", "always", "down-after", "1500ms"))
		if err := p.Check(); err != nil {
			t.Error(err)
		}
		server, sentinel := string(p.Files[0].Content), string(p.Files[1].Content)
		if first := n.Name == "n1"; strings.Contains(server, "\nreplicaof 10.0.0.1 6379\n") == first || !p.Files[0].Once || !p.Files[1].Once {
			t.Errorf("%s: %+v", n.Name, p.Files)
		}
		for _, line := range []string{"replica-announce-ip " + n.Host, "min-replicas-to-write 1", "min-replicas-max-lag 2", "appendfsync always"} {
			if !strings.Contains(server, "\n"+line+"\n") {
				t.Errorf("%s: no %q in\n%s", n.Name, line, server)
			}
		}
		for _, line := range []string{"sentinel monitor m 10.0.0.1 6379 2", "sentinel down-after-milliseconds m 1500", "sentinel announce-ip " + n.Host} {
			if !strings.Contains(sentinel, "\n"+line+"\n") {
				t.Errorf("%s: no %q in\n%s", n.Name, line, sentinel)
			}
		}
	}
}

func TestLosesAndImages(t *testing.T) {
	if s := (System{}).Loses(cluster.Options{}); !strings.Contains(s, "not linearizable") {
		t.Errorf("it loses: %q", s)
	}
	if r, err := (System{}).Images(cluster.Options{}); err != nil || len(r) != 1 || r[0].Debian[0] != "redis-server" {
		t.Errorf("%+v, %v", r, err)
	}
}

// said is an answer of Redis that is an error.
type said string

func (s said) Error() string { return string(s) }
func (said) RedisError()     {}

var _ redis.Error = said("")

// Which errors say that a write did not happen. One too many here is a false alarm.
func TestRefused(t *testing.T) {
	for _, err := range []error{
		said("READONLY You can't write against a read only replica."), said("NOREPLICAS Not enough good replicas to write."),
		said("LOADING Redis is loading the dataset in memory"), said("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
		said("READONLY You can't write against a read only replica. script: 0a, on @user_script:1."), said("MISCONF Errors writing to the AOF file: No space left on device"),
	} {
		if !refused(err) {
			t.Errorf("%v leaves it open", err)
		}
	}
	for _, err := range []error{
		said("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"), said("ERR READONLY"), said("READONLYX"),
		said("OOM command not allowed when used memory > 'maxmemory'."), errors.New("READONLY says somebody else"), io.EOF, context.DeadlineExceeded, redis.Nil,
	} {
		if refused(err) {
			t.Errorf("%v is taken for certain", err)
		}
	}
}

func TestMaybe(t *testing.T) {
	for text, want := range map[string]*int64{"-7": new(int64), "": nil} {
		err := error(nil)
		if want == nil {
			err = redis.Nil
		} else {
			*want = -7
		}
		got, err := maybe(text, err)
		if err != nil || (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if v, err := maybe("seven", nil); err == nil {
		t.Errorf("seven is %v", v)
	}
	if v, err := maybe("7", io.EOF); v != nil || !errors.Is(err, io.EOF) {
		t.Errorf("a lost answer is %v, %v", v, err)
	}
}
