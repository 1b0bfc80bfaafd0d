// Package coup runs tests: it brings a system up, lets clients work while a
// nemesis breaks things, records every operation, and judges the history.
//
//	plan := coup.DefaultPlan()
//	plan.Seed = 7
//	if err := plan.Resolve(); err != nil { ... }
//	outcome, err := coup.Run(ctx, ctx, plan, coup.RunOptions{Out: "runs"})
//
// The way data takes: a [Plan] is resolved and stored; a cluster comes up;
// package harness runs the load of a workload against it while package nemesis
// carries the schedule out; history and events are written as they happen; the
// cluster is healed, read once more, and removed. [Judge] then starts from the
// files alone: it reads the history back, runs the checkers, and writes the
// verdict and the report.
package coup
