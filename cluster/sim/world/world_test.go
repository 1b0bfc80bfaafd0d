package world

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coup/harness"
)

func TestTasksAndTime(t *testing.T) {
	w := New(1)
	var order []string
	err := w.Run(func() error {
		var mu sync.Mutex
		left := 3
		for i, d := range []time.Duration{30, 10, 20} {
			w.Start(func() {
				harness.Sleep(context.Background(), w, d*time.Hour)
				order = append(order, fmt.Sprint(i, " at ", w.Now()))
				mu.Lock()
				left--
				mu.Unlock()
				w.Wake()
			})
		}
		mu.Lock()
		defer mu.Unlock()
		for left > 0 {
			w.Await(&mu, harness.Forever)
		}
		return errors.New("body's")
	})
	if err == nil || err.Error() != "body's" {
		t.Errorf("error %v", err)
	}
	if want := []string{"1 at 10h0m0s", "2 at 20h0m0s", "0 at 30h0m0s"}; !slices.Equal(order, want) {
		t.Errorf("order %v", order)
	}
}

func TestWorldEnds(t *testing.T) {
	for name, c := range map[string]struct {
		body func(w *World) error
		want string
	}{
		"everybody waits": {func(w *World) error {
			var mu sync.Mutex
			mu.Lock()
			w.Await(&mu, harness.Forever)
			return nil
		}, "nothing is going to happen"},
		"a task panics": {func(w *World) error {
			w.Start(func() { panic("oh no") })
			w.SleepFor(time.Second)
			return nil
		}, "oh no"},
		"tasks are left": {func(w *World) error {
			w.Start(func() { w.SleepFor(time.Hour) })
			w.Start(func() {})
			return errors.New("early")
		}, "early"},
	} {
		w := New(1)
		err := w.Run(func() error { return c.body(w) })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if len(w.tasks) != 0 {
			t.Errorf("%s: %d tasks are left", name, len(w.tasks))
		}
	}
}

func TestContexts(t *testing.T) {
	w := New(1)
	err := w.Run(func() error {
		outer, cancelOuter := w.WithTimeout(context.Background(), time.Minute)
		defer cancelOuter()
		inner, cancel := w.WithTimeout(outer, time.Hour)
		defer cancel()
		child, cancelChild := context.WithCancel(inner)
		defer cancelChild()
		if left, ok := harness.Left(inner); !ok || left != time.Minute {
			t.Errorf("%v left", left)
		}
		stop := w.WakeWhenDone(child)
		defer stop()
		harness.Sleep(child, w, time.Hour)
		if w.Now() != time.Minute {
			t.Errorf("woken at %v", w.Now())
		}
		if inner.Err() == nil || child.Err() == nil || !errors.Is(outer.Err(), context.DeadlineExceeded) {
			t.Errorf("errors %v, %v, %v", outer.Err(), inner.Err(), child.Err())
		}
		stopped, cancelStopped := w.WithTimeout(context.Background(), time.Minute)
		cancelStopped()
		w.SleepFor(time.Hour)
		if !errors.Is(stopped.Err(), context.Canceled) {
			t.Errorf("error %v of a context that was cancelled", stopped.Err())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRandomStreams(t *testing.T) {
	a, b, c := New(1).Random("x").Uint64(), New(1).Random("x").Uint64(), New(1).Random("y").Uint64()
	if a != b || a == c || a == New(2).Random("x").Uint64() {
		t.Error("streams are not what their seed and purpose say")
	}
}

// Tasks that sleep see the same, in the same order, as if each of them looked for
// itself at every wake-up.
func TestSleep(t *testing.T) {
	type onlyRuntime struct{ harness.Runtime }
	see := func(rt func(*World) harness.Runtime) (saw []string) {
		w := New(1)
		r := w.Random("test")
		runtime := rt(w)
		err := w.Run(func() error {
			ctx, cancel := context.WithCancel(context.Background())
			defer w.WakeWhenDone(ctx)()
			harness.Parallel(runtime, 40, func(i int) {
				for n := range 20 {
					before := w.Now()
					switch r.IntN(8) {
					case 0:
						runtime.Wake()
					case 1:
						bounded, done := runtime.WithTimeout(ctx, time.Duration(r.IntN(3)))
						stop := runtime.WakeWhenDone(bounded)
						harness.Sleep(bounded, runtime, w.Now()+time.Duration(r.IntN(5)))
						stop()
						done()
					default: // also until now, and before
						harness.Sleep(ctx, runtime, w.Now()+time.Duration(r.IntN(5)-1))
					}
					if i == 0 && n == 15 {
						cancel()
					}
					saw = append(saw, fmt.Sprint(i, n, before, w.Now()))
				}
			})
			return nil
		})
		if err != nil || len(w.waiting) != 0 {
			t.Errorf("%v; %d wait", err, len(w.waiting))
		}
		return saw
	}
	got := see(func(w *World) harness.Runtime { return w })
	want := see(func(w *World) harness.Runtime { return onlyRuntime{w} })
	if !slices.Equal(got, want) || len(got) != 800 {
		t.Errorf("%d lines, not as the %d expected", len(got), len(want))
	}
}
