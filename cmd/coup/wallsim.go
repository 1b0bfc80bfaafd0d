package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"coup/harness"
	"coup/internal/cputime"
	"coup/plan"
	"coup/runner"
	"coup/search"
)

const (
	// seedsPerSearch is how many seeds are tried in a search for a bug, and how
	// far the first seeds of searches lie apart.
	seedsPerSearch = 20
	// replaysOfShrunk is how often a shrunk plan is replayed.
	replaysOfShrunk = 3
)

// bugSearch is one search for a planted bug: seed after seed, until it is found.
type bugSearch struct {
	first uint64
	seeds int           // that were tried
	cpu   time.Duration // that this took
	found bool
	last  search.Try
}

// shrunk is the smallest plan of a bug, and how many of its replays failed.
type shrunk struct {
	what   string
	failed int // of the replays
}

// wallSim searches for every bug on simulated machines, from several first seeds, and
// shrinks the run of the median search.
func wallSim(ctx, soft context.Context, p plan.Plan, bugs []bug, runs int, out string) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "bug\tworkload and faults\tfound\tmedian seeds\tmedian CPU\tshrunk to\treplays that fail")
	var missed []string
	for _, b := range bugs {
		var searches []bugSearch
		for i := range runs {
			s, err := searchBug(ctx, soft, p, b, p.Seed+uint64(i)*seedsPerSearch, out)
			if err != nil {
				return err
			}
			if soft.Err() != nil {
				break
			}
			searches = append(searches, s)
		}
		if soft.Err() != nil {
			break
		}
		slices.SortStableFunc(searches, func(a, b bugSearch) int {
			return cmp.Or(cmp.Compare(b.tally(), a.tally()), cmp.Compare(a.seeds, b.seeds), cmp.Compare(a.cpu, b.cpu))
		})
		median := searches[(len(searches)-1)/2]
		found := 0
		for _, s := range searches {
			found += s.tally()
		}
		faults := b.Workload + ", " + strings.Join(b.Nemesis, " ")
		if !median.found {
			missed = append(missed, b.Name)
			fmt.Fprintf(table, "%s\t%s\t%d of %d\t-\t-\t-\t-\n", b.Name, faults, found, runs)
			continue
		}
		small, err := shrinkFound(ctx, soft, b, median.last.Dir, out)
		if err != nil {
			return err
		}
		if soft.Err() != nil {
			break
		}
		if small.failed < replaysOfShrunk {
			missed = append(missed, b.Name)
		}
		fmt.Fprintf(table, "%s\t%s\t%d of %d\t%d\t%s\t%s\t%d of %d\n", b.Name, faults, found, runs,
			median.seeds, short(median.cpu), small.what, small.failed, replaysOfShrunk)
	}
	table.Flush()
	switch {
	case soft.Err() != nil:
		return exitCode(exitUnknown)
	case len(missed) > 0:
		fmt.Printf("not found at the median, or not in every replay of the smallest plan: %s\n", strings.Join(missed, ", "))
		return exitCode(exitInvalid)
	}
	return nil
}

func (s bugSearch) tally() int {
	if s.found {
		return 1
	}
	return 0
}

func searchBug(ctx, soft context.Context, p plan.Plan, b bug, first uint64, out string) (bugSearch, error) {
	s := bugSearch{first: first}
	begun := cputime.Used()
	for s.seeds < seedsPerSearch && !s.found && soft.Err() == nil {
		if s.last.Dir != "" {
			os.RemoveAll(s.last.Dir) // it found nothing
		}
		p.Seed = first + uint64(s.seeds)
		s.seeds++
		var err error
		s.last, err = search.TryBug(ctx, soft, p, b, runner.Options{Out: out, Stuck: becomeStuck})
		if err != nil {
			return s, fmt.Errorf("%s, seed %d: %w", b.Name, p.Seed, err)
		}
		s.found = s.last.Found
	}
	s.cpu = cputime.Used() - begun
	fmt.Fprintf(os.Stderr, "%s, seeds from %d: found=%t with %d seeds in %s of CPU time, after %s and %d operations: %s\n",
		b.Name, s.first, s.found, s.seeds, short(s.cpu), short(s.last.After), s.last.Operations, s.last.Dir)
	return s, nil
}

// shrinkFound shrinks the run in dir and replays the result.
func shrinkFound(ctx, soft context.Context, b bug, dir, out string) (shrunk, error) {
	o := runner.Options{Out: out, Stuck: becomeStuck}
	begun := cputime.Used()
	r, err := search.Shrink(ctx, soft, dir, search.ShrinkOptions{Options: o})
	if err != nil {
		return shrunk{}, fmt.Errorf("%s: shrink %s: %w", b.Name, dir, err)
	}
	s := shrunk{what: size(r.Plan)}
	for i := 0; i < replaysOfShrunk && soft.Err() == nil; i++ {
		again, err := search.Replay(ctx, soft, r.Dir, o)
		if err != nil {
			return s, fmt.Errorf("%s: replay %s: %w", b.Name, r.Dir, err)
		}
		if again.Differs == "" && again.Verdict.Valid == harness.Invalid {
			s.failed++
		}
		os.RemoveAll(again.Dir)
	}
	fmt.Fprintf(os.Stderr, "%s: shrunk in %d runs and %s of CPU time to %s; %d of %d replays fail: %s\n",
		b.Name, r.Runs, short(cputime.Used()-begun), s.what, s.failed, replaysOfShrunk, r.Dir)
	return s, nil
}
