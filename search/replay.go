package search

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/runner"
)

// Replayed is the result of a replay.
type Replayed struct {
	Dir     string // of the new run
	Verdict judge.Verdict
	// Differs says how a simulated run differs from the recorded one; "" if the two
	// are equal to the byte.
	Differs string
}

// Replay runs again what was recorded in dir, with the same schedule and seed. On
// simulated machines the result is the same to the byte, if the build is the same. In
// containers it is another run of the same schedule.
func Replay(ctx, soft context.Context, dir string, o runner.Options) (Replayed, error) {
	var r Replayed
	var before plan.Stored
	if err := results.ReadJSON(dir, results.PlanFile, &before); err != nil {
		return r, &judge.InputError{Err: err}
	}
	p := before.Plan
	if err := p.Resolve(); err != nil {
		return r, &judge.InputError{Err: fmt.Errorf("%s: %w", filepath.Join(dir, results.PlanFile), err)}
	}
	var err error
	if r.Dir, r.Verdict, err = runner.Run(ctx, soft, p, o); err != nil || p.Backend != "sim" {
		return r, err
	}
	r.Differs, err = Differs(dir, r.Dir)
	if r.Differs != "" && soft.Err() != nil {
		r.Differs += ": the replay was interrupted"
	}
	return r, err
}

// Differs says how a simulated run, in the directory again, differs from the one in dir; ""
// if the two are equal to the byte.
func Differs(dir, again string) (string, error) {
	var before, after plan.Stored
	err := errors.Join(results.ReadJSON(dir, results.PlanFile, &before), results.ReadJSON(again, results.PlanFile, &after))
	if err != nil {
		return "", err
	}
	for _, name := range []string{results.HistoryFile, results.EventsFile, "what the machines held in the end"} {
		same := before.Machines == after.Machines
		if strings.HasSuffix(name, ".jsonl") {
			if same, err = sameFile(filepath.Join(dir, name), filepath.Join(again, name)); err != nil {
				return "", err
			}
		}
		switch {
		case same:
			continue
		case before.Module != after.Module:
			return fmt.Sprintf("%s is not as recorded: it was recorded with another program of the nodes (%.12s, this is %.12s); only the coup, or the --node, that recorded a run can repeat it", name, before.Module, after.Module), nil
		default:
			return name + " is not as recorded: it was interrupted, or recorded by another build of coup", nil
		}
	}
	return "", nil
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
