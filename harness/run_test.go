package harness_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coup/harness"
	"coup/harness/gen"
)

// clientFunc is a client that is a function.
type clientFunc func(ctx context.Context, op harness.Op) (any, error)

func (f clientFunc) Invoke(ctx context.Context, op harness.Op) (any, error) { return f(ctx, op) }
func (f clientFunc) Node() string                                           { return "n1" }
func (f clientFunc) Close() error                                           { return nil }

func anything(_ harness.Type, _ string, raw json.RawMessage) (any, error) { return string(raw), nil }

func reads(harness.Moment) harness.Op { return harness.Op{F: "read", Key: "k"} }

// record runs t and returns what was recorded.
func record(t *testing.T, ctx context.Context, test harness.Test) ([]harness.Operation, int, error) {
	t.Helper()
	var out bytes.Buffer
	rec := harness.NewRecorder(&out)
	test.Runtime, test.Record = harness.NewRuntime(), rec.Record
	next, err := harness.Run(context.Background(), ctx, test)
	if err := rec.Flush(); err != nil {
		t.Fatal(err)
	}
	ops, torn, readErr := harness.ReadOperations(&out, anything)
	if readErr != nil || torn {
		t.Fatalf("the recorded history can't be read back: torn=%t %v", torn, readErr)
	}
	return ops, next, err
}

