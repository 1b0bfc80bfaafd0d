package workloads_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"coup/cluster"
	"coup/harness"
	"coup/workloads"
)

func mixed(t *testing.T) workloads.Workload {
	t.Helper()
	w, err := workloads.Find(strings.Join(workloads.Names(), ","))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// A violation in one workload is found among the operations of all others, and only there.
func TestSeveralWorkloadsAtOnce(t *testing.T) {
	synctest.Test(t, severalAtOnce) // a final look may wait
}

func severalAtOnce(t *testing.T) {
	w := mixed(t)
	const operations = 9000 // of all workloads together; each mistake has to show in its share
	v := judgeLoad(t, w, "", operations)
	if v.Valid != harness.Valid {
		t.Errorf("a system without fault was judged %v: %+v", v.Valid, v.Results)
	}
	judged := map[string]bool{}
	for _, r := range v.Results {
		_, of := workloads.Without(r.Checker)
		judged[of] = true
	}
	if len(judged) != len(workloads.All) {
		t.Errorf("only these were judged: %v", judged)
	}
	for f, owners := range map[string][]string{"write": {"register"}, "cas": {"register"}, "enqueue": {"queue", "messages"}, "dequeue": {"queue", "messages"},
		"add": {"set", "counter"}, "acquire": {"lock"}, "submit": {"tasks", "jobs"}, "txn": {"list-append"},
		"put": {"storage", "deliveries"}} {
		v := judgeLoad(t, w, f, operations)
		if v.Valid != harness.Invalid {
			t.Errorf("a system whose %s goes wrong was judged %v", f, v.Valid)
		}
		for _, r := range v.Results {
			if _, of := workloads.Without(r.Checker); r.Valid == harness.Invalid && !slices.Contains(owners, of) {
				t.Errorf("%s goes wrong, and %s finds %s", f, r.Checker, r.Summary)
			}
		}
	}
}

// Each object belongs to one workload, whatever its name is made of.
func TestObjectsOfSeveralWorkloads(t *testing.T) {
	w := mixed(t)
	for _, c := range []struct{ f, key, value, want string }{
		{"set.add", "set-k3", "1", "set-k3"},
		{"list-append.txn", "", `[["append","k1",1],["r","k2",null]]`, "k1 k2"},
		{"lock.acquire", "lock-k0", "null", "lock-k0"},
	} {
		v, err := w.Decode(harness.Invoke, c.f, json.RawMessage(c.value))
		if err != nil {
			t.Fatal(err)
		}
		if op := (harness.Operation{F: c.f, Key: c.key, Input: v}); w.OnlyLooks(&op) {
			t.Errorf("%s %s only looks", c.f, c.value)
		}
		if got := strings.Join(w.Objects(harness.Op{F: c.f, Key: c.key, Value: v}), " "); got != c.want {
			t.Errorf("%s %s works on %q, want %q", c.f, c.value, got, c.want)
		}
	}
	for _, f := range []string{"add", "stack.push", "set.push"} {
		if _, err := w.Decode(harness.Invoke, f, json.RawMessage("1")); err == nil {
			t.Errorf("there is a function %s", f)
		}
	}
	if !w.OnlyLooks(&harness.Operation{F: "set.read"}) || !w.OnlyLooks(&harness.Operation{F: "list-append.txn"}) {
		t.Error("reads don't only look")
	}
	// The last look reads each object by its own workload; log0 is of another one than k1.
	g := w.Final([]string{"set-k3", "register-k3", "queue-k3", "k1", "k2", "log0"})
	var got []string
	m := harness.Moment{Rand: rand.New(rand.NewPCG(1, 1))}
	for range 60 {
		var op harness.Op
		op, g = g.Next(m)
		got = append(got, strings.TrimSpace(op.F+" "+op.Key+" "+strings.Join(w.Objects(op), " ")))
	}
	slices.Sort(got)
	got = slices.Compact(got) // a log is assigned until that is answered
	if want := []string{"bank.read", "list-append.txn  k1 k2", "log.assign  log0", "queue.dequeue queue-k3 queue-k3", "register.read register-k3 register-k3", "set.read set-k3 set-k3"}; !slices.Equal(got, want) {
		t.Errorf("the last look is %q, want %q", got, want)
	}
}

func TestNamesOfSeveralWorkloads(t *testing.T) {
	if got := workloads.Normal("set,register,set"); got != "register,set" {
		t.Error(got)
	}
	if _, err := workloads.Find("set,shop,queue"); err == nil || !strings.Contains(err.Error(), `"shop"`) {
		t.Error(err)
	}
	for _, c := range [][3]string{{"linearizable (list-append)", "linearizable", "list-append"}, {"terms", "terms", ""}} {
		if name, of := workloads.Without(c[0]); name != c[1] || of != c[2] {
			t.Errorf("%q, %q", name, of)
		}
	}
}

func TestLevels(t *testing.T) {
	both, err := workloads.Find("list-append,register,set")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		w           workloads.Workload
		consistency string
		want        string // the checkers, or what is wrong
	}{
		{workloads.All["register"], "", "linearizable"},
		{workloads.All["register"], "linearizable", "linearizable"},
		{workloads.All["register"], "sequential", "sequential"},
		{workloads.All["register"], "sessions", "sessions"},
		{workloads.All["register"], "staleness=2s", "staleness"},
		{workloads.All["register"], "staleness=-2s", "not a bound"},
		{workloads.All["register"], "sessions=2s", "has no bound"},
		{workloads.All["register"], "snapshot-isolation", "only at linearizable, sequential, sessions, staleness"},
		{workloads.All["list-append"], "snapshot-isolation", "transactions"},
		{workloads.All["list-append"], "sessions", "only at read-uncommitted"},
		{workloads.All["queue"], "sequential", "only at linearizable"},
		{both, "sequential", "transactions (list-append) sequential (register) set (set) linearizable (set)"},
		{both, "serializable", "transactions (list-append) linearizable (register) set (set) linearizable (set)"},
		{both, "causal", "none of them is judged at the consistency"},
	} {
		w, err := c.w.At(c.consistency)
		var got []string
		for _, checker := range w.Checkers() {
			got = append(got, checker.Name())
		}
		if told := strings.Join(got, " "); err != nil && !strings.Contains(err.Error(), c.want) || err == nil && told != c.want {
			t.Errorf("%s: %s, %v; want %s", c.consistency, told, err, c.want)
		}
	}
	if n := len(both.Weaker()); n != 1 {
		t.Errorf("%d checkers measure reads", n)
	}
}

// What a system can do is known without any of its nodes, if it opens lazily.
func TestSupported(t *testing.T) {
	got, err := workloads.Supported(some{}, cluster.Options{})
	if err != nil || !slices.Equal(got, []string{"queue", "set"}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := workloads.Supported(some{eager: true}, cluster.Options{}); err == nil || !strings.Contains(err.Error(), "only while it runs") {
		t.Error(err)
	}
}

// some is a system that can do some things.
type some struct {
	cluster.System
	eager bool // it connects at once
}

func (some) Name() string { return "some" }
func (s some) Open(a cluster.Access, node string, _ cluster.Options) (cluster.Conn, error) {
	if s.eager {
		if _, err := a.Dial(context.Background(), node, "clients"); err != nil {
			return nil, err
		}
	}
	return struct {
		cluster.Conn
		cluster.Set
		cluster.Queue
	}{Conn: conn{}}, nil
}
