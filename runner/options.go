package runner

import (
	"fmt"
	"log/slog"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/plan"
)

// Options are the options of a run, beside its plan.
type Options struct {
	Out string // the folder that run directories are made in
	// Progress is called several times a second, one call at a time; may be nil.
	Progress func(Progress)
	Log      *slog.Logger // nil: nothing is logged
	// Trace records what every machine does (package trace). It does not change the
	// run. Only simulated machines can be traced.
	Trace bool
	// Stuck is called when a simulated node's program is in an endless loop. It is
	// called on another thread, and the run can't go on: Stuck must replace this
	// process by one that calls judge.Stuck. nil: such a run never ends.
	Stuck func(dir, node string, after time.Duration)
	// System is the system under test if it is none that coup knows by name; see
	// plan.Plan.ResolveFor. Usually nil.
	System cluster.System
}

// Check says what can't be done with a plan.
func (o Options) Check(p plan.Plan) error {
	if o.Trace && p.Backend != plan.Simulated {
		return fmt.Errorf("only simulated machines can be traced (--backend sim), not those of the backend %s", p.Backend)
	}
	return nil
}

// Progress is the state of a run at a moment.
type Progress struct {
	Phase          harness.Phase // or "judge", when it is over
	Doing          string        // what takes long in it; usually ""
	Elapsed, Total time.Duration // of the load
	OK, Fail, Info int           // completed operations so far
	Leader         string
	Term           uint64
	Faults         []string // in force
}
