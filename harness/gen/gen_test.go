package gen_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"coup/harness"
	"coup/harness/gen"
)

// simulate asks g for up to n operations of processes that answer at once, and
// returns what was asked for. The clock stands still unless an operation is
// due later.
func simulate(g harness.Generator, n int) []harness.Op {
	m := harness.Moment{Rand: rand.New(rand.NewPCG(1, 1))}
	var all []harness.Op
	for len(all) < n {
		op, next := g.Next(m)
		if next == nil {
			return all
		}
		m.Time = max(m.Time, op.Time)
		if op.F == "" {
			if op.Time == 0 {
				return append(all, op)
			}
			g = next
			continue
		}
		op.Time = m.Time
		all = append(all, op)
		op.Type = harness.OK
		g = next.Update(m, op)
	}
	return all
}

func count(f string) gen.Func { return func(harness.Moment) harness.Op { return harness.Op{F: f} } }

func TestLimit(t *testing.T) {
	if got := simulate(gen.Limit(3, count("read")), 10); len(got) != 3 {
		t.Errorf("%d operations, want 3", len(got))
	}
}

func TestLimitHappenedDoesNotCountFailures(t *testing.T) {
	g := gen.LimitHappened(3, count("read"))
	m := harness.Moment{}
	asked := 0
	for {
		op, next := g.Next(m)
		if next == nil {
			break
		}
		asked++
		op.Type = harness.OK
		if asked%2 == 0 {
			op.Type = harness.Fail
		}
		g = next.Update(m, op)
	}
	if asked != 5 {
		t.Errorf("asked for %d operations, want 5: three that happen and two that fail between them", asked)
	}
}

func TestGeneratorsAreValues(t *testing.T) {
	g := gen.Limit(5, gen.Keys(2, func(string) harness.Generator { return gen.Limit(2, count("read")) }))
	first, second := simulate(g, 10), simulate(g, 10)
	if fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("asked twice, a generator said\n%v\n%v", first, second)
	}
}

func TestKeysReplacesExhaustedObjects(t *testing.T) {
	g := gen.Keys(2, func(key string) harness.Generator { return gen.Limit(3, count("read")) })
	perKey := map[string]int{}
	active := map[string]bool{}
	for _, op := range simulate(g, 30) {
		perKey[op.Key]++
		active[op.Key] = true
		if perKey[op.Key] == 3 {
			delete(active, op.Key)
		}
		if len(active) > 2 {
			t.Fatalf("%d objects in use at a time, want 2", len(active))
		}
	}
	for key, n := range perKey {
		if n > 3 {
			t.Errorf("%d operations on %s, want 3", n, key)
		}
	}
	if perKey["k0"] != 3 || perKey["k1"] != 3 {
		t.Errorf("the first objects were not used up: %v", perKey)
	}
}

func TestUntilDropsWhatComesLater(t *testing.T) {
	g := gen.Until(time.Second, gen.Rate(100, count("read")))
	ops := simulate(g, 1000)
	if len(ops) < 60 || len(ops) > 140 {
		t.Errorf("%d operations in a second at a rate of 100", len(ops))
	}
	for _, op := range ops {
		if op.Time >= time.Second {
			t.Errorf("an operation at %v, after the end", op.Time)
		}
	}
}

func TestRateDoesNotCatchUpForEver(t *testing.T) {
	g := gen.Rate(100, count("read"))
	m := harness.Moment{Rand: rand.New(rand.NewPCG(1, 1))}
	op, g := g.Next(m)
	if op.Time != 0 {
		t.Errorf("the first operation is due at %v", op.Time)
	}
	m.Time = time.Hour // everybody was stuck
	late := 0
	for {
		op, g = g.Next(m)
		if op.Time > m.Time {
			break
		}
		late++
	}
	if late > 200 {
		t.Errorf("%d operations at once after a stand-still, want about a second's worth", late)
	}
}

func TestRetryUntilDone(t *testing.T) {
	ops := []harness.Op{{F: "read", Key: "a"}, {F: "read", Key: "b"}}
	tries := map[string]int{}
	g := gen.Retry(ops, func(op harness.Op) bool {
		tries[op.Key]++
		return op.Key == "a" || tries[op.Key] == 3
	})
	var asked []string
	for _, op := range simulate(g, 100) {
		asked = append(asked, op.Key)
	}
	if got := strings.Join(asked, " "); got != "a b b b" {
		t.Errorf("asked for %q, want a once and b until the third", got)
	}
}

