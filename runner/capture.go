package runner

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/results"
)

// captureInto is the folder for the packets of the run, and the bound of a file in bytes; ""
// if none are wanted.
func (r *run) captureInto() (dir string, bound int64) {
	if r.plan.Capture == 0 {
		return "", 0
	}
	return filepath.Join(r.store.Dir, results.CaptureDir), int64(r.plan.Capture) << 20
}

// captured ends the capture of packets and notes what there is. What goes wrong with it
// costs the run nothing: it is told.
func (r *run) captured(ctx context.Context) {
	c, ok := r.cluster.(cluster.Capturing)
	if !ok || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, capturePatience)
	defer cancel()
	set, err := c.Captured(ctx)
	if err != nil {
		r.o.Log.Warn("packets are missing", "error", err.Error())
	}
	if set == nil {
		return
	}
	if m, ok := r.rt.(*harness.Machine); ok {
		if moved := time.Now().Round(0).Sub(m.StartTime().Round(0)) - m.Now(); moved.Abs() > clockNoise {
			set.Stepped = moved
			r.o.Log.Warn("the machine's clock was set while the run went on: times of packets are off", "by", fmt.Sprint(moved))
		}
	}
	forgotten, packets := 0, 0
	for _, f := range set.Files {
		forgotten, packets = forgotten+f.Forgotten, packets+f.Packets
		if f.Failed != "" {
			r.o.Log.Warn("packets are missing", "node", f.Node, "error", f.Failed)
		}
	}
	r.o.Log.Info("captured", "packets", packets, "in", filepath.Join(r.store.Dir, results.CaptureDir))
	if forgotten > 0 {
		r.o.Log.Warn("the bound of the capture was reached, and only the newest packets were kept", "bound", fmt.Sprintf("%d MiB each", set.Bound), "forgotten", forgotten)
	}
	r.stored.Captured = set
	if err := r.storePlan(); err != nil {
		r.o.Log.Warn("what was captured could not be noted", "error", err.Error())
	}
}

// capturePatience bounds how long the engine may take to hand the files over.
const capturePatience = 2 * time.Minute

// clockNoise is how much a machine's wall clock and its monotonic one, by which the run goes, may seem to
// differ by the way they are read. Both were read in one go when the run began.
const clockNoise = time.Millisecond
