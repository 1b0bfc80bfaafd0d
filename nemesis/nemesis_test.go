package nemesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"coup/cluster"
	"coup/harness"
)

// fake is a cluster in memory that keeps book of what is broken.
type fake struct {
	rotated, withdrawn int

	mu       sync.Mutex
	names    []string
	dead     map[string]bool
	frozen   map[string]bool
	cuts     []cluster.Cut
	leader   string
	roles    map[string]string
	term     uint64
	out      map[string]cluster.Suffrage // of those that are no voters
	mostOut  int                         // at a time, of all times
	asked    int                         // how often members were changed, or asked to be
	stubborn bool                        // faults do not bite
	proving  time.Duration               // how long a probe takes
	refuse   func() error                // what a change of members comes to; nil: it succeeds
	one      bool                        // one member without a vote at a time
	fleeting bool                        // the leader leads until it has said so once
}

func newFake(n int) *fake {
	f := &fake{dead: map[string]bool{}, frozen: map[string]bool{}, leader: "n1", term: 1, out: map[string]cluster.Suffrage{}}
	for i := range n {
		f.names = append(f.names, fmt.Sprintf("n%d", i+1))
	}
	return f
}

func (f *fake) Nodes() (all []cluster.Node) {
	for _, n := range f.names {
		all = append(all, cluster.Node{Name: n, Role: f.roles[n]})
	}
	return all
}

func (f *fake) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("not here")
}
func (f *fake) DialAddress(context.Context, string) (net.Conn, error) {
	return nil, errors.New("not here")
}
func (f *fake) Exec(context.Context, string, string, ...string) ([]byte, error) {
	return nil, errors.New("not here")
}
func (f *fake) Close(context.Context) error { return nil }

func (f *fake) put(m map[string]bool, node string, v bool) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stubborn {
		return "", errors.New("the process is still there")
	}
	if m[node] == v {
		return "", fmt.Errorf("%s was so already", node)
	}
	m[node] = v
	return node + " is broken", nil
}

func (f *fake) SetClock(_ context.Context, n string, jump time.Duration, drift int64) (string, error) {
	return f.impair("clock", n, jump != 0 || drift != 0)
}

func (f *fake) SetDisk(_ context.Context, n string, d cluster.DiskFault) (string, error) {
	return f.impair("disk", n, d != (cluster.DiskFault{}))
}

func (f *fake) SetCPU(_ context.Context, n string, slow int) (string, error) {
	return f.impair("processor", n, slow > 1)
}

func (f *fake) Ping(_ context.Context, from, to string, size int) (d time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.cuts {
		if c.From == from && c.To == to {
			d += c.Delay
			if c.Rate > 0 {
				d += time.Duration(size+1) * time.Second / time.Duration(c.Rate)
			}
		}
	}
	return d, nil
}

func (f *fake) Connections(_ context.Context, from, to string) (open int, refused bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.cuts {
		if c.Reset && c.From == from && c.To == to {
			return 0, true, nil
		}
	}
	return 1, false, nil
}

func (f *fake) Rot(_ context.Context, n string) (string, error) { return f.impair("bits", n, true) }
func (f *fake) Unrot(_ context.Context, n string) error {
	_, err := f.impair("bits", n, false)
	return err
}

// impair puts a part of a node out of order, or in order again.
func (f *fake) impair(part, node string, on bool) (string, error) {
	if on {
		return f.put(f.frozen, part+" "+node, true)
	}
	f.put(f.frozen, part+" "+node, false)
	return "", nil
}

func (f *fake) Crash(_ context.Context, node string) (string, error) {
	return f.put(f.dead, node, true)
}
func (f *fake) Kill(_ context.Context, n string) (string, error)  { return f.put(f.dead, n, true) }
func (f *fake) Stop(_ context.Context, n string) (string, error)  { return f.put(f.dead, n, true) }
func (f *fake) Pause(_ context.Context, n string) (string, error) { return f.put(f.frozen, n, true) }
func (f *fake) Start(_ context.Context, n string) error           { f.put(f.dead, n, false); return nil }
func (f *fake) Resume(_ context.Context, n string) error          { f.put(f.frozen, n, false); return nil }

