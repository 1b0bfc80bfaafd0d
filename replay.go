package coup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coup/harness"
	"coup/results"
)

// Replayed is what became of running again what was recorded.
type Replayed struct {
	Dir     string // of the new run
	Verdict Verdict
	// Differs says, for a simulated run, why the new one is not the recorded
	// one to the byte; "" if it is.
	Differs string
}

// Replay runs again what was recorded in dir: with the same schedule and seed.
// On simulated machines the result is the same to the byte, unless the build is
// another one. In containers it is another run of the same schedule.
func Replay(ctx, soft context.Context, dir string, o RunOptions) (Replayed, error) {
	var r Replayed
	var before, after Stored
	if err := results.ReadJSON(dir, results.PlanFile, &before); err != nil {
		return r, err
	}
	plan := before.Plan
	if err := plan.Resolve(); err != nil {
		return r, err
	}
	var err error
	if r.Dir, r.Verdict, err = Run(ctx, soft, plan, o); err != nil || plan.Backend != "sim" {
		return r, err
	}
	if err := results.ReadJSON(r.Dir, results.PlanFile, &after); err != nil {
		return r, err
	}
	for _, name := range []string{results.HistoryFile, results.EventsFile, "what the machines held in the end"} {
		same := before.Machines == after.Machines
		if strings.HasSuffix(name, ".jsonl") {
			if same, err = sameFile(filepath.Join(dir, name), filepath.Join(r.Dir, name)); err != nil {
				return r, err
			}
		}
		if same {
			continue
		}
		r.Differs = name + " is not as recorded"
		switch {
		case soft.Err() != nil:
			r.Differs += ": the replay was interrupted"
		case before.Module != after.Module:
			r.Differs += fmt.Sprintf(": it was recorded with another program of the nodes (%.12s, this is %.12s); only the coup, or the --node, that recorded a run can repeat it", before.Module, after.Module)
		default:
			r.Differs += ": it was interrupted, or recorded by another build of coup"
		}
		return r, nil
	}
	return r, nil
}

// again is the command that runs again what was run.
func (s Stored) again(dir string) string { return s.withNode(s.Plan.again(dir)) }

// withNode is a command with the program that the nodes ran, if it was named.
func (s Stored) withNode(command string) string {
	if s.Node != "" {
		command += " --node " + shellQuote(s.Node)
	}
	return command
}

// again is the command that runs the plan of a run again: its flags, unless its
// schedule or operations are not those that they would draw, but were cut down or
// written by hand.
func (p Plan) again(dir string) string {
	if !p.Drawn() {
		return "coup replay " + shellQuote(dir)
	}
	return p.Command()
}

// Drawn says whether schedule and operations of a plan are those that its flags
// draw, and not written by hand or cut down.
func (p Plan) Drawn() bool {
	if p.Operations != nil {
		return false
	}
	drawn := p
	drawn.Schedule, drawn.Nemesis = nil, slices.Clone(p.Nemesis)
	return drawn.Resolve() == nil && (p.Schedule == nil || slices.Equal(drawn.Schedule, p.Schedule))
}

func sameFile(a, b string) (bool, error) {
	var sums [2][32]byte
	for i, name := range []string{a, b} {
		content, err := os.ReadFile(name)
		if err != nil {
			return false, err
		}
		sums[i] = sha256.Sum256(content)
	}
	return sums[0] == sums[1], nil
}

// Share is how many of some runs failed.
type Share struct{ Failed, Runs int }

// Add counts a verdict. Runs that prove nothing are not counted.
func (s *Share) Add(v harness.Validity) {
	if v != harness.Unknown {
		s.Runs++
	}
	if v == harness.Invalid {
		s.Failed++
	}
}

// Interval is Wilson's 95% confidence interval of the probability that a run fails
// (E. B. Wilson, Probable inference, the law of succession, and statistical
// inference, 1927).
func (s Share) Interval() (lo, hi float64) {
	if s.Runs == 0 {
		return 0, 1
	}
	const z = 1.959963984540054
	n, p := float64(s.Runs), float64(s.Failed)/float64(s.Runs)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, middle-half), min(1, middle+half)
}

func (s Share) String() string {
	if s.Runs == 0 {
		return "no run proved anything"
	}
	lo, hi := s.Interval()
	return fmt.Sprintf("%d of %d runs failed: %.0f%% (95%% interval %.0f%% to %.0f%%)",
		s.Failed, s.Runs, 100*float64(s.Failed)/float64(s.Runs), 100*lo, 100*hi)
}

// lasted is how long a recorded run took, by its own clock.
func lasted(dir string) (time.Duration, error) {
	var stored Stored
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		return 0, err
	}
	h, _, err := readRun(dir, stored)
	if err != nil {
		return 0, err
	}
	last := time.Duration(0)
	for _, e := range h.Events {
		last = max(last, e.Time)
	}
	return last, nil
}
