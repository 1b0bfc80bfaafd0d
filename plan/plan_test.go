package plan

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func resolved(t *testing.T, change func(*Plan)) Plan {
	t.Helper()
	p := Default()
	p.Seed = 7
	if change != nil {
		change(&p)
	}
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAPlanSurvivesItsFile(t *testing.T) {
	want := resolved(t, func(p *Plan) {
		p.Settings = map[string]string{"heartbeat": "300ms"}
		p.Rate, p.FailFast, p.Bug = 12.5, true, "lost-log"
	})
	var out bytes.Buffer
	if err := want.WritePlan(&out); err != nil {
		t.Fatal(err)
	}
	got := Default()
	if err := got.Parse("plan.yaml", out.Bytes()); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	if err := got.Resolve(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, want)
	}
}

// readBack is the plan as it is read from YAML, and from a run directory's JSON.
func readBack(t *testing.T, want Plan) []Plan {
	t.Helper()
	var out bytes.Buffer
	if err := want.WritePlan(&out); err != nil {
		t.Fatal(err)
	}
	got := Default()
	if err := got.Parse("plan.yaml", out.Bytes()); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(Stored{Plan: want})
	if err != nil {
		t.Fatal(err)
	}
	var stored Stored
	if err := json.Unmarshal(b, &stored); err != nil {
		t.Fatal(err)
	}
	return []Plan{got, stored.Plan}
}

// The decoder must not go through the whole plan for every strike and operation:
// this took minutes.
func TestALongPlanSurvivesItsFile(t *testing.T) {
	want := resolved(t, func(p *Plan) {
		p.Time = Duration(10 * time.Hour)
		for i := range 3000 {
			p.Operations = append(p.Operations, Operation{At: Duration(i) * Duration(time.Second), F: "cas", Key: "k0", Value: `[null,3]`})
		}
	})
	if len(want.Schedule) < 5000 {
		t.Fatalf("only %d strikes", len(want.Schedule))
	}
	for _, got := range readBack(t, want) {
		if !reflect.DeepEqual(got, want) {
			t.Error("it was not read back as it was")
		}
	}
}

func TestTheLongestScheduleIsBounded(t *testing.T) {
	every := func(n int, interval time.Duration) (Plan, error) {
		p := Default()
		p.Time, p.Interval, p.Nemesis = Duration(24*time.Hour), Duration(interval), slices.Repeat([]string{"kill:leader"}, n)
		return p, p.Resolve()
	}
	for _, n := range []int{1, 2, 3, 64} { // as it is drawn if nobody says how often
		if p, err := every(n, 0); err != nil || len(p.Schedule) > mostStrikes {
			t.Errorf("%d faults for a day: %d strikes, %v", n, len(p.Schedule), err)
		}
	}
	_, err := every(64, 200*time.Millisecond)
	const want = "64 faults every 200ms for 24h0m0s are about 27648000 strikes, and 100000 are the most: make the interval 56s or longer, or the time shorter"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
	if p, err := every(64, 56*time.Second); err != nil || len(p.Schedule) < mostStrikes*9/10 {
		t.Errorf("as it advises: %d strikes, %v", len(p.Schedule), err)
	}
}

func TestAStrikeEndsBeforeTheLoadDoes(t *testing.T) {
	const longest = Duration(math.MaxInt64)
	for _, s := range []Strike{
		{At: -1, For: 1}, {At: 0, For: 0}, {At: 0, For: Duration(31 * time.Second)}, {At: longest, For: longest}, {At: 1, For: longest},
	} {
		p := Default()
		s.Fault, s.Target = "kill", "leader"
		p.Schedule = []Strike{s}
		if err := p.Resolve(); err == nil {
			t.Errorf("taken: %+v", s)
		}
	}
}

func TestAnEmptyScheduleStaysEmpty(t *testing.T) {
	want := resolved(t, func(p *Plan) { p.Schedule = []Strike{} })
	for _, p := range readBack(t, want) {
		if err := p.Resolve(); err != nil || len(p.Schedule) != 0 {
			t.Errorf("%d strikes were drawn for a plan that wants none (%v)", len(p.Schedule), err)
		}
	}
}

