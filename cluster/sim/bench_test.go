package sim_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/sim"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/internal/cputime"
)

// How much time passes in a world for a second of one core, and for how much
// work: clusters without anything to do, and with five clients.
func BenchmarkWorld(b *testing.B) {
	for _, nodes := range []int{3, 5} {
		for _, clients := range []int{0, 5} {
			b.Run(fmt.Sprintf("nodes=%d/clients=%d", nodes, clients), func(b *testing.B) {
				inWorld(b, 1, nodes, func(w *sim.World, c *sim.Cluster) error {
					ctx := context.Background()
					harness.Sleep(ctx, w, 5*time.Second)
					operations := 0
					for i := range clients {
						w.Start(func() {
							conn, err := raft.System{}.Open(c, fmt.Sprintf("n%d", i%nodes+1), cluster.Options{Client: fmt.Sprint(i)})
							if err != nil {
								b.Error(err)
								return
							}
							r := conn.(cluster.Register)
							for n := 0; ; n++ {
								bounded, cancel := w.WithTimeout(ctx, time.Second)
								if n%2 == 0 {
									err = r.Write(bounded, "k", int64(n))
								} else {
									_, err = r.Read(bounded, "k")
								}
								cancel()
								if err == nil {
									operations++
								}
								harness.Sleep(ctx, w, w.Now()+100*time.Millisecond)
							}
						})
					}
					const span = 10 * time.Second
					b.ResetTimer()
					var mem, memAfter runtime.MemStats
					runtime.ReadMemStats(&mem)
					before, events, calls := cputime.Used(), w.Events(), c.Calls()
					for range b.N {
						harness.Sleep(ctx, w, w.Now()+span)
					}
					spent := (cputime.Used() - before).Seconds()
					runtime.ReadMemStats(&memAfter)
					simulated := float64(b.N) * span.Seconds()
					b.ReportMetric(simulated/spent, "sim-s/cpu-s")
					b.ReportMetric(float64(operations)/simulated, "ops/sim-s")
					b.ReportMetric(float64(w.Events()-events)/simulated, "events/sim-s")
					b.ReportMetric(float64(c.Calls()-calls)/simulated, "calls/sim-s")
					b.ReportMetric(float64(memAfter.TotalAlloc-mem.TotalAlloc)/simulated, "hostB/sim-s")
					b.ReportMetric(float64(memAfter.Mallocs-mem.Mallocs)/simulated, "hostallocs/sim-s")
					return nil
				})
			})
		}
	}
}
