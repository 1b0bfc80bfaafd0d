package results_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"coup/harness"
	"coup/harness/gen"
	"coup/results"
)

type noop struct{}

func (noop) Invoke(context.Context, harness.Op) (any, error) { return int64(7), nil }
func (noop) Node() string                                    { return "n1" }
func (noop) Close() error                                    { return nil }

// loop runs n operations of a client that does nothing, recorded to disk as in
// a real run, and returns how long they took.
func loop(b *testing.B, n int) time.Duration {
	b.Helper()
	r, err := results.Create(b.TempDir(), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	g := gen.Limit(n, gen.Func(func(m harness.Moment) harness.Op {
		return harness.Op{F: "write", Key: "k1", Value: m.Rand.Int64N(1000)}
	}))
	begun := time.Now()
	_, err = harness.Run(context.Background(), context.Background(), harness.Test{
		Runtime: harness.NewRuntime(), Generator: g, Concurrency: 10,
		Open:   func(int, int) (harness.Client, error) { return noop{}, nil },
		Record: r.History.Record,
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begun)
	if info, err := os.Stat(filepath.Join(r.Dir, results.HistoryFile)); err != nil || info.Size() < int64(n)*100 {
		b.Fatalf("not everything was recorded: %v, %v", info, err)
	}
	return took
}

// BenchmarkLoop is the cost of coup itself per operation: generator, lock,
// clock, encoding, disk. The heap after ten times as many operations shows
// that nothing gathers.
func BenchmarkLoop(b *testing.B) {
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	for b.Loop() {
		const n = 1_000_000
		took := loop(b, n)
		b.ReportMetric(n/took.Seconds(), "ops/s")
		b.ReportMetric(heap(), "heap-MiB-1M")
		took = loop(b, 10*n)
		b.ReportMetric(10*n/took.Seconds(), "ops/s-10M")
		b.ReportMetric(heap(), "heap-MiB-10M")
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys)/(1<<20), "peak-sys-MiB")
	}
}
