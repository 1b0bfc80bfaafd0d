package nightly

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/search"
)

// asksForLook says whether a run is a failure that is to be looked at, which then is
// the matter of the caller. Of failures with the same fingerprint, one is looked at.
func (n *night) asksForLook(c Cell, r *Record) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Triage != nil || classOf(c, r, n.spec.Known, n.report.Began) != New || r.Valid != harness.Invalid || n.looked[r.Fingerprint] {
		return false
	}
	n.looked[r.Fingerprint] = true
	return true
}

// triage looks closely at a failure.
func (n *night) triage(ctx, soft context.Context, j job, r *Record) Triage {
	var t Triage
	dir := filepath.Join(n.dir, filepath.FromSlash(r.Dir))
	var stored plan.Stored
	if err := results.ReadJSON(dir, results.PlanFile, &stored); err != nil {
		t.Failed = err.Error()
		return t
	}
	folder := filepath.Join(n.dir, runsDir, j.key())
	var err error
	if j.simulated() {
		err = n.replay(ctx, soft, j.cell, stored.Plan, dir, folder, &t)
	} else {
		err = n.again(ctx, soft, stored.Plan, dir, folder, &t)
	}
	if err != nil {
		t.Failed = err.Error()
	}
	return t
}

// replay replays a simulated failure, shrinks it within a bound, and traces what is left.
func (n *night) replay(ctx, soft context.Context, c Cell, p plan.Plan, dir, folder string, t *Triage) error {
	again := func(sub string, args ...string) (string, error) {
		out := filepath.Join(folder, sub)
		os.RemoveAll(out)
		ended, err := n.command(ctx, soft, p, append(append(args, "--out", out), nodeOf(c)...)...)
		if err != nil {
			return "", err
		}
		run := runIn(out)
		if run == "" && ended.Code > 2 {
			return "", fmt.Errorf("coup %s: %s", args[0], lastLine(ended.Said))
		}
		return run, nil
	}
	replayed, err := again("replayed", "replay", dir)
	if err != nil {
		return err
	}
	if t.Differs, err = search.Differs(dir, replayed); err != nil {
		return err
	}
	t.Replayed = true
	os.RemoveAll(filepath.Join(folder, "replayed"))
	smallest := dir
	if t.Differs == "" {
		found, err := again("smallest", "shrink", "--runs", fmt.Sprint(n.spec.Look.Shrink), dir)
		if err != nil {
			return err
		}
		if found != "" {
			smallest, t.Smallest = found, n.relative(found)
		}
	}
	traced, err := again("traced", "replay", "--trace", smallest)
	if err == nil {
		t.Traced = n.relative(traced)
	}
	return err
}

// again runs a failure in containers again, and tries its schedule on simulated machines.
func (n *night) again(ctx, soft context.Context, p plan.Plan, dir, folder string, t *Triage) error {
	t.Again = &search.Share{}
	out := filepath.Join(folder, "again")
	defer os.RemoveAll(out)
	for range n.spec.Look.Again {
		if soft.Err() != nil {
			return soft.Err()
		}
		os.RemoveAll(out)
		ended, err := n.command(ctx, soft, p, "replay", dir, "--out", out)
		if err != nil {
			return err
		}
		var v judge.Verdict
		if run := runIn(out); run == "" || results.ReadJSON(run, results.VerdictFile, &v) != nil {
			return fmt.Errorf("coup replay: %s", lastLine(ended.Said))
		}
		t.Again.Add(v.Valid)
	}
	there := p
	there.Backend = plan.Simulated
	if there.Resolve() != nil {
		return nil // nothing but containers can run this
	}
	sim := filepath.Join(folder, "simulated")
	os.RemoveAll(sim)
	ended, err := n.command(ctx, soft, p, "run", "--plan", dir, "--backend", plan.Simulated, "--out", sim)
	if err != nil {
		return err
	}
	var v judge.Verdict
	if run := runIn(sim); run == "" || results.ReadJSON(run, results.VerdictFile, &v) != nil {
		return fmt.Errorf("coup run --backend sim: %s", lastLine(ended.Said))
	}
	t.InSim = strings.TrimSuffix(v.Sentence(), ".")
	if v.Valid != harness.Invalid {
		os.RemoveAll(sim)
	}
	return nil
}

func (n *night) relative(dir string) string {
	rel, err := filepath.Rel(n.dir, dir)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(rel)
}
