// Package coup holds no code of its own. A test runs through these rooms, each of
// which imports only what stands above it:
//
//   - harness: operations, histories, events and verdicts, and the loop of clients
//   - cluster: what a system under test and a cluster of it are; its backends
//   - checker: what is promised, and whether a history keeps it
//   - nemesis and workloads: what is broken, and what clients ask for
//   - plan: a run as data
//   - judge: from a run directory to a verdict and a report
//   - runner: carries a plan out on a backend, and has it judged
//   - search: many runs: hunt, replay, shrink, and the planted bugs
//   - nightly: many plans, night after night: what is new
//   - cmd/coup: the command line
//
// Start with README.md, and the chapters in docs/. To run a test from Go:
//
//	p := plan.Default()
//	p.Seed = 7
//	if err := p.Resolve(); err != nil { ... }
//	dir, verdict, err := runner.Run(ctx, ctx, p, runner.Options{Out: "runs"})
package coup
