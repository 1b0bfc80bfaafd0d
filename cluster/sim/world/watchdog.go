package world

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"coup/internal/cputime"
)

// StuckError says that a program never gave control back: the run proves nothing.
type StuckError struct {
	Node  string
	After time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("%s: its program computed for %v and never waited for anything: it loops for ever", e.Node, e.After)
}

// watchdog notices a program in an endless loop. It is the only thing in this package that
// reads the wall clock or CPU time, and all that it can do is to end the run.
//
// The program can't be interrupted: code that can be interrupted is half as fast. So the
// function that is told has to leave this process. Even that needs care: the garbage
// collector stops every goroutine in turn, and would wait for the program forever, with
// all others stopped. So while there is a watchdog, garbage is collected only between two
// events, and there is a second processor for the watchdog to run on.
type watchdog struct {
	patience time.Duration
	bark     func(*StuckError) // nil: nobody watches
	turn     atomic.Uint64     // odd while a program has control
	node     atomic.Pointer[string]
	ended    chan struct{}
	percent  int    // of the garbage collector before
	heap     uint64 // when garbage is to be collected next, in bytes
}

// OnStuck calls bark on another thread when a program has computed for longer than patience
// without giving control back. That is CPU time, so that a slow or sleeping machine is not
// mistaken for an endless loop. bark must not return, nor allocate much: it should replace
// this process by another.
func (w *World) OnStuck(patience time.Duration, bark func(*StuckError)) {
	w.watchdog.patience, w.watchdog.bark = patience, bark
}

// Enter is called when a node's program gets control, Leave when it gives it back.
func (w *World) Enter(node *string) {
	w.watchdog.node.Store(node)
	w.watchdog.turn.Add(1)
}

// Leave is the end of what Enter began.
func (w *World) Leave() { w.watchdog.turn.Add(1) }

// watch looks on until unwatch is called.
func (d *watchdog) watch() {
	if d.bark == nil {
		return
	}
	d.ended = make(chan struct{})
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	d.percent = debug.SetGCPercent(-1)
	d.collect()
	go func() {
		const looks = 10
		tick := time.NewTicker(d.patience / looks)
		defer tick.Stop()
		seen, since := uint64(0), cputime.Used()
		for {
			select {
			case <-d.ended:
				return
			case <-tick.C:
			}
			if turn := d.turn.Load(); turn != seen {
				seen, since = turn, cputime.Used()
			} else if turn%2 == 1 && cputime.Used()-since >= d.patience {
				d.bark(&StuckError{Node: *d.node.Load(), After: d.patience})
			}
		}
	}()
}

func (d *watchdog) unwatch() {
	if d.ended != nil {
		close(d.ended)
		debug.SetGCPercent(d.percent)
	}
}

// leastHeap is a heap that is not worth collecting.
const leastHeap = 128 << 20

// collect collects garbage if there is much. It is called while no program has
// control.
func (d *watchdog) collect() {
	if d.ended == nil {
		return
	}
	if heapSize() < d.heap {
		return
	}
	runtime.GC()
	d.heap = max(leastHeap, 2*heapSize())
}

func heapSize() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
