package search

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/systems"
	"coup/nemesis"
	"coup/plan"
	"coup/workloads"
)

func nothing(string) bool { return false }

func unexplored(system, backend string, seed uint64) plan.Plan {
	p := plan.Default()
	p.System, p.Backend, p.Seed, p.Time = system, backend, seed, plan.Duration(20*time.Second)
	return p
}

// What is drawn can be run, is the same each time, and leaves nothing out for good.
func TestExplore(t *testing.T) {
	for _, c := range []struct{ system, backend string }{{"raft", plan.Simulated}, {"raft", plan.Docker}, {"etcd", plan.Docker}, {"redis", plan.Docker}} {
		used, loads, settings := map[string]bool{}, map[string]bool{}, map[string]bool{}
		for seed := range uint64(400) {
			p, err := Explore(unexplored(c.system, c.backend, seed), nothing)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := Explore(unexplored(c.system, c.backend, seed), nothing)
			if !reflect.DeepEqual(p, again) {
				t.Fatalf("%s, seed %d: drawn twice as\n%+v\n%+v", c.system, seed, p, again)
			}
			if err := p.Resolve(); err != nil {
				t.Fatalf("%s, seed %d: %v", p.Command(), seed, err)
			}
			for _, n := range p.Nemesis {
				spec, err := nemesis.ParseSpec(n)
				if err != nil {
					t.Fatal(err)
				}
				used[spec.Fault] = true
			}
			for _, w := range workloads.Split(p.Workload) {
				loads[w] = true
			}
			for name := range p.Settings {
				settings[name] = true
			}
		}
		sys, err := systems.Find(c.system)
		if err != nil {
			t.Fatal(err)
		}
		faults := 0 // that the system can have
		for _, f := range nemesis.Faults {
			if f.Needs == nil || f.Needs(sys, 5, cluster.Options{}) == nil {
				faults++
			}
		}
		if c.backend == plan.Simulated && (len(used) != faults || faults < 20) {
			t.Errorf("%d of %d faults were drawn", len(used), faults)
		}
		if len(used) < 8 || len(loads) < 5 {
			t.Errorf("%s: the faults %v and the workloads %v were drawn", c.system, used, loads)
		}
		if len(settings) == 0 && c.system == "raft" {
			t.Error("no setting was drawn")
		}
	}
}

// What is named stays, and the rest is drawn as if it were not.
func TestExploreKeepsWhatIsNamed(t *testing.T) {
	for seed := range uint64(50) {
		free, err := Explore(unexplored("raft", plan.Simulated, seed), nothing)
		if err != nil {
			t.Fatal(err)
		}
		p := unexplored("raft", plan.Simulated, seed)
		p.Workload, p.Nodes, p.Settings = "queue", 7, map[string]string{"trailing": "77"}
		fixed, err := Explore(p, func(field string) bool {
			return slices.Contains([]string{"workload", "nodes", "pause-every", "pause-for"}, field)
		})
		if err != nil {
			t.Fatal(err)
		}
		if fixed.Workload != "queue" || fixed.Nodes != 7 || fixed.Settings["trailing"] != "77" || fixed.PauseEvery != 0 || p.Settings["forward"] != "" {
			t.Errorf("what was named became %+v", fixed)
		}
		if !slices.Equal(fixed.Nemesis, free.Nemesis) || fixed.Rate != free.Rate || fixed.Interval != free.Interval {
			t.Errorf("seed %d: drawn\n%+v\nand without names\n%+v", seed, fixed, free)
		}
	}
	p := unexplored("raft", plan.Simulated, 1)
	p.Operations = []plan.Operation{{}}
	if _, err := Explore(p, nothing); err == nil || !strings.Contains(err.Error(), "leaves nothing to explore") {
		t.Error(err)
	}
}
