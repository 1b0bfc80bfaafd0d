package linearizable

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/internal/testhistory"
	"coup/checker/model"
	"coup/harness"
)

var (
	table        = flag.Bool("table", false, "print the table of times and memory beside porcupine")
	tableLimit   = flag.Duration("limit", 10*time.Second, "in the table: the time that each check may take")
	tableMemory  = flag.Uint64("memory", 1<<30, "in the table: the memory that each check may take, in bytes")
	tableMost    = flag.Int("most", 1_000_000, "in the table: the longest history")
	tableClients = flag.Int("clients", 0, "in the table: this many clients only")
	tableModels  = flag.String("models", "kv,register,queue", "in the table: these models; also stack, priority-queue")
	tableRepeat  = flag.Bool("repeat", false, "in the table: only the rows in which values repeat")
)

// TestTable measures Linearizable beside porcupine on the same histories. It
// is asked for by a flag, because it takes long:
//
//	go test ./checker/linearizable -run TestTable -table -v -timeout 0
func TestTable(t *testing.T) {
	if !*table {
		t.Skip("asked for by -table")
	}
	fmt.Printf("each check may take %v and %d MiB; the history itself is not counted\n", *tableLimit, *tableMemory>>20)
	fmt.Println("of what takes less than 20 ms the best of five times counts")
	fmt.Println("verdict: alone, which is all that porcupine gives; coup: with the small counterexample; first: and with the first bad answer")
	fmt.Println("ratios are of the times of the verdict and of coup")
	fmt.Printf("%-10s %-8s %7s %9s %5s  %8s  %22s  %8s  %22s  %s\n", "model", "kind", "clients", "ops", "open", "verdict", "coup", "first", "porcupine", "coup/porcupine")
	if slices.Contains(strings.Split(*tableModels, ","), "kv") {
		kvRows(t)
	}
	for _, m := range []model.Model{model.Register(), model.Queue(), model.Stack(), model.PriorityQueue()} {
		if !slices.Contains(strings.Split(*tableModels, ","), m.Name) {
			continue
		}
		for _, values := range []int{0, 8} {
			for _, faulty := range []bool{false, true} {
				for _, clients := range []int{5, 10, 20, 50} {
					if *tableClients != 0 && clients != *tableClients {
						continue
					}
					for _, open := range []float64{0, 0.01, 0.05, 0.2} {
						lost := false // porcupine could not do a smaller one
						for n := 1000; n <= *tableMost; n *= 10 {
							if values == 0 && *tableRepeat || values > 0 && (n > 10_000 || open > 0.01 || m.Kind != model.RegisterKind) {
								continue
							}
							row(t, m, clients, n, values, open, faulty, &lost)
						}
					}
				}
			}
		}
	}
}

// kvRows measures the histories of key-value stores that porcupine ships.
func kvRows(t *testing.T) {
	histories := porcupineKV(t)
	m := model.KV()
	for _, name := range slices.Sorted(maps.Keys(histories)) {
		ops := histories[name]
		ours, v1 := measure(func(ctx context.Context) harness.Validity {
			r, err := Checker{Model: m, Timeout: *tableLimit, MemoryBytes: *tableMemory, Brief: true}.Check(ctx, &harness.History{Operations: ops})
			if err != nil {
				t.Fatal(err)
			}
			return r.Valid
		})
		keys := m.Partition(ops)
		theirs, v2 := measure(func(ctx context.Context) harness.Validity { // all keys at once, until one is invalid
			g := newGuard(*tableMemory)
			defer g.close()
			b := g.start(ctx, *tableLimit)
			defer b.end()
			found := make(chan harness.Validity, len(keys))
			inner, enough := context.WithCancel(b)
			defer enough()
			for _, k := range keys {
				go func() {
					v, err := porcupineSearch(inner, m, k.Ops)
					if err != nil {
						v = harness.Unknown
					}
					found <- v
				}()
			}
			worst := harness.Valid
			for range keys {
				if worst = harness.Worst(worst, <-found); worst == harness.Invalid {
					break
				}
			}
			return worst
		})
		fmt.Printf("%-10s %-8s %7s %9d %5s  %8s  %22s  %8s  %22s  %.3f\n", "kv", name, "", len(ops), "", "", ours.text(v1), "", theirs.text(v2),
			ours.time.Seconds()/theirs.time.Seconds())
		if v1 != v2 && v2 != harness.Unknown {
			t.Errorf("%s: coup says %v, porcupine %v", name, v1, v2)
		}
	}
}