func TestCommandRunsThePlanAgain(t *testing.T) {
	p := resolved(t, func(p *Plan) {
		p.Settings = map[string]string{"heartbeat": "300ms"}
		p.FailFast, p.Bug, p.Interval = true, "lost-log", Duration(4*time.Second)
	})
	want := "coup run --system raft --workload register --bug lost-log --set heartbeat=300ms " +
		"--nemesis kill:leader,partition:leader --interval 4s --nodes 5 --time 30s --concurrency 10 --rate 0 --fail-fast --seed 7"
	if got := p.Command(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	p.Settings["x"] = "it's; rm"
	if got := p.Command(); !strings.Contains(got, `--set 'x=it'\''s; rm'`) {
		t.Errorf("not quoted: %s", got)
	}
}

func TestTheSameSeedDrawsTheSameSchedule(t *testing.T) {
	a, b := resolved(t, nil), resolved(t, nil)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
	if len(a.Schedule) == 0 {
		t.Error("an empty schedule")
	}
}

func FuzzPlan(f *testing.F) {
	var out bytes.Buffer
	p := Default()
	if err := p.Resolve(); err != nil {
		f.Fatal(err)
	}
	if err := p.WritePlan(&out); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte("nodes: [1\n"))
	f.Add([]byte("nemesis: !00000\n00")) // the decoder panics
	f.Add([]byte("nemesis: [kill, 'partition:halves']\ntime: 1h\nrate: 1e9\n"))
	f.Add([]byte("operations:\n- {at: 1s, client: 0, f: cas, key: k0, value: [null, 3]}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := Default()
		if p.Parse("plan.yaml", b) != nil || p.Resolve() != nil || len(p.Schedule) > 1000 { // seconds, and nothing new
			return
		}
		var out bytes.Buffer
		if err := p.WritePlan(&out); err != nil {
			t.Fatal(err)
		}
		again := Default()
		if err := again.Parse("again.yaml", out.Bytes()); err != nil {
			t.Fatalf("a plan that resolves can't be read back: %v\n%s", err, out.String())
		}
		if !slices.Equal(again.Operations, p.Operations) {
			t.Fatalf("operations %v became %v", p.Operations, again.Operations)
		}
	})
}

func TestAStrikeHasAModeIfItsFaultHas(t *testing.T) {
	p := resolved(t, func(p *Plan) { p.Nemesis = []string{"membership", "kill:leader"} })
	for _, s := range p.Schedule {
		if (s.Mode != "") != (s.Fault == "membership") {
			t.Errorf("%+v", s)
		}
	}
	second := Duration(time.Second)
	p = resolved(t, func(p *Plan) { p.Schedule = []Strike{{For: second, Fault: "membership", Target: "leader", Seed: 1}} })
	if p.Schedule[0].Mode != "demote" {
		t.Errorf("completed to %+v", p.Schedule[0])
	}
	for want, change := range map[string]func(*Plan){
		`membership has no mode "x"`: func(p *Plan) { p.Schedule = []Strike{{For: second, Fault: "membership", Target: "leader", Mode: "x"}} },
		"the fault membership:random is impossible with the backend docker: two nodes": func(p *Plan) { p.Nodes, p.Nemesis = 2, []string{"membership"} },
		"the fault transfer:random is impossible with the backend docker: there is":    func(p *Plan) { p.Nodes, p.Nemesis = 1, []string{"transfer"} },
		`transfer can't be aimed at "leader" (but at follower`:                         func(p *Plan) { p.Nemesis = []string{"transfer:leader"} },
	} {
		p := Default()
		change(&p)
		if err := p.Resolve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestAScheduleOfOnesOwn(t *testing.T) {
	p := Default()
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	if !p.Drawn() {
		t.Error("a schedule that was drawn is taken for one of somebody's own")
	}
	p.Schedule = p.Schedule[1:]
	if p.Drawn() {
		t.Error("a schedule that was cut down is taken for a drawn one")
	}
}

// What is wrong with a plan is said in words, and not in types of Go.
func TestWrongKindsInWords(t *testing.T) {
	for text, want := range map[string]string{
		"\nnodes: three":    "line 2: here must be a whole number, not three",
		"nodes: [3]":        "line 1: here must be a whole number, not a list",
		"seed: -4":          "line 1: here must be a whole number, 0 or more, not -4",
		"rate: fast":        "line 1: here must be a number, not fast",
		"system: {a: b}":    "line 1: here must be one word or text, not names with values",
		"nemesis: 3":        "line 1: here must be a list, such as [a, b], not 3",
		"settings: [a]":     "line 1: here must be names with values, such as {name: value}, not a list",
		"schedule: [{at: x": "x.yaml, line 1: ",
		"time: soon":        `"soon" is not a duration such as 30s or 1m30s`,
		"nodez: 3":          `line 1: unknown field "nodez"`,
	} {
		var p Plan
		err := p.Parse("x.yaml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "unmarshal") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
