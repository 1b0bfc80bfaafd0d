package search

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"coup/cluster"
	"coup/cluster/systems"
	"coup/nemesis"
	"coup/plan"
	"coup/workloads"
)

// Explore draws from the plan's seed what nobody has named: the workload, the faults and
// how often they strike, the settings of the system, the size of the cluster and the
// load. named reports whether a field of the plan stays as it is, by the name of its
// flag. What is drawn is what system and backend can do. The same seed draws the same.
//
// Only the settings that the system says are worth trying are drawn ([cluster.Tunable]);
// its release and its mode of reads, and what it promises, stay as they are.
func Explore(p plan.Plan, named func(field string) bool) (plan.Plan, error) {
	if p.Operations != nil || p.Schedule != nil {
		return p, errors.New("a plan that lists operations or strikes leaves nothing to explore")
	}
	sys, err := systems.Find(p.System)
	if err != nil {
		return p, err
	}
	d := drawing{rand.New(rand.NewPCG(p.Seed, 0xe8)), named}
	if can, err := workloads.Supported(sys, p.Options()); err != nil {
		return p, err
	} else if one := can[d.IntN(len(can))]; d.IntN(3) == 0 { // drawn in any case: what is named must not change the rest
		draw(d, "workload", &p.Workload, plan.AllWorkloads)
	} else {
		draw(d, "workload", &p.Workload, one)
	}
	draw(d, "nodes", &p.Nodes, 3, 3, 5)
	draw(d, "rate", &p.Rate, 20, 50, 100, 200)
	draw(d, "concurrency", &p.Concurrency, 5, 10, 20)
	draw(d, "keys", &p.Keys, 1, 3, 5, 10)
	draw(d, "ops-per-key", &p.OpsPerKey, 20, 200, 1000)
	every := plan.Duration(0)
	draw(d, "pause-every", &every, 0, 0, 0, 3*plan.Duration(time.Second))
	if every > 0 && !named("pause-for") {
		p.PauseEvery, p.PauseFor = every, plan.Duration(time.Second)
	}
	if tunable, ok := sys.(cluster.Tunable); ok {
		all := tunable.Tunings()
		p.Settings = maps.Clone(p.Settings)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			value := all[name][d.IntN(len(all[name]))]
			if _, given := p.Settings[name]; d.IntN(3) == 0 && !given {
				if p.Settings == nil {
					p.Settings = map[string]string{}
				}
				p.Settings[name] = value
			}
		}
	}
	if err := d.faults(&p, sys); err != nil {
		return p, err
	}
	second := plan.Duration(time.Second)
	draw(d, "interval", &p.Interval, 0, 0, 2*second, 5*second, 10*second)
	p.Interval = min(p.Interval, p.Time/2)
	return p, nil
}

// drawing is the drawing of one plan.
type drawing struct {
	*rand.Rand
	named func(string) bool
}

// draw draws a field, one of these values.
func draw[T any](d drawing, field string, to *T, values ...T) {
	v := values[d.IntN(len(values))]
	if !d.named(field) {
		*to = v
	}
}

// mostDrawn is the most faults that are drawn for a plan. With more at a time, one hides
// what another would show.
const mostDrawn = 4

// faults draws some of those that system and backend have.
func (d drawing) faults(p *plan.Plan, sys cluster.System) error {
	can, err := plan.Capabilities(p.Backend)
	if err != nil {
		return err
	}
	targets := map[string][]nemesis.Spec{} // by fault
	for _, name := range nemesis.FaultNames() {
		f := nemesis.Faults[name]
		for _, target := range f.Targets {
			if spec := (nemesis.Spec{Fault: name, Target: target}); f.Available(spec, sys, can, p.Nodes, p.Options()) == nil {
				targets[name] = append(targets[name], spec)
			}
		}
	}
	all := slices.Sorted(maps.Keys(targets))
	if len(all) == 0 {
		return fmt.Errorf("%s has no fault that can be drawn on the backend %s", sys.Name(), p.Backend)
	}
	drawn := []string{}
	for range 1 + d.IntN(mostDrawn) {
		of := targets[all[d.IntN(len(all))]]
		if spec := of[d.IntN(len(of))].String(); !slices.Contains(drawn, spec) {
			drawn = append(drawn, spec)
		}
	}
	if !d.named("nemesis") {
		p.Nemesis = drawn
	}
	return nil
}