func row(t *testing.T, m model.Model, clients, n, values int, open float64, faulty bool, lost *bool) {
	rng := rand.New(rand.NewPCG(*testhistory.Seed, uint64(n)))
	ops := testhistory.Generate(rng, m, testhistory.Shape{Ops: n, Processes: clients, Open: open, Values: values})
	kind := "valid"
	if faulty {
		kind = "violated"
		ops = spoil(m, ops)
	}
	if values > 0 {
		kind += "*" // values repeat
	}
	view := model.Pointers(ops)
	check := func(brief bool) (cost, harness.Validity) {
		return measure(func(ctx context.Context) harness.Validity {
			r, err := Checker{Model: m, Timeout: *tableLimit, MemoryBytes: *tableMemory, Brief: brief}.Check(ctx, &harness.History{Operations: ops})
			if err != nil {
				t.Fatal(err)
			}
			return r.Valid
		})
	}
	ours, v1 := check(true)
	first := ours
	if faulty {
		first, _ = check(false)
	}
	bare, _ := measure(func(ctx context.Context) harness.Validity {
		g := newGuard(*tableMemory)
		defer g.close()
		b := g.start(ctx, *tableLimit)
		defer b.end()
		d, err := decide(b, m, view)
		if err != nil {
			t.Fatal(err)
		}
		return d.valid
	})
	theirs, v2 := cost{}, harness.Unknown
	if !*lost {
		theirs, v2 = measure(func(ctx context.Context) harness.Validity {
			g := newGuard(*tableMemory)
			defer g.close()
			b := g.start(ctx, *tableLimit)
			defer b.end()
			v, err := porcupineSearch(b, m, view)
			if err != nil {
				t.Fatal(err)
			}
			return v
		})
	}
	ratio := ""
	if v2 != harness.Unknown {
		ratio = fmt.Sprintf("%.3f  %.3f", bare.time.Seconds()/theirs.time.Seconds(), ours.time.Seconds()/theirs.time.Seconds())
		if v1 != v2 {
			t.Errorf("coup says %v, porcupine %v", v1, v2)
		}
	}
	fmt.Fprintf(os.Stdout, "%-10s %-8s %7d %9d %4.0f%%  %7.4fs  %22s  %7.4fs  %22s  %s\n", m.Name, kind, clients, n, open*100,
		bare.time.Seconds(), ours.text(v1), first.time.Seconds(), theirs.text(v2), ratio)
	*lost = *lost || v2 == harness.Unknown
	want := harness.Valid
	if faulty {
		want = harness.Invalid
	}
	if v1 != want && v1 != harness.Unknown && values == 0 { // a value that repeats may be there again
		t.Errorf("%v, expected %v", v1, want)
	}
}

// spoil makes one answer near the end wrong: a read sees an old value, an
// element stays in the queue too long.
func spoil(m model.Model, ops []harness.Operation) []harness.Operation {
	for i := len(ops) * 9 / 10; i < len(ops); i++ {
		op := &ops[i]
		switch {
		case op.Type != harness.OK:
		case m.Kind == model.RegisterKind && op.F == "read" && op.Output.(model.Maybe).Set:
			for j := i / 2; j < i; j++ {
				if old := ops[j]; old.F == "read" && old.Type == harness.OK && old.Output.(model.Maybe) != op.Output.(model.Maybe) {
					op.Output = old.Output
					return ops
				}
			}
		case m.Kind != model.RegisterKind && op.F != m.Kind.Puts() && op.Output.(model.Maybe).Set:
			for j := i / 2; j < i; j++ { // an element comes out far too late, another too early
				if early := &ops[j]; early.F == op.F && early.Type == harness.OK && early.Output.(model.Maybe).Set {
					early.Output, op.Output = op.Output, early.Output
					return ops
				}
			}
		}
	}
	return ops
}

type cost struct {
	time time.Duration
	peak uint64
}

func (c cost) text(v harness.Validity) string {
	if c.time == 0 {
		return "not tried"
	}
	return fmt.Sprintf("%s %.3fs %dMiB", v, c.time.Seconds(), c.peak>>20)
}

// measure measures f: what takes little a few times, of which the best counts.
func measure(f func(context.Context) harness.Validity) (best cost, v harness.Validity) {
	const little, times = 20 * time.Millisecond, 5
	best, v = measureOnce(f)
	for n := 1; n < times && best.time < little; n++ {
		if c, _ := measureOnce(f); c.time < best.time {
			best.time = c.time
		}
	}
	return best, v
}

func measureOnce(f func(context.Context) harness.Validity) (cost, harness.Validity) {
	runtime.GC()
	runtime.GC()
	base, peak := heap(), uint64(0)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				peak = max(peak, heap())
			}
		}
	}()
	start := time.Now()
	v := f(context.Background())
	took := time.Since(start)
	close(quit)
	<-done
	if peak < base {
		peak = base
	}
	return cost{took, peak - base}, v
}