// What failed is asked again with what it asked for; what was answered, without
// the answer.
func TestRetryKeepsTheQuestion(t *testing.T) {
	m := harness.Moment{}
	for typ, want := range map[harness.Type]any{harness.Fail: "question", harness.Info: "question", harness.OK: nil} {
		g := gen.Retry([]harness.Op{{F: "txn", Value: "question"}}, func(harness.Op) bool { return false })
		op, g := g.Next(m)
		if op.Type = typ; typ == harness.OK {
			op.Value = "answer"
		}
		if again, _ := g.Update(m, op).Next(m); again.Value != want {
			t.Errorf("after %s it asks for %v, not %v", typ, again.Value, want)
		}
	}
}

func TestRetryNeverHasAnOperationTwiceUnderWay(t *testing.T) {
	g := gen.Retry([]harness.Op{{F: "read", Key: "a"}}, func(harness.Op) bool { return false })
	m := harness.Moment{}
	_, g = g.Next(m)
	if op, g := g.Next(m); op.F != "" || g == nil {
		t.Errorf("asked for %+v while the only operation is under way, want to wait", op)
	}
}

// Each thread gets what is listed for it and waits for nobody; a thread that has nothing
// left waits for the others.
func TestListed(t *testing.T) {
	op := func(f string, at time.Duration) harness.Op { return harness.Op{F: f, Time: at} }
	g := gen.Listed([][]harness.Op{{op("a", 1), op("b", 2)}, {op("c", 1)}})
	ask := func(thread int) string {
		got, next := g.Next(harness.Moment{Thread: thread})
		if next == nil {
			return "nothing"
		}
		g = next
		return got.F
	}
	var got []string
	for _, thread := range []int{1, 1, 0, 5, 0, 0} {
		got = append(got, ask(thread))
	}
	if want := "c  a  b nothing"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", strings.Join(got, " "), want)
	}
}

func TestPauses(t *testing.T) {
	pauses := []gen.Pause{{From: time.Second, To: 3 * time.Second}, {From: 4 * time.Second, To: 5 * time.Second}}
	all := simulate(gen.Until(6*time.Second, gen.Pauses(pauses, gen.Rate(100, count("read")))), 10_000)
	perSecond := make([]int, 6)
	for _, op := range all {
		perSecond[op.Time/time.Second]++
	}
	for second, n := range perSecond {
		if rests := second == 1 || second == 2 || second == 4; rests && n > 0 || !rests && n < 50 {
			t.Errorf("%v operations in each second; none must begin in a pause", perSecond)
			break
		}
	}
}

func TestDrawPauses(t *testing.T) {
	draw := func(seed uint64) []gen.Pause {
		return gen.DrawPauses(seed, 4*time.Second, 2*time.Second, 10*time.Second, time.Minute)
	}
	first, again, other := fmt.Sprint(draw(1)), fmt.Sprint(draw(1)), fmt.Sprint(draw(2))
	if first != again || first == other {
		t.Error("pauses are not determined by their seed")
	}
	for seed := range uint64(100) {
		last := 10 * time.Second
		for _, p := range draw(seed) {
			if p.From-last < 2*time.Second || p.From-last > 6*time.Second || p.To-p.From < time.Second || p.To-p.From > 3*time.Second {
				t.Fatalf("seed %d: %v", seed, draw(seed))
			}
			last = p.To
		}
		if last < 50*time.Second {
			t.Fatalf("seed %d: the last pause ends at %v", seed, last)
		}
	}
	if gen.DrawPauses(1, 0, time.Second, 0, time.Minute) != nil {
		t.Error("pauses were drawn for a load that has none")
	}
}

// The number of arrivals follows the rate, however the operations fare.
func TestArrivals(t *testing.T) {
	g := gen.Arrivals(10*time.Second, []gen.Stage{{10 * time.Second, 100, 100}, {10 * time.Second, 100, 300}, {10 * time.Second, 0, 0}, {time.Second, 50, 50}}, count("read"))
	in := make([]int, 5) // operations due in each of five times of 10 s, from 10 s on
	r := rand.New(rand.NewPCG(1, 2))
	last := time.Duration(0)
	for n := 0; last < 60*time.Second; n++ {
		var op harness.Op
		// The process is free only long after the operation is due.
		op, g = g.Next(harness.Moment{Time: 45 * time.Second, Rand: r})
		if op.Due <= last || op.Time != op.Due {
			t.Fatalf("operation %d at %v is due at %v, the one before at %v", n, op.Time, op.Due, last)
		}
		last = op.Due
		if i := int((op.Due - 10*time.Second) / (10 * time.Second)); i < len(in) {
			in[i]++
		}
	}
	// A Poisson count of mean m is within 5 * sqrt(m) of it, but for once in a million.
	for i, want := range []float64{1000, 2000, 0, 500, 500} {
		if d := math.Abs(float64(in[i]) - want); d > 5*math.Sqrt(want) {
			t.Errorf("%d operations in part %d, expected %.0f", in[i], i+1, want)
		}
	}
}
