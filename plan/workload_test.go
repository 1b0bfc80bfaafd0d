package plan

import (
	"context"
	"strings"
	"testing"

	"coup/cluster"
	"coup/cluster/systems/raft"
	"coup/workloads"
)

// adder is a system whose clients can do nothing but what sets and counters ask for.
type adder struct{ raft.System }

func (adder) Name() string { return "adder" }
func (a adder) Open(way cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	c, err := a.System.Open(way, node, o)
	return struct {
		cluster.Conn
		cluster.Set
		cluster.Counter
	}{c, c.(cluster.Set), c.(cluster.Counter)}, err
}

// eager is one that tells what its clients can do only while it runs.
type eager struct{ raft.System }

func (eager) Open(way cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	c, err := way.Dial(context.Background(), node, "clients")
	if err != nil {
		return nil, err
	}
	return nil, c.Close()
}

func TestWorkloadsOfAPlan(t *testing.T) {
	for _, c := range []struct {
		sys                   cluster.System
		workload, consistency string
		want, wrong           string
	}{
		{adder{}, "all", "", "counter,set", ""},
		{adder{}, "set,counter,set", "", "counter,set", ""},
		{raft.System{}, "all", "", "cache,counter,deliveries,list-append,queue,register,set,storage,tasks", ""},
		{raft.System{}, "register", "sessions", "register", ""},
		{raft.System{}, "all", "snapshot-isolation", "cache,counter,deliveries,list-append,queue,register,set,storage,tasks", ""},
		{adder{}, "queue", "", "", "adder can't do what the workload queue asks for (it can do counter, set)"},
		{adder{}, "set,register", "", "", "adder can't do what the workload register asks for"},
		{raft.System{}, "lock", "", "", "raft can't do what the workload lock asks for"},
		{raft.System{}, "set", "sequential", "", "workload set: it is not judged at the consistency"},
		{raft.System{}, "set,", "", "", `there is no workload ""`},
		{eager{}, "set", "", "set", ""},
		{eager{}, "all", "", "", "only while it runs"},
	} {
		p := Default()
		p.Workload, p.Consistency = c.workload, c.consistency
		err := p.ResolveFor(c.sys)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v, want %s", c.workload, err, c.wrong)
			}
			continue
		}
		if err != nil || p.Workload != c.want {
			t.Errorf("%s is %s, %v", c.workload, p.Workload, err)
		}
		// What was resolved means the same again.
		again := p
		if err := again.ResolveFor(c.sys); err != nil || again.Workload != p.Workload {
			t.Errorf("%s became %s, %v", p.Workload, again.Workload, err)
		}
	}
	p := resolved(t, func(p *Plan) { p.Workload, p.Consistency = "register", "staleness=2s" })
	if c := p.Command(); !strings.Contains(c, "--consistency staleness=2s") {
		t.Error(c)
	}
	if _, err := p.Judged(); err != nil || !p.MayBeStale() || Default().MayBeStale() {
		t.Error(err)
	}
	for _, name := range workloads.Names() {
		if strings.ContainsAny(name, ",.") || name == AllWorkloads {
			t.Errorf("the workload %q can't be named among others", name)
		}
	}
}

func TestUsualWorkload(t *testing.T) {
	for system, want := range map[string]string{
		"raft": "register", "etcd@3.5.21": "register", "kafka": "log", "rabbitmq": "messages", "none that is known": "register",
	} {
		p := Default()
		p.System = system
		if got := p.UsualWorkload(); got != want {
			t.Errorf("of %s: %s, want %s", system, got, want)
		}
	}
}
