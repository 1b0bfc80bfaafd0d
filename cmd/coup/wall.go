package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"coup/cluster"
	"coup/cluster/systems"
	"coup/nemesis"
	"coup/plan"
	"coup/results"
	"coup/runner"
	"coup/search"
)

type bug = cluster.Bug

func newWall(soft context.Context) *cobra.Command {
	p := plan.Default()
	p.Time = plan.Duration(time.Minute)
	p.Seed = 1
	var (
		runs int
		only []string
		out  string
	)
	cmd := &cobra.Command{
		Use:   "wall",
		Short: "Plant every bug of a system, one by one, and see whether coup finds it",
		Long: `Run every planted bug with the workload and the faults that should expose it,
several times, until it is found or the time is over. If the median run does not
find a bug within --time, coup has missed it.

On simulated machines, a search tries one seed after the other; several searches
start at different seeds. The run that was found is shrunk. The smallest plan is
replayed three times, and must show the violation each time.

Exit codes: 0 every bug was found at the median (and its smallest plan failed in
every replay), 1 one was not, 254 wrong usage, 255 coup itself or its environment
failed.`,
		Example: `  coup wall
  coup wall --runs 1 --bugs lost-log,early-ack
  coup wall --backend sim --runs 5`,
		Args: usageArgs(cobra.NoArgs),
	}
	f := cmd.Flags()
	f.IntVar(&runs, "runs", 5, "runs of each bug; with --backend sim, first seeds")
	f.StringSliceVar(&only, "bugs", nil, "only these bugs")
	f.StringVar(&out, "out", "runs", "make the run directories in this folder")
	f.StringVar(&p.System, "system", p.System, "the system under test")
	f.StringVar(&p.Backend, "backend", p.Backend, "where the nodes run (see coup run --help)")
	f.TextVar(&p.Time, "time", p.Time, "how long a run may look for the bug")
	f.Uint64Var(&p.Seed, "seed", p.Seed, "seed of the first run of each bug")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		sys, err := systems.Find(p.System)
		if err != nil {
			return usageError{err}
		}
		bugs := cluster.BugsOf(sys)
		for _, name := range only {
			if !slices.ContainsFunc(bugs, func(b bug) bool { return b.Name == name }) {
				return usageError{fmt.Errorf("%s has no bug %q (see coup list)", p.System, name)}
			}
			if p.Backend != "sim" && slices.ContainsFunc(bugs, func(b bug) bool { return b.Name == name && simOnly(b) }) {
				return usageError{fmt.Errorf("%s shows only with --backend sim", name)}
			}
		}
		if runs < 1 {
			return usageError{fmt.Errorf("runs must be 1 or more, not %d", runs)}
		}
		bugs = slices.DeleteFunc(slices.Clone(bugs), func(b bug) bool {
			return len(only) > 0 && !slices.Contains(only, b.Name) || p.Backend != "sim" && simOnly(b)
		})
		defer results.MendLatest(out)
		if p.Backend == "sim" {
			return wallSim(cmd.Context(), soft, p, bugs, runs, out)
		}
		return wall(cmd.Context(), soft, p, bugs, runs, out)
	}
	return cmd
}

// simOnly says whether a bug shows only under faults that containers don't have.
func simOnly(b bug) bool {
	return slices.ContainsFunc(b.Nemesis, func(s string) bool {
		spec, err := nemesis.ParseSpec(s)
		return err == nil && nemesis.Faults[spec.Fault].Asks != ""
	})
}

func wall(ctx, soft context.Context, p plan.Plan, bugs []bug, runs int, out string) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "bug\tworkload and faults\tfound\tmedian time\tmedian operations\tevery time")
	var missed []string
	for _, b := range bugs {
		var tries []search.Try
		for i := range runs {
			p := p
			p.Seed = p.Seed + uint64(i)
			t, err := search.TryBug(ctx, soft, p, b, runner.Options{Out: out})
			if err != nil {
				return fmt.Errorf("%s, seed %d: %w", b.Name, p.Seed, err)
			}
			if soft.Err() != nil {
				break
			}
			fmt.Fprintf(os.Stderr, "%s, seed %d: found=%t after %v, %d operations: %s\n",
				b.Name, t.Seed, t.Found, short(t.After), t.Operations, t.Dir)
			tries = append(tries, t)
		}
		if len(tries) == 0 {
			break
		}
		if !row(table, b, tries) {
			missed = append(missed, b.Name)
		}
	}
	table.Flush()
	switch {
	case soft.Err() != nil:
		return exitCode(exitUnknown)
	case len(missed) > 0:
		fmt.Printf("not found at the median: %s\n", strings.Join(missed, ", "))
		return exitCode(exitInvalid)
	}
	return nil
}

// row writes the line of a bug. It reports whether the median run found it.
func row(table *tabwriter.Writer, b bug, tries []search.Try) bool {
	// A run that did not find the bug took longer than any that did.
	slices.SortStableFunc(tries, func(a, b search.Try) int {
		switch {
		case a.Found != b.Found && a.Found:
			return -1
		case a.Found != b.Found:
			return 1
		}
		return int(a.After - b.After)
	})
	found := 0
	var times []string
	for _, t := range tries {
		if t.Found {
			found++
			times = append(times, short(t.After))
		} else {
			times = append(times, "-")
		}
	}
	median := tries[(len(tries)-1)/2]
	at, operations := "-", "-"
	if median.Found {
		at, operations = short(median.After), fmt.Sprint(median.Operations)
	}
	fmt.Fprintf(table, "%s\t%s, %s\t%d of %d\t%s\t%s\t%s\n",
		b.Name, b.Workload, strings.Join(b.Nemesis, " "), found, len(tries), at, operations, strings.Join(times, " "))
	return median.Found
}

// short is a duration for a table.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