func (f *fake) SetCuts(_ context.Context, cuts []cluster.Cut) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.stubborn {
		f.cuts = slices.Clone(cuts)
	}
	return nil
}

func (f *fake) Probe(_ context.Context, from, to string) (float64, error) {
	time.Sleep(f.proving)
	f.mu.Lock()
	defer f.mu.Unlock()
	share := 1.0
	for _, c := range f.cuts {
		if c.From == from && c.To == to {
			share *= 1 - c.Loss
		}
	}
	return share, nil
}

// System: the fake is its own.
type fakeSystem struct{ *fake }

func (fakeSystem) Name() string { return "fake" }
func (fakeSystem) Pod(cluster.Node, []cluster.Node, cluster.Options) cluster.Pod {
	return cluster.Pod{}
}
func (fakeSystem) Tells() harness.Facts        { return harness.Facts{harness.Leader, harness.Term} }
func (fakeSystem) Check(cluster.Options) error { return nil }
func (fakeSystem) Open(cluster.Access, string, cluster.Options) (cluster.Conn, error) {
	return nil, errors.New("not here")
}
func (s fakeSystem) Status(_ context.Context, _ cluster.Access, node string) (cluster.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead[node] || s.frozen[node] {
		return cluster.Status{}, errors.New("no answer")
	}
	st := cluster.Status{Node: node, Role: "follower", Term: s.term, Leader: s.leader}
	if node == s.leader {
		st.Role = "leader"
		if s.fleeting {
			s.leader = ""
		}
	}
	return st, nil
}

func (fakeSystem) CanRotate(o cluster.Options) error {
	if o.Settings["keys"] == "none" {
		return errors.New("there are no keys")
	}
	return nil
}

func (s fakeSystem) Rotate(context.Context, cluster.Cluster) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rotated++; s.stubborn {
		return "", errors.New("no node shows them")
	}
	return "new keys", nil
}

func (s fakeSystem) Withdraw(context.Context, cluster.Cluster) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.withdrawn++
	return nil
}

func (s fakeSystem) TransferLeader(_ context.Context, _ cluster.Access, leader, to string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stubborn:
		return "", errors.New("no answer")
	case s.refuse != nil:
		return "", s.refuse()
	case leader != s.leader || s.dead[leader]:
		return "", fmt.Errorf("%w: %s does not lead", harness.ErrFail, leader)
	case s.dead[to] || s.out[to] != "":
		return to + " does not answer", nil
	}
	s.leader = to
	s.term++
	return "", nil
}

func (s fakeSystem) CanSetMember(o cluster.Options) error {
	if o.Image != "" {
		return errors.New("not in this image")
	}
	return nil
}

func (s fakeSystem) SetMember(_ context.Context, _ cluster.Access, leader, node string, as cluster.Suffrage) (m cluster.Members, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	switch {
	case s.stubborn:
		return m, errors.New("no answer")
	case leader != s.leader:
		return m, fmt.Errorf("%w: %s does not lead", harness.ErrFail, leader)
	case s.refuse != nil:
		if err := s.refuse(); err != nil {
			return m, err
		}
	}
	for other, is := range s.out {
		if s.one && is == cluster.Nonvoter && other != node && s.out[node] == cluster.Absent {
			return m, fmt.Errorf("%w: too many learners", harness.ErrFail)
		}
	}
	if s.out[node] = as; as == cluster.Voter {
		delete(s.out, node)
	}
	s.mostOut = max(s.mostOut, len(s.out))
	for _, name := range s.names {
		switch s.out[name] {
		case "":
			m.Voters = append(m.Voters, name)
		case cluster.Nonvoter:
			m.Nonvoters = append(m.Nonvoters, name)
		}
	}
	return m, nil
}

// carryOut runs the schedule and returns the events, in the order of recording.
func carryOut(t *testing.T, f *fake, schedule ...Entry) []harness.Event {
	t.Helper()
	return carryOutUntil(t, context.Background(), f, schedule...)
}

