package runner

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"coup/cluster/sim"
	"coup/harness/timeline"
	"coup/internal/cputime"
	"coup/internal/testnode"
	"coup/judge"
	"coup/nemesis"
	"coup/plan"
)

// How much simulated time a second of one core is worth in a whole run, from the
// plan to the report: with five clients that ask 47 times a second, without
// faults and with all that there are. BenchmarkWorld in cluster/sim has the rest.
func BenchmarkSimulated(b *testing.B) {
	b.Setenv(sim.NodeVariable, testnode.File(b, testnode.Node))
	if _, err := usual(); err != nil {
		b.Fatal(err)
	}
	all := slices.DeleteFunc(nemesis.FaultNames(), func(name string) bool { return name == "promote" || name == "rotate" }) // of other systems, and with keys
	for _, nodes := range []int{3, 5} {
		for _, faults := range [][]string{{}, all} {
			b.Run(fmt.Sprintf("nodes=%d/faults=%d", nodes, len(faults)), func(b *testing.B) {
				ctx := context.Background()
				var simulated, real, spent time.Duration
				strikes := 0
				for range b.N {
					p := plan.Default()
					p.Backend, p.Nodes, p.Nemesis, p.Seed = "sim", nodes, faults, 1
					p.Concurrency, p.Rate, p.Time = 5, 47, plan.Duration(time.Minute)
					if err := p.Resolve(); err != nil {
						b.Fatal(err)
					}
					strikes = len(p.Schedule)
					start, before := time.Now(), cputime.Used()
					dir, _, err := Run(ctx, ctx, p, Options{Out: b.TempDir()})
					if err != nil {
						b.Fatal(err)
					}
					real, spent = real+time.Since(start), spent+cputime.Used()-before
					_, h, _, err := judge.Read(dir)
					if err != nil {
						b.Fatal(err)
					}
					simulated += timeline.LastEvent(h)
				}
				b.ReportMetric(simulated.Seconds()/spent.Seconds(), "sim-s/cpu-s")
				b.ReportMetric(simulated.Seconds()/real.Seconds(), "sim-s/s")
				b.ReportMetric(float64(strikes), "strikes")
			})
		}
	}
}
