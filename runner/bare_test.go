package runner

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/sim"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/internal/testnode"
	"coup/judge"
	"coup/plan"
	"coup/results"
)

// bare is a system that can do what every system must, and nothing else.
type bare struct {
	bundled raft.System
	deaf    bool // no client gets a connection
}

func (bare) Name() string                    { return "bare" }
func (b bare) Check(o cluster.Options) error { return b.bundled.Check(o) }
func (b bare) Pod(n cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	return b.bundled.Pod(n, all, o)
}

func (b bare) Open(a cluster.Access, node string, o cluster.Options) (cluster.Conn, error) {
	if b.deaf {
		return nil, errors.New("nobody is heard")
	}
	return b.bundled.Open(a, node, o)
}

// ready is one with a probe of its own and something to do first, which work at their
// second try, and whose nodes tell what they hold, but not where.
type ready struct {
	bare
	asked *[]string
	holds map[string]string // what nodes hold
}

func (r ready) try(what string) error {
	first := !slices.Contains(*r.asked, what)
	if *r.asked = append(*r.asked, what); first {
		return errors.New("not yet")
	}
	return nil
}

func (r ready) Ready(context.Context, cluster.Access, cluster.Options) error { return r.try("ready") }
func (r ready) Init(context.Context, cluster.Access, cluster.Options) error  { return r.try("init") }

func (r ready) Digest(_ context.Context, _ cluster.Access, node string, keys []string, _ cluster.Options) (uint64, string, error) {
	if len(keys) == 0 {
		return 0, "", errors.New("no keys")
	}
	return 0, r.holds[node], nil
}

// polled is one whose nodes say who leads when they are asked, and nothing else.
type polled struct{ bare }

func (polled) Tells() harness.Facts { return harness.Facts{harness.Leader} }
func (p polled) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	s, err := p.bundled.Status(ctx, a, node)
	return cluster.Status{Role: s.Role, Leader: s.Leader}, err
}

func runSimulated(t *testing.T, sys cluster.System, change func(*plan.Plan)) (string, judge.Verdict) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out whole runs")
	}
	t.Setenv(sim.NodeVariable, testnode.File(t, testnode.Node))
	p := plan.Default()
	p.Backend, p.Nodes, p.Time, p.Concurrency, p.Rate, p.Seed = plan.Simulated, 3, plan.Duration(8*time.Second), 5, 40, 1
	p.Nemesis = []string{"partition:halves", "kill:random"}
	if change != nil {
		change(&p)
	}
	if err := p.ResolveFor(sys); err != nil {
		t.Fatal(err)
	}
	dir, v, err := Run(t.Context(), t.Context(), p, Options{Out: t.TempDir(), System: sys})
	if err != nil {
		t.Fatal(err)
	}
	return dir, v
}

func found(v judge.Verdict) map[string]harness.Validity {
	all := map[string]harness.Validity{}
	for _, r := range v.Results {
		all[r.Checker] = r.Valid
	}
	return all
}

// What the nodes don't tell is not judged, and worsens nothing.
func TestABareSystem(t *testing.T) {
	dir, v := runSimulated(t, bare{}, nil)
	all := found(v)
	if v.Valid != harness.Valid || all["linearizable"] != harness.Valid || all["liveness"] != harness.Valid {
		t.Errorf("%s: %v", v.Sentence(), all)
	}
	for _, c := range []string{"one-leader", "terms", "steady", "catch-up", "replicas", "failovers"} {
		if got, ok := all[c]; !ok || got != harness.NotJudged {
			t.Errorf("%s is %v", c, got)
		}
	}
	if v.Results[0].Judges != harness.Answers {
		t.Errorf("what clients were answered does not come first: %+v", v.Results[0])
	}
	var stored plan.Stored
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		t.Fatal(err)
	}
	if stored.Tells == nil || len(stored.Tells) != 0 || stored.Release != "" || stored.Plan.System != "bare" {
		t.Errorf("stored %+v", stored)
	}
	if again, err := judge.Judge(t.Context(), dir); err != nil || !reflect.DeepEqual(found(again), all) {
		t.Errorf("judged again: %v, %v", found(again), err)
	}
}

func TestABareSystemThatNobodyHears(t *testing.T) {
	_, v := runSimulated(t, bare{deaf: true}, func(p *plan.Plan) {
		p.Nemesis, p.ServeWithin, p.Time = nil, plan.Duration(3*time.Second), plan.Duration(2*time.Second)
	})
	if v.Valid != harness.Unknown {
		t.Errorf("%v: %s", v.Valid, v.Sentence())
	}
}

// A system's own probe and its first step are tried until they work, and its nodes are
// asked one by one what they hold.
func TestWhatASystemCanDo(t *testing.T) {
	quiet := func(p *plan.Plan) {
		p.Nemesis, p.ServeWithin, p.Time = nil, plan.Duration(3*time.Second), plan.Duration(5*time.Second)
	}
	var asked []string
	_, v := runSimulated(t, ready{asked: &asked, holds: map[string]string{"n1": "a", "n2": "a", "n3": "a"}}, quiet)
	if !slices.Equal(asked, []string{"ready", "ready", "init", "init"}) {
		t.Errorf("asked for %v", asked)
	}
	if v.Valid != harness.Valid || found(v)["replicas"] != harness.Valid {
		t.Errorf("%s: %v", v.Sentence(), found(v))
	}
	_, v = runSimulated(t, ready{asked: new([]string), holds: map[string]string{"n1": "a", "n2": "a", "n3": "b"}}, quiet)
	if v.Valid != harness.Invalid || found(v)["replicas"] != harness.Invalid || found(v)["linearizable"] != harness.Valid {
		t.Errorf("%s: %v", v.Sentence(), found(v))
	}
}

// Who leads is seen by polls where nodes don't tell it as it happens.
func TestASystemThatIsPolled(t *testing.T) {
	_, v := runSimulated(t, polled{}, func(p *plan.Plan) { p.Nemesis = []string{"kill:leader"} })
	all := found(v)
	if v.Valid != harness.Valid || all["failovers"] != harness.Valid || all["one-leader"] != harness.NotJudged || all["catch-up"] != harness.NotJudged {
		t.Errorf("%s: %v", v.Sentence(), all)
	}
	for _, r := range v.Results {
		if r.Checker == "failovers" && (!strings.Contains(r.Summary, "seen by polls every 250ms") || !strings.Contains(r.Summary, "The leader changed")) {
			t.Error(r.Summary)
		}
	}
}
