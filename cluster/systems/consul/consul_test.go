package consul

import (
	"errors"
	"strings"
	"testing"

	"coup/cluster"
	"coup/cluster/systems/rest"
	"coup/harness"
)

func set(name, value string) cluster.Options {
	return cluster.Options{Settings: map[string]string{name: value}}
}

func TestCheck(t *testing.T) {
	for _, o := range []cluster.Options{
		{}, {Reads: "linearizable"}, {Reads: "lease"}, {Reads: "stale"}, {Version: "v1.13.2"}, set("raft-multiplier", "5"), set("lock-ttl", "10s"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Bug: "x"}, {Reads: "default"}, {Version: "1.17.0"}, {Version: "2.14.1"}, {Version: "1.14"}, set("raft-multiplier", "0"), set("lock-ttl", "10"), set("lock-ttl", "1ms"), set("ttl", "1s"),
	} {
		if err := (System{}).Check(o); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestPod(t *testing.T) {
	all := []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}, {Name: "n3", Host: "10.0.0.3"}}
	p := System{}.Pod(all[1], all, set("lock-ttl", "3s"))
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	args := strings.Join(p.Containers[0].Args, " ")
	for _, words := range []string{"-bootstrap-expect 3", "-advertise 10.0.0.2", "-retry-join 10.0.0.3", `session_ttl_min = "3s"`} {
		if !strings.Contains(args, words) {
			t.Errorf("no %q in %s", words, args)
		}
	}
}

// An error says "fail" only where nothing can have happened.
func TestWith(t *testing.T) {
	for _, c := range []struct {
		err    error
		effect bool
		fails  bool
	}{
		{&rest.StatusError{Code: 500, Body: "No cluster leader"}, true, true},
		{&rest.StatusError{Code: 500, Body: "rpc error making call: No cluster leader\n"}, true, true},
		{&rest.StatusError{Code: 500, Body: "leadership lost while committing log"}, true, false},
		{&rest.StatusError{Code: 500, Body: "rpc error making call: EOF"}, true, false},
		{errors.New("No cluster leader"), true, false},
		{errors.New("EOF"), false, true},
	} {
		if err := with(c.effect, c.err); errors.Is(err, harness.ErrFail) != c.fails {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if with(true, nil) != nil || with(false, nil) != nil {
		t.Error("no error became one")
	}
}

// Consul takes a key apart at its slashes, and decodes what is escaped once.
func TestPath(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range []string{"k0", "a b", "a/b", "a%2Fb", "?keys", "#"} {
		p := path("set", key)
		if strings.Count(p, "/") != 4 || strings.ContainsAny(p, " ?#") || seen[p] {
			t.Errorf("%q is at %s", key, p)
		}
		seen[p] = true
	}
}