func carryOutUntil(t *testing.T, ctx context.Context, f *fake, schedule ...Entry) []harness.Event {
	t.Helper()
	var mu sync.Mutex
	var events []harness.Event
	n := &Nemesis{Cluster: f, System: fakeSystem{f}, Runtime: harness.NewRuntime(), patience: time.Second, Record: func(e harness.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}}
	n.Run(ctx, schedule)
	if !f.stubborn {
		if len(f.out) != 0 {
			t.Errorf("no voters after the schedule: %v", f.out)
		}
		if len(f.cuts) != 0 || slices.Contains(values(f.dead), true) || slices.Contains(values(f.frozen), true) {
			t.Errorf("still broken after the schedule: cuts %v, dead %v, frozen %v", f.cuts, f.dead, f.frozen)
		}
		if err := n.Heal(context.Background()); err != nil {
			t.Errorf("heal: %v", err)
		}
		if err := n.Reinstate(context.Background()); err != nil {
			t.Errorf("reinstate: %v", err)
		}
	}
	return events
}

func values(m map[string]bool) (vs []bool) {
	for _, v := range m {
		vs = append(vs, v)
	}
	return vs
}

func kinds(events []harness.Event) string {
	var ks []string
	for _, e := range events {
		ks = append(ks, e.Kind)
	}
	return strings.Join(ks, " ")
}

// faultsOfTheFake are all faults but promote, which a system with elections can't have.
func faultsOfTheFake() []string {
	return slices.DeleteFunc(FaultNames(), func(name string) bool { return name == "promote" })
}

func TestEveryFaultAtEveryTarget(t *testing.T) {
	for _, name := range faultsOfTheFake() {
		for _, target := range Faults[name].Targets {
			t.Run(name+":"+target, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					events := carryOut(t, newFake(5), Entry{For: 20 * time.Millisecond, Fault: name, Target: target, Seed: 3})
					if kinds(events) != "start hold end" {
						t.Fatalf("events %v", events)
					}
					start, hold, end := events[0], events[1], events[2]
					if len(start.Nodes) == 0 || hold.Message == "" || end.Message != "" {
						t.Errorf("start %+v, hold %+v, end %+v: want victims, evidence and a clean end", start, hold, end)
					}
					if target == Leader && !slices.Equal(start.Nodes, []string{"n1"}) {
						t.Errorf("victims %v, want the leader n1", start.Nodes)
					}
					if name == "transfer" {
						return // what is struck is the leader, for a moment
					}
					if target == Follower && slices.Contains(start.Nodes, "n1") {
						t.Errorf("victims %v, but n1 leads", start.Nodes)
					}
					if lasted := end.Time - start.Time; lasted != 20*time.Millisecond {
						t.Errorf("lasted for %v, want 20ms", lasted)
					}
				})
			})
		}
	}
}

// A strike's time counts from the start of its application: a replay of a
// schedule has it healed at the same moment, however long the proof takes. But
// nothing is healed before it was seen to bite.
func TestAStrikeIsHealedWhenTheScheduleSays(t *testing.T) {
	for proving, want := range map[time.Duration]string{
		0:                     "start 10ms, hold 10ms, end 30ms, ",
		15 * time.Millisecond: "start 10ms, hold 25ms, end 30ms, ",
		50 * time.Millisecond: "start 10ms, hold 60ms, end 60ms, ",
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(3)
			f.proving = proving
			got := ""
			for _, e := range carryOut(t, f, Entry{At: 10 * time.Millisecond, For: 20 * time.Millisecond, Fault: "partition", Target: Leader}) {
				got += fmt.Sprintf("%s %v, ", e.Kind, e.Time)
			}
			if got != want {
				t.Errorf("a proof that takes %v: %s, want %s", proving, got, want)
			}
		})
	}
}

func TestAFaultThatDoesNotBiteIsAMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range faultsOfTheFake() {
			f := newFake(5)
			f.stubborn = true
			events := carryOut(t, f, Entry{For: time.Millisecond, Fault: name, Target: Random, Seed: 3})
			want := "start miss end"
			if Faults[name].Needs != nil && name != "rotate" { // what a leader does not do, nobody may have heard of
				want = "start skip end"
			}
			if kinds(events) != want {
				t.Errorf("%s: events %v, want %s", name, events, want)
			}
		}
	})
}

func TestALeaderThatIsNotThereIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		f.leader = ""
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		strike := Entry{For: 10 * time.Millisecond, Fault: "kill", Target: Leader}
		if events := carryOutUntil(t, ctx, f, strike); kinds(events) != "skip" {
			t.Errorf("events %v, want a skip when the run ends and nobody has led", events)
		}
		time.AfterFunc(100*time.Millisecond, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.leader = "n2"
		})
		events := carryOut(t, f, strike)
		if kinds(events) != "start hold end" || !slices.Equal(events[0].Nodes, []string{"n2"}) {
			t.Errorf("events %v, want a strike at n2, which led late", events)
		}
	})
}

// A strike that has waited for long gets a leader, even if other strikes were faster.
func TestAPatientStrikeTakesTheLeaderThatAnotherFinds(t *testing.T) {
	f := newFake(3)
	f.leader, f.fleeting = "", true
	ctx, cancel := context.WithTimeout(context.Background(), leaderless+time.Second)
	defer cancel()
	time.AfterFunc(leaderless+300*time.Millisecond, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.leader = "n2"
	})
	schedule := []Entry{{For: 10 * time.Millisecond, Fault: "slow-cpu", Target: Leader}}
	for i := range 20 {
		schedule = append(schedule, Entry{At: leaderless + time.Duration(i)*time.Millisecond, For: 10 * time.Millisecond, Fault: "kill", Target: Leader})
	}
	struck := 0
	for _, e := range carryOutUntil(t, ctx, f, schedule...) {
		if e.Kind == harness.FaultHold && e.Fault == "slow-cpu" && slices.Equal(e.Nodes, []string{"n2"}) {
			struck++
		}
	}
	if struck != 1 {
		t.Errorf("the strike that had waited for %v struck n2 %d times", leaderless, struck)
	}
}

func TestStrikesOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(5)
		long := 300 * time.Millisecond
		events := carryOut(t, f,
			Entry{For: long, Fault: "kill", Target: All, Seed: 1},
			Entry{At: 50 * time.Millisecond, For: long, Fault: "pause", Target: Random, Seed: 2}, // waits for one that is not dead
			Entry{For: long, Fault: "partition", Target: Halves, Seed: 3},
			Entry{At: 50 * time.Millisecond, For: 50 * time.Millisecond, Fault: "oneway", Target: Ring, Seed: 4},
		)
		byKind, order := map[string]int{}, ""
		for _, e := range events {
			byKind[e.Kind]++
			if e.Fault == "kill" || e.Fault == "pause" {
				order += e.Fault + " " + e.Kind + ", "
			}
		}
		if byKind[harness.FaultHold] != 4 || byKind[harness.FaultEnd] != 4 || len(events) != 12 {
			t.Errorf("events %v, want four faults that hold", byKind)
		}
		if order != "kill start, kill hold, kill end, pause start, pause hold, pause end, " {
			t.Errorf("%s: want the pause to wait until somebody is alive", order)
		}
	})
}

// A random node is one whose disk no other strike has, while there is any.
func TestRandomFindsAFreePart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		long := 600 * time.Millisecond
		var schedule []Entry
		for i := range 4 {
			schedule = append(schedule, Entry{At: time.Duration(i) * 20 * time.Millisecond, For: long, Fault: "slow-disk", Target: Random, Seed: 1})
		}
		byKind := map[string]int{}
		struck := map[string]bool{}
		now, most := 0, 0
		for _, e := range carryOut(t, f, schedule...) {
			byKind[e.Kind]++
			switch e.Kind {
			case harness.FaultStart:
				now++
				most = max(most, now)
			case harness.FaultEnd:
				now--
			}
			if e.Kind == harness.FaultHold {
				struck[e.Nodes[0]] = true
			}
		}
		if byKind[harness.FaultSkip] != 0 || len(struck) != 3 || most != 3 {
			t.Errorf("%v, struck %v, %d at once: want every node's disk struck, and then one of them again", byKind, struck, most)
		}
	})
}