func TestRunRecordsHowOperationsEnded(t *testing.T) {
	ends := []error{nil, fmt.Errorf("no leader: %w", harness.ErrFail), errors.New("timeout")}
	var n atomic.Int64
	ops, next, err := record(t, context.Background(), harness.Test{
		Concurrency: 1, Generator: gen.Limit(6, gen.Func(reads)),
		Open: func(int, int) (harness.Client, error) {
			return clientFunc(func(context.Context, harness.Op) (any, error) { return int64(7), ends[(n.Add(1)-1)%3] }), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, op := range ops {
		got = append(got, fmt.Sprintf("%d %s %v %s", op.Process, op.Type, op.Output, op.Error))
	}
	want := []string{
		"0 ok 7 ", "0 fail <nil> no leader: operation did not happen", "0 info <nil> timeout",
		"1 ok 7 ", "1 fail <nil> no leader: operation did not happen", "1 info <nil> timeout",
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if next != 3 {
		t.Errorf("the first unused process is %d, want 3: each info takes a process", next)
	}
}

func TestRunIsConcurrent(t *testing.T) {
	var mu sync.Mutex
	all := sync.NewCond(&mu)
	inside := 0
	ops, _, err := record(t, context.Background(), harness.Test{
		Concurrency: 4, Generator: gen.Limit(4, gen.Func(reads)),
		Open: func(int, int) (harness.Client, error) {
			return clientFunc(func(context.Context, harness.Op) (any, error) {
				mu.Lock()
				defer mu.Unlock()
				inside++
				all.Broadcast()
				for inside < 4 { // nobody leaves before all are inside
					all.Wait()
				}
				return nil, nil
			}), nil
		},
	})
	if err != nil || len(ops) != 4 {
		t.Fatalf("%d operations, %v", len(ops), err)
	}
}

func TestRunEnds(t *testing.T) {
	broken := errors.New("disk full")
	never := gen.Func(func(harness.Moment) harness.Op { return gen.Pending })
	client := func(int, int) (harness.Client, error) {
		return clientFunc(func(context.Context, harness.Op) (any, error) { return nil, nil }), nil
	}
	panics := func(int, int) (harness.Client, error) {
		return clientFunc(func(context.Context, harness.Op) (any, error) { panic("oops") }), nil
	}
	for _, c := range []struct {
		name   string
		g      harness.Generator
		open   func(int, int) (harness.Client, error)
		record func(*harness.Op) error
		want   string // part of the error
	}{
		{"a line can't be recorded", gen.Func(reads), client, func(*harness.Op) error { return broken }, "disk full"},
		{"a client panics", gen.Func(reads), panics, nil, "panic: oops"},
		{"everybody waits for nobody", never, client, nil, "every process waits"},
		{"nothing to do", gen.Limit(0, gen.Func(reads)), client, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.record == nil {
				c.record = func(*harness.Op) error { return nil }
			}
			_, err := harness.Run(context.Background(), context.Background(), harness.Test{
				Runtime: harness.NewRuntime(), Concurrency: 3, Generator: c.g, Open: c.open, Record: c.record,
			})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestRunEndsSoftly(t *testing.T) {
	soft, cancel := context.WithCancel(context.Background())
	var n atomic.Int64
	ops, _, err := record(t, soft, harness.Test{
		Concurrency: 2, Generator: gen.Func(reads),
		Open: func(int, int) (harness.Client, error) {
			return clientFunc(func(context.Context, harness.Op) (any, error) {
				if n.Add(1) == 10 {
					cancel()
				}
				return int64(1), nil
			}), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range ops {
		if op.Type != harness.OK {
			t.Errorf("an operation under way was abandoned: %+v", op)
		}
	}
	if len(ops) < 10 || len(ops) > 12 {
		t.Errorf("%d operations, want 10 and no more than two that were under way", len(ops))
	}
}

func TestRunWaitsWithoutAWakeUp(t *testing.T) {
	// Pending for one process until another has completed something, and an
	// operation that is due in the future.
	g := gen.Retry([]harness.Op{{F: "read", Key: "a"}}, func(op harness.Op) bool { return op.Type == harness.OK })
	var n atomic.Int64
	ops, _, err := record(t, context.Background(), harness.Test{
		Concurrency: 3, Generator: g, Backoff: time.Millisecond,
		Open: func(int, int) (harness.Client, error) {
			return clientFunc(func(context.Context, harness.Op) (any, error) {
				if n.Add(1) < 5 {
					return nil, harness.ErrFail
				}
				return int64(1), nil
			}), nil
		},
	})
	if err != nil || len(ops) != 5 {
		t.Fatalf("%d operations, want four that fail and one that succeeds: %v", len(ops), err)
	}
}

// A client that is broken ends the run, whether it breaks when it is made or at work.
func TestABrokenClientEndsTheRun(t *testing.T) {
	broken := fmt.Errorf("%w: it says nothing", harness.ErrBroken)
	for name, open := range map[string]func(int, int) (harness.Client, error){
		"made": func(int, int) (harness.Client, error) { return nil, broken },
		"at work": func(int, int) (harness.Client, error) {
			return clientFunc(func(context.Context, harness.Op) (any, error) { return nil, broken }), nil
		},
	} {
		ops, _, err := record(t, context.Background(), harness.Test{Concurrency: 2, Generator: gen.Func(reads), Open: open})
		if !errors.Is(err, harness.ErrBroken) || len(ops) == 0 || len(ops) > 2 {
			t.Errorf("%s: %v after %d operations", name, err, len(ops))
		}
		for _, op := range ops {
			if op.Type == harness.OK {
				t.Errorf("%s: %+v", name, op)
			}
		}
	}
}

// In an open-loop load operations are due whether or not earlier ones were answered. What
// waits too long for a process is not begun any more.
func TestOpenLoop(t *testing.T) {
	due := []time.Duration{1, 2, 3}
	g := gen.Func(func(m harness.Moment) harness.Op {
		if len(due) == 0 {
			return harness.Op{Time: harness.Forever}
		}
		d := due[0]
		due = due[1:]
		return harness.Op{F: "read", Key: "a", Time: d, Due: d}
	})
	soft, end := context.WithCancel(context.Background())
	calls := 0
	ops, _, err := record(t, soft, harness.Test{
		Concurrency: 1, Generator: g, Timeout: 50 * time.Millisecond,
		Open: func(int, int) (harness.Client, error) {
			return clientFunc(func(context.Context, harness.Op) (any, error) {
				calls++
				time.AfterFunc(200*time.Millisecond, end)
				time.Sleep(60 * time.Millisecond) // longer than the others may wait
				return int64(1), nil
			}), nil
		},
	})
	if err != nil || len(ops) != 3 || calls != 1 {
		t.Fatalf("%d operations, %d of them invoked: %v", len(ops), calls, err)
	}
	if ops[0].Type != harness.OK || ops[0].Due != 1 || ops[0].Latency() != ops[0].End-1 {
		t.Errorf("the first: %+v", ops[0])
	}
	for _, op := range ops[1:] {
		if op.Type != harness.Fail || !strings.Contains(op.Error, "no process was free") || op.Latency() < 50*time.Millisecond {
			t.Errorf("one that waited: %+v", op)
		}
	}
}
