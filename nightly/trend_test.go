package nightly

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var simulations = flag.Int("simulations", 3, "how many series of nights are simulated")

// simulatedNights are nights whose figures are drawn: each cell has a failover time of its own, which
// varies from night to night by a quarter, and now and then by much more; and on some nights the
// whole machine is slower. From the night slower on, failovers take 30 % longer.
func simulatedNights(r *rand.Rand, nights, cells, slower int) (all []Report) {
	base := make([]float64, cells)
	for i := range base {
		base[i] = math.Exp(0.7 * r.NormFloat64())
	}
	for n := range nights {
		report := Report{ID: fmt.Sprintf("%03d", n), Name: "a"}
		machine := 0.04 * r.NormFloat64()
		for i := range cells {
			noise := machine + 0.25*r.NormFloat64()
			if r.IntN(30) == 0 {
				noise += math.Abs(r.NormFloat64())
			}
			v := base[i] * math.Exp(noise)
			if n >= slower {
				v *= 1.3
			}
			report.Outcomes = append(report.Outcomes, Outcome{Cell: fmt.Sprint("c", i), System: fmt.Sprint("s", i%5), Backend: "sim", Workload: "register",
				Class: Expected, Says: "valid", Figures: Figures{OK: int(1000 * math.Exp(machine+0.1*r.NormFloat64())), Info: 10 + r.IntN(10), Load: 10,
					Failovers: []float64{v, v * 1.5}, Outage: v * 2 * math.Exp(0.3*r.NormFloat64())}})
		}
		all = append(all, report)
	}
	return all
}

// A failover that becomes slower by 30 % is marked within five nights, and unchanged code
// is not marked.
func TestTrendsOfSimulatedNights(t *testing.T) {
	const nights, cells, slower = 60, 100, 40
	found, falseCells, falseSystems := 0, 0, 0
	for i := range *simulations {
		r := rand.New(rand.NewPCG(uint64(i), 5))
		// Marks that any night of unchanged code shows, each counted once.
		seenCells, seenSystems := map[string]bool{}, map[string]bool{}
		all := simulatedNights(r, nights, cells, nights)
		for n := 8; n < nights; n++ {
			tr := trendsOf(all[n], all[:n])
			for name, own := range tr.Cells {
				for _, series := range own {
					for range series.Marks {
						seenCells[name+series.Metric.Name] = true
					}
				}
			}
			for _, series := range tr.Systems {
				for range series.Marks {
					seenSystems[series.Name+series.Metric.Name] = true
				}
			}
		}
		falseCells += len(seenCells)
		falseSystems += len(seenSystems)

		all = simulatedNights(r, slower+5, cells, slower)
		tr := trendsOf(all[len(all)-1], all[:len(all)-1])
		for _, series := range tr.Systems {
			if series.Metric.Short == "failover" && len(series.Marks) > 0 && series.Marks[len(series.Marks)-1].Worse && math.Abs(float64(series.Marks[len(series.Marks)-1].At-slower)) <= 1 {
				found++
			}
		}
	}
	t.Logf("%d of %d slowdowns of a system are marked; false marks in %d times 60 nights: %d in series of cells, %d in series of systems",
		found, 5**simulations, *simulations, falseCells, falseSystems)
	if float64(found) < 0.9*5*float64(*simulations) || falseCells+falseSystems > *simulations {
		t.Error("too few changes are marked, or too many that are none")
	}
}