func TestSeparate(t *testing.T) {
	for size := 2; size <= 9; size++ {
		var all []string
		for i := range size {
			all = append(all, fmt.Sprint(i))
		}
		sees := func(target string) map[string][]string {
			cut := map[[2]string]bool{}
			for _, p := range separate(target, all, all) {
				if p[0] == p[1] || cut[p] || cut[[2]string{p[1], p[0]}] {
					t.Errorf("%s of %d: the pair %v makes no sense or stands twice", target, size, p)
				}
				cut[p] = true
			}
			seen := map[string][]string{}
			for _, a := range all {
				for _, b := range all {
					if !cut[[2]string{a, b}] && !cut[[2]string{b, a}] {
						seen[a] = append(seen[a], b)
					}
				}
			}
			return seen
		}
		majority := size/2 + 1
		views := map[string]bool{}
		for node, seen := range sees(Ring) {
			if len(seen) < majority {
				t.Errorf("ring of %d: %s sees only %v", size, node, seen)
			}
			views[strings.Join(seen, " ")] = true
		}
		if size >= 5 && len(views) != size {
			t.Errorf("ring of %d: %d different views, want each its own", size, len(views))
		}
		for node, seen := range sees(All) {
			if len(seen) != 1 {
				t.Errorf("all of %d: %s sees %v, want itself alone", size, node, seen)
			}
		}
		groups := map[int]int{}
		for _, seen := range sees(Halves) {
			groups[len(seen)]++
		}
		if groups[size/2] == 0 && size%2 == 0 || groups[size-size/2] == 0 {
			t.Errorf("halves of %d: group sizes %v", size, groups)
		}
		if size >= 3 {
			everything := 0
			for _, seen := range sees(Bridge) {
				if len(seen) == size {
					everything++
				}
			}
			if everything != 1 {
				t.Errorf("bridge of %d: %d nodes see everybody, want one", size, everything)
			}
		}
	}
}

func TestScheduleIsDeterminedByItsSeed(t *testing.T) {
	specs := []Spec{{"kill", Leader}, {"partition", Halves}}
	draw := func(seed uint64) []Entry { return Schedule(specs, seed, 0, time.Minute, Pace{}) }
	if !slices.Equal(draw(7), draw(7)) {
		t.Error("the same seed drew two schedules")
	}
	if slices.Equal(draw(7), draw(8)) {
		t.Error("two seeds drew the same schedule")
	}
}

func TestScheduleStrikesEverySpec(t *testing.T) {
	var specs []Spec
	for _, f := range FaultNames() {
		specs = append(specs, Spec{f, Random})
	}
	for seed := range uint64(100) { // also where the interval leaves hardly any room
		for _, total := range []time.Duration{time.Second, 10 * time.Second, 30 * time.Second} {
			schedule := Schedule(specs[:2], seed, time.Minute, total, Pace{})
			if len(schedule) != 2 {
				t.Errorf("seed %d: %d strikes of 2 faults in %v at an interval of a minute", seed, len(schedule), total)
			}
			for _, e := range schedule {
				if e.At < 0 || e.For <= 0 || e.At+e.For > total {
					t.Errorf("seed %d: %+v does not fit into %v", seed, e, total)
				}
			}
		}
	}
	for _, total := range []time.Duration{5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 10 * time.Minute} {
		for n := 1; n <= len(specs); n++ {
			for seed := range uint64(20) {
				schedule := Schedule(specs[:n], seed, 0, total, Pace{})
				struck := map[string]bool{}
				active := 0.0
				for _, e := range schedule {
					struck[e.Fault] = true
					active += e.For.Seconds()
					if e.At < 0 || e.For < 200*time.Millisecond || e.At+e.For > total {
						t.Fatalf("%+v does not fit into %v", e, total)
					}
				}
				if len(struck) != n {
					t.Errorf("%v, %d specs, seed %d: only %d strike", total, n, seed, len(struck))
				}
				if mean := active / total.Seconds(); total >= 30*time.Second && mean > 2*math.Max(activeFaults, 0.5*float64(n)) {
					t.Errorf("%v, %d specs, seed %d: %.1f faults at a time", total, n, seed, mean)
				}
			}
		}
	}
}

