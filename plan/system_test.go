package plan

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/images"
)

// guest is a system that runs in images of its own.
type guest struct {
	raft.System
	images []string
	timing cluster.Timing
}

func (guest) Name() string { return "guest" }
func (g guest) Pod(n cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	p := g.System.Pod(n, all, o)
	p.Containers[0].Image = "guest"
	return p
}

func (g guest) Images(cluster.Options) (all []images.Recipe, err error) {
	for _, name := range g.images {
		all = append(all, images.Recipe{Name: name})
	}
	return all, nil
}
func (g guest) Timing(cluster.Options) cluster.Timing { return g.timing }

func TestVersionOfASystem(t *testing.T) {
	for name, want := range map[string][2]string{"etcd": {"etcd", ""}, "etcd@3.5.21": {"etcd", "3.5.21"}} {
		p := resolved(t, func(p *Plan) { p.System = name })
		if got := [2]string{p.System, p.Version}; got != want || p.Options().Version != want[1] {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if p := resolved(t, func(p *Plan) { p.System, p.Version = "etcd", "3.5.21" }); !strings.Contains(p.Command(), "--system etcd --workload register --system-version 3.5.21") {
		t.Error(p.Command())
	}
	if p := resolved(t, func(p *Plan) { p.System, p.Version = "etcd@3.5.21", "3.5.21" }); p.Version != "3.5.21" {
		t.Errorf("%q", p.Version)
	}
	for want, c := range map[string][2]string{
		"give the version once": {"etcd@3.5.21", "3.5.20"}, `the version "": give`: {"etcd@", ""}, "make node RAFT=1.3.5": {"raft@1.3.5", ""},
	} {
		p := Default()
		p.System, p.Version = c[0], c[1]
		if err := p.Resolve(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", c, err, want)
		}
	}
}

// What can't be run is said before anything starts.
func TestWhatCannotBeRun(t *testing.T) {
	one := guest{images: []string{"guest"}}
	for want, c := range map[string]struct {
		sys    cluster.System
		change func(*Plan)
	}{
		"simulated machines run the bundled system only (--system raft), and guest runs in containers: --backend docker": {one, func(p *Plan) { p.Backend = Simulated }},
		"raft on the backend docker runs in no image of its own":                                                         {raft.System{}, func(p *Plan) { p.Image = "x" }},
		"guest runs in 2 images":                                       {guest{images: []string{"a", "b"}}, func(p *Plan) { p.Image = "x" }},
		`there is no backend "moon"`:                                   {one, func(p *Plan) { p.Backend = "moon" }},
		"the fault crash:leader is impossible with the backend docker": {one, func(p *Plan) { p.Nemesis = []string{"crash:leader"} }},
	} {
		p := Default()
		c.change(&p)
		if err := p.ResolveFor(c.sys); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	p := Default()
	p.Image = "registry/guest:1"
	if err := p.ResolveFor(one); err != nil || p.System != "guest" {
		t.Errorf("%s: %v", p.System, err)
	}
}

func TestASlowSystemHasMoreTimeToServe(t *testing.T) {
	for _, c := range []struct {
		timing cluster.Timing
		want   time.Duration
	}{
		{cluster.Timing{}, 30 * time.Second},
		{cluster.Timing{Election: 50 * time.Second, Failover: time.Second}, 50 * time.Second},
		{cluster.Timing{Failover: 20 * time.Second}, 60 * time.Second},
	} {
		p := Default()
		if err := p.ResolveFor(guest{timing: c.timing}); err != nil || time.Duration(p.ServeWithin) != c.want {
			t.Errorf("%+v: %s, %v", c.timing, p.ServeWithin, err)
		}
	}
}

// Run directories of the time when there was one system don't say what its nodes tell.
func TestOldRunDirectories(t *testing.T) {
	var s Stored
	if err := json.Unmarshal([]byte(`{"plan":{"system":"raft"},"raft":"v1.7.3"}`), &s); err != nil {
		t.Fatal(err)
	}
	if err := s.Mend(); err != nil {
		t.Fatal(err)
	}
	if s.Release != "v1.7.3" || s.Lease == 0 || !s.Tells.Has(harness.Events) || !s.Tells.Has(harness.Digest) {
		t.Errorf("%+v", s)
	}
	for _, sys := range []cluster.System{raft.System{}, guest{}} {
		s := Stored{}
		s.Describe(sys)
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again Stored
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatal(err)
		}
		if err := again.Mend(); err != nil || !slices.Equal(again.Tells, s.Tells) || again.Tells == nil {
			t.Errorf("%v became %v, %v", s.Tells, again.Tells, err)
		}
	}
}
