package runner

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"coup/harness"
	"coup/plan"
)

// sampleEvery is how often the machine is looked at.
const sampleEvery = 100 * time.Millisecond

// watchMachine records how busy the machine is on which the run happens, until the function
// that it returns is called. Only Linux tells. Where the engine is on another machine, it is
// the harness's own that is told of; simulated machines are never busy.
func (r *run) watchMachine() (stop func()) {
	before, err := takeSample()
	if err != nil || r.plan.Backend == plan.Simulated {
		return func() {}
	}
	ctx, end := context.WithCancel(context.Background())
	over := harness.Spawn(r.rt, func() {
		var ready, looks float64
		for next := r.rt.Now() + harness.MachineEvery; ; {
			harness.Sleep(ctx, r.rt, r.rt.Now()+sampleEvery)
			now, err := takeSample()
			if err != nil || ctx.Err() != nil {
				return
			}
			ready, looks = ready+now.ready, looks+1
			if r.rt.Now() >= next {
				r.rec.event(harness.Event{Time: r.rt.Now(), Kind: harness.MachineEvent, Ready: readyFor(ready/looks, runtime.NumCPU(), before, now)})
				before, ready, looks, next = now, 0, 0, r.rt.Now()+harness.MachineEvery
			}
		}
	})
	return sync.OnceFunc(func() {
		end()
		over()
	})
}

// readyFor is how many threads were ready for each processor that the machine had for
// itself between two samples, to two places.
func readyFor(ready float64, processors int, before, now sample) float64 {
	own := 1.0
	if all := now.all - before.all; all > 0 {
		own = max(0.01, 1-(now.stolen-before.stolen)/all)
	}
	return math.Round(100*ready/float64(processors)/own) / 100
}

// sample is one look at the machine.
type sample struct {
	ready  float64 // threads that run or are ready to run
	all    float64 // the time of all processors since the start, in ticks
	stolen float64 // what of it other virtual machines took
}

func takeSample() (sample, error) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return sample{}, err
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return sample{}, err
	}
	return readSample(load, stat)
}

var errNoSample = errors.New("/proc/loadavg and /proc/stat are not as proc(5) says")

// readSample reads the fourth field of /proc/loadavg, "ready/all threads", and the first
// line of /proc/stat, "cpu user nice system idle iowait irq softirq steal ...": see proc(5).
func readSample(load, stat []byte) (s sample, err error) {
	fields := bytes.Fields(load)
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	times := bytes.Fields(line)
	if len(fields) < 4 || len(times) < 9 || string(times[0]) != "cpu" {
		return s, errNoSample
	}
	ready, _, _ := bytes.Cut(fields[3], []byte("/"))
	if s.ready, err = strconv.ParseFloat(string(ready), 64); err != nil {
		return s, errNoSample
	}
	for i, field := range times[1:9] {
		ticks, err := strconv.ParseFloat(string(field), 64)
		if err != nil {
			return s, errNoSample
		}
		s.all += ticks
		if i == 7 {
			s.stolen = ticks
		}
	}
	return s, nil
}