func TestParseSpec(t *testing.T) {
	if s, err := ParseSpec("kill"); err != nil || s != (Spec{"kill", Random}) {
		t.Errorf("kill alone: %v, %v", s, err)
	}
	for spec, want := range map[string]string{
		"kil:leader":   fmt.Sprintf(`there is no fault "kil" (there are %s)`, strings.Join(FaultNames(), ", ")),
		"kill:halves":  `kill can't be aimed at "halves" (but at leader,`,
		"":             `there is no fault ""`,
		"partition:x:": `partition can't be aimed at "x:"`,
	} {
		if _, err := ParseSpec(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", spec, err, want)
		}
	}
}

// Nodes and roles are targets by their names, of the faults that can be aimed at every node.
func TestTargetsByName(t *testing.T) {
	nodes := []string{"db1", "web"}
	for text, want := range map[string]Spec{"kill:db1": {"kill", "db1"}, "partition:web": {"partition", "web"}, "isolate-clients:web": {"isolate-clients", "web"}} {
		if s, err := ParseSpec(text, nodes...); err != nil || s != want {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"kill:db2", "transfer:db1", "membership:db1"} {
		if s, err := ParseSpec(text, nodes...); err == nil {
			t.Errorf("%s is %v", text, s)
		}
	}
	if !IsTarget(Leader) || !IsTarget(Ring) || IsTarget("db1") {
		t.Error("what is a target in general is not known")
	}
	f := newFake(4)
	f.roles = map[string]string{"n2": "keeper", "n3": "keeper"}
	n := &Nemesis{Cluster: f, Runtime: harness.NewRuntime()}
	seen := map[string]bool{}
	for seed := range uint64(40) {
		s := &strike{Entry: Entry{Fault: "kill", Target: "n4"}, rand: rand.New(rand.NewPCG(seed, 1))}
		if got, err := n.pick(t.Context(), s); err != nil || !slices.Equal(got, []string{"n4"}) {
			t.Errorf("n4: %v, %v", got, err)
		}
		s.Target = "keeper"
		got, err := n.pick(t.Context(), s)
		if err != nil || len(got) != 1 {
			t.Fatalf("keeper: %v, %v", got, err)
		}
		seen[got[0]] = true
	}
	if !seen["n2"] || !seen["n3"] || len(seen) != 2 {
		t.Errorf("of the keepers, these were struck: %v", seen)
	}
	if got := separate("n4", []string{"n4"}, n.names()); len(got) != 3 {
		t.Errorf("links of n4: %v", got)
	}
}

func TestEntriesAreJSON(t *testing.T) {
	want := Schedule([]Spec{{"kill", Leader}}, 1, 0, 20*time.Second, Pace{})
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got []Entry
	if err := json.Unmarshal(b, &got); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v after a round trip, want %v (%v)", got, want, err)
	}
}

// Who is dead has a disk, and where nobody leads everybody follows: neither keeps a
// strike at a follower's disk from its turn.
func TestAFollowersDiskIsFoundWithoutALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3)
		f.leader = ""
		events := carryOut(t, f,
			Entry{For: leaderless + time.Second, Fault: "kill", Target: All},
			Entry{For: leaderless + time.Second, Fault: "full-disk", Target: Random},
			Entry{At: 50 * time.Millisecond, For: 10 * time.Millisecond, Fault: "full-disk", Target: Follower})
		bit := 0
		struck := map[string]int{}
		for _, e := range events {
			if e.Kind == harness.FaultHold && e.Fault == "full-disk" {
				bit++
				struck[e.Nodes[0]]++
			}
		}
		if bit != 2 || len(struck) != 2 {
			t.Errorf("%d disks were struck, of %d nodes, want two: %v", bit, len(struck), events)
		}
	})
}
