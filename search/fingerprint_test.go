package search

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coup/checker"
	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
	"coup/judge"
)

func failed(results ...harness.Result) judge.Verdict {
	v := judge.Verdict{Verdict: checker.Verdict{Valid: harness.Invalid}}
	for _, r := range results {
		r.Valid = harness.Invalid
		v.Results = append(v.Results, r)
	}
	return v
}

// What tells failures of one defect alike, and what tells those of two apart.
func TestFingerprintOfAnswers(t *testing.T) {
	story := func(lines ...string) *harness.Counterexample { return &harness.Counterexample{Story: lines} }
	linearizable := func(c *harness.Counterexample) harness.Result {
		return harness.Result{Checker: "linearizable", Judges: harness.Answers, Summary: `Not linearizable: no order of its operations explains what was answered for "k1".`, Counterexample: c}
	}
	terms := harness.Result{Checker: "terms", Judges: harness.Conduct, Summary: "n2 went back from term 2 to term 1."}
	replicas := harness.Result{Checker: "replicas", Judges: harness.Conduct, Summary: "Replicas differ: at 800."}
	set := harness.Result{Checker: "set", Judges: harness.Answers, Summary: "Elements went wrong: 12 lost, 1 duplicated."}
	for name, c := range map[string]struct {
		v    judge.Verdict
		want string
	}{
		"stale":                {failed(linearizable(story("When process 24 began at 3.668 s, k13 was no longer empty: 1 was there by 3.124 s."))), "linearizable: stale"},
		"stale, another value": {failed(linearizable(story("When process 1 began at 0.668 s, 5 was gone: 6 was there by 0.124 s."))), "linearizable: stale"},
		"the gravest":          {failed(set), "set: duplicated"},
		"answers first":        {failed(terms, replicas, linearizable(nil), set), "set: duplicated"},
		"the nearest cause":    {failed(replicas, terms), "terms"},
		"replicas":             {failed(replicas), "replicas"},
		"transactions":         {failed(harness.Result{Checker: "transactions", Judges: harness.Answers, Summary: "Not strict-serializable: G1a, dirty-update."}), "transactions: G1a"},
		"of an old verdict":    {failed(harness.Result{Checker: "terms"}, harness.Result{Checker: "set", Summary: "Elements went wrong: 3 lost."}), "set: lost"},
		"a stated promise":     {failed(harness.Result{Checker: "promise gap<100ms", Judges: harness.Service, Summary: "gap<100ms was promised, and it was 0.839 s."}), "promise gap<100ms"},
		"no words for it":      {failed(linearizable(&harness.Counterexample{Witness: []harness.Witness{{F: "write"}, {F: "cas"}, {F: "write"}}})), "linearizable: no order of cas, write"},
	} {
		if got := Fingerprint(c.v, ""); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The claims of stories are told apart by the words that they have today.
func TestKindsOfClaims(t *testing.T) {
	one := &harness.Operation{Process: 1, F: "cas", Type: harness.OK, Call: 3, Return: 4, Output: model.Just(3)}
	two := &harness.Operation{Process: 2, F: "cas", Type: harness.OK, Call: 1, Return: 2, Output: model.Just(3)}
	gone := story.Gone{Read: one, Saw: model.Just(3), Other: 4, By: two, Since: two}
	fresh := gone
	fresh.Saw = model.Maybe{}
	missing := story.Missing{Value: 3, Read: one, By: two}
	shown := missing
	shown.Again = one
	for _, c := range []struct {
		claim story.Claim
		of    model.Model
		want  string
	}{
		{story.NotBegun{Value: 3, By: one}, model.Register(), "read of what nobody had written"},
		{story.NotBegun{Value: 3, By: one, Failed: 1}, model.Queue(), "read of what nobody had written"},
		{story.BothReplaced{Value: model.Just(3), Ops: [2]*harness.Operation{one, two}}, model.Register(), "replaced twice"},
		{story.BothReplaced{Ops: [2]*harness.Operation{one, two}}, model.Register(), "replaced twice"},
		{story.Twice{Value: 3, Read: one}, model.Set(), "duplicated"},
		{story.TooOften{Value: 3, In: 1, Out: 2, By: one}, model.Queue(), "duplicated"},
		{story.TooOften{Value: 3, Out: 1, By: one}, model.Stack(), "duplicated"},
		{story.Overtaken{Value: 3, Other: 4, By: one}, model.Queue(), "disordered"},
		{story.NotEmpty{Value: 3, Found: one, Missing: 2}, model.Queue(), "hidden"},
		{story.Hidden{Value: 3, Found: one}, model.Stack(), "hidden"},
		{missing, model.Set(), "lost or stale"},
		{shown, model.List(), "lost or stale"},
		{gone, model.Register(), "stale"},
		{fresh, model.Register(), "stale"},
		{story.Spent{Gone: gone, Seen: two}, model.Register(), "stale"},
	} {
		for _, timed := range []bool{true, false} {
			text := c.claim.Text(story.Teller{Model: c.of, Timed: timed})
			r := harness.Result{Checker: "linearizable", Summary: "Not linearizable: no order.", Counterexample: &harness.Counterexample{Story: []string{"Process 1 did it.", text, "No order."}}}
			if got := kindOf(r); got != c.want {
				t.Errorf("%T is %q, expected %q: %s", c.claim, got, c.want, text)
			}
		}
	}
}

// A read that got an old value is stale, also where no claim says so.
func TestStaleRead(t *testing.T) {
	write := harness.Witness{F: "write", Input: []byte("3"), Start: 1, End: 2}
	cas := harness.Witness{F: "cas", Input: []byte("[3,4]"), Output: []byte("3"), Start: 3, End: 6}
	later := harness.Witness{F: "write", Input: []byte("5"), Start: 4, End: 7}
	read := func(got string, start int64) harness.Witness {
		return harness.Witness{F: "read", Output: []byte(got), Start: start, End: 9}
	}
	open := cas
	open.End = -1
	list := harness.Witness{F: "read", Output: []byte("[3]"), Start: 8, End: 9}
	for name, c := range map[string]struct {
		ws   []harness.Witness
		want bool
	}{
		"what a compare-and-set wrote": {[]harness.Witness{write, cas, later, read("4", 8)}, true},
		"while it may still happen":    {[]harness.Witness{write, cas, later, read("4", 5)}, false},
		"which never returned":         {[]harness.Witness{write, open, later, read("4", 8)}, false},
		"what nobody wrote":            {[]harness.Witness{write, cas, later, read("6", 8)}, false},
		"nothing":                      {[]harness.Witness{write, read("null", 8)}, false},
		"a list":                       {[]harness.Witness{write, list}, false},
		"no read":                      {[]harness.Witness{write, later}, false},
		"none":                         {nil, false},
	} {
		if got := staleRead(c.ws); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRoleAt(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	h := &harness.History{Events: []harness.Event{
		{Time: at(1), Kind: harness.RoleEvent, Node: "n1", Role: "leader", Term: 2},
		{Time: at(5), Kind: harness.RoleEvent, Node: "n1", Role: "follower", Term: 2},
		{Time: at(6), Kind: harness.RoleEvent, Node: "n2", Role: "leader", Term: 3},
		{Time: at(9), Kind: harness.LeaderEvent, Node: "n1", Leader: "n2", Term: 3},
	}}
	for _, c := range []struct {
		node string
		at   int
		want string
	}{
		{"n1", 0, ""}, {"n1", 2, "the leader"}, {"n3", 2, "another node than the leader"}, {"n1", 7, "a deposed leader"},
		{"n2", 7, "the leader"}, {"n1", 10, "another node than the leader"}, {"", 7, ""},
	} {
		if got := roleAt(h, c.node, at(c.at)); got != c.want {
			t.Errorf("%s at %d s is %q, want %q", c.node, c.at, got, c.want)
		}
	}
}

func TestComplaints(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "nodes"), 0o777); err != nil {
		t.Fatal(err)
	}
	line := func(s int, level, text string) string {
		return fmt.Sprintf("2030-01-01T00:%02d:%02d.000Z [%s] n1.raft: %s\n", s/60, s%60, level, text)
	}
	log := line(0, "INFO", "starts")
	for s := 1; s < 20; s++ { // while a fault is on
		log += line(s, "ERROR", `failed to heartbeat to: peer=n5:7000 error="i/o timeout"`)
	}
	for s := 30; s < 60; s++ {
		log += line(s, "WARN", fmt.Sprintf(`appendEntries rejected, sending older logs: peer="{Voter n2 n2:7000}" next=%d`, s))
		log += line(s, "INFO", "all is well")
	}
	log += line(60, "WARN", "said once") + `{"event":"snapshot"}` + "\nno line of a log: x=1\n"
	if err := os.WriteFile(filepath.Join(dir, "nodes", "n1.log"), []byte(log), 0o666); err != nil {
		t.Fatal(err)
	}
	for healed, want := range map[time.Duration]string{
		20 * time.Second: "appendEntries rejected, sending older logs",
		-1:               "appendEntries rejected, sending older logs",
		0:                "appendEntries rejected, sending older logs / failed to heartbeat to",
		58 * time.Second: "",
	} {
		if got := strings.Join(complaints(dir, healed), " / "); got != want {
			t.Errorf("healed at %v: %q, want %q", healed, got, want)
		}
	}
	behind := failed(harness.Result{Checker: "catch-up", Judges: harness.Conduct, Summary: "Nothing was broken, and n2 did not catch up with the leader in 31.062 s."})
	const want = "catch-up: Nothing was broken, and # did not catch up with the leader in # s"
	if got := Fingerprint(behind, ""); got != want {
		t.Errorf("%q", got)
	}
	if got := Fingerprint(behind, dir); got != want+"; the nodes' logs repeat: appendEntries rejected, sending older logs" {
		t.Errorf("with logs %q", got)
	}
	if complaints(t.TempDir(), -1) != nil || complaints("", -1) != nil {
		t.Error("there are complaints without logs")
	}
}

func TestToldMost(t *testing.T) {
	h := &harness.History{Events: []harness.Event{{Time: 100, Kind: harness.PhaseEvent, Message: string(harness.PhaseServe)}}}
	for i, text := range []string{"before", "before", "before", "n1: timed out waiting for the commit", "n2: timed out waiting for the commit", "operation did not happen: n3: new leader is not ready: leadership transfer in progress"} {
		h.Operations = append(h.Operations, harness.Operation{Start: time.Duration(i * 40), Error: text})
	}
	if got := toldMost(h); got != "timed out waiting for the commit" {
		t.Errorf("%q", got)
	}
	if got := generaliseError(h.Operations[5].Error); got != "leadership transfer in progress" {
		t.Errorf("%q", got)
	}
	if toldMost(nil) != "" || toldMost(&harness.History{}) != "" {
		t.Error("somebody was told something")
	}
}
