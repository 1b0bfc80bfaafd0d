// Package nemesis breaks clusters on a schedule, and proves that it did.
//
// Start with [ParseSpec], [Schedule] and [Nemesis.Run]. A fault (kill, partition, ...) and
// a target (leader, halves, ...) are chosen independently; a [Spec] names one of each.
// [Schedule] draws from a seed when
// the specs strike. A [Nemesis] carries a schedule out: each strike finds its
// victims, applies the fault, proves that it has an effect, holds it, and heals it.
// Every step is recorded as an event. Strikes may overlap.
//
// Faults break machines and networks through the cluster. Two ask the system
// itself, as an operator would: transfer and membership. They need a system that
// implements [cluster.Transferer] or [cluster.Membership]. The system may refuse, or
// wait for a majority that other strikes have taken away; the evidence says which. A
// change of membership is asked for again until a leader carries it out, or the
// schedule ends. More than half of the nodes always stay voters, and
// [Nemesis.Reinstate] makes all of them voters in the end.
//
// One breaks nothing: rotate gives all nodes and clients of a [cluster.Rotator] new keys.
//
// A new fault is one function in the file of its family and one line in [Faults].
package nemesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"coup/cluster"
	"coup/harness"
)

// Fault is one way to break a cluster.
type Fault struct {
	Doc     string             // one line
	Targets []string           // what it can be aimed at
	Asks    cluster.Capability // what it needs of the cluster; "": what every cluster can do
	Modes   []string           // the ways in which it can strike, if there are several
	Part    string             // the part of a machine that it hits, one strike at a time: disk, clock, processor; "": its processes, or links
	// Needs returns why this system with these options, or a cluster of so many nodes,
	// can't have the fault. If Needs is nil, all can. [Fault.Available] calls it.
	Needs func(sys cluster.System, nodes int, o cluster.Options) error
	// Persists: a strike that other strikes keep from having an effect, or from
	// healing, tries again with the same victims until the schedule ends, because it
	// may have done half of its work.
	Persists bool
	// Brief: a strike need not last until the system has reacted to it.
	Brief bool
	// inject applies the fault and puts the proof of its effect into s.evidence. It
	// returns how to heal it, also when it fails halfway; nil: there is nothing to
	// heal, and the fault is over. An error that wraps errNobody means that there was
	// nothing to apply it to.
	inject func(ctx context.Context, n *Nemesis, s *strike) (heal func(context.Context) error, err error)
}

// Faults are all faults by name.
var Faults = map[string]Fault{
	"clock-drift":     {Doc: "the node's clocks run up to a tenth faster or slower (backend sim only)", Targets: nodeTargets, Asks: cluster.HasClocks, Part: "clock", inject: clockDrift},
	"clock-jump":      {Doc: "the node's wall clock jumps by up to ten seconds, and back afterwards (backend sim only)", Targets: nodeTargets, Asks: cluster.HasClocks, Part: "clock", inject: clockJump},
	"slow-disk":       {Doc: "every fsync of the node takes 20 to 300 ms longer (backend sim only)", Targets: nodeTargets, Asks: cluster.HasDisks, Part: "disk", inject: slowDisk},
	"stalled-disk":    {Doc: "no fsync of the node ends (backend sim only)", Targets: nodeTargets, Asks: cluster.HasDisks, Part: "disk", inject: stalledDisk},
	"failing-disk":    {Doc: "every fsync of the node fails, and what it should have written may be lost (backend sim only)", Targets: nodeTargets, Asks: cluster.HasDisks, Part: "disk", inject: failingDisk},
	"full-disk":       {Doc: "the node can store nothing new (backend sim only)", Targets: nodeTargets, Asks: cluster.HasDisks, Part: "disk", inject: fullDisk},
	"bit-rot":         {Doc: "the node is killed, a bit of what it had stored flips, and it is started; flipped back afterwards (backend sim only)", Targets: nodeTargets, Asks: cluster.CanRot, inject: bitRot},
	"slow-cpu":        {Doc: "the node's program takes 20 to 200 times as long for what it does (backend sim only)", Targets: nodeTargets, Asks: cluster.HasProcessors, Part: "processor", inject: slowCPU},
	"delay":           {Doc: "packets between the sides are 20 to 200 ms late, and some far later (backend sim only)", Targets: linkTargets, Asks: cluster.HasLinks, inject: delay},
	"bandwidth":       {Doc: "2 to 10 kB a second pass each link between the sides (backend sim only)", Targets: linkTargets, Asks: cluster.HasLinks, inject: bandwidth},
	"reset":           {Doc: "connections between the sides are reset, and new ones refused (backend sim only)", Targets: linkTargets, Asks: cluster.HasLinks, inject: reset},
	"crash":           {Doc: "the machine loses power, and what was not synced; switched on again afterwards (backend sim only)", Targets: nodeTargets, Asks: cluster.CanLosePower, inject: crash},
	"kill":            {Doc: "SIGKILL to the node's processes; started again afterwards", Targets: nodeTargets, inject: kill},
	"stop":            {Doc: "SIGTERM, and wait until the node has ended; started again afterwards", Targets: nodeTargets, inject: stop},
	"pause":           {Doc: "the node's processes are frozen (SIGSTOP), then go on", Targets: nodeTargets, inject: pause},
	"partition":       {Doc: "no packet passes between the sides, in either direction", Targets: linkTargets, inject: partition},
	"oneway":          {Doc: "no packet passes between the sides in one direction, chosen at random", Targets: linkTargets, inject: oneway},
	"loss":            {Doc: "a share of the packets between the sides is lost, 20 to 60%", Targets: linkTargets, inject: loss},
	"transfer":        {Doc: "the leader is told to hand the lead to the target: a follower that no fault has, or any node, dead ones too (random)", Targets: []string{Follower, Random}, Needs: needsTransfer, inject: transfer},
	"promote":         {Doc: "a person promotes the follower that is furthest, a while after all followers have lost their leader", Targets: []string{Follower}, Needs: needsPromoter, Brief: true, inject: promote},
	"rotate":          {Doc: "all nodes and clients get new certificates and tokens while they work, and the old tokens are withdrawn afterwards", Targets: []string{All}, Part: "keys", Needs: needsKeys, Brief: true, inject: rotate},
	"membership":      {Doc: "the node leaves the cluster, or loses its vote, or both one after the other (mode: leave, demote, rejoin), and is made a voter again", Targets: []string{Leader, Follower, Random, Minority}, Modes: []string{Leave, Demote, Rejoin}, Needs: needsMembership, Persists: true, inject: membership},
	"isolate-clients": {Doc: "no packet from clients reaches the node; its peers still do", Targets: nodeTargets, inject: isolateClients},
}

// Available returns why the fault can't hit this target: because of the backend, or
// because of the system. It returns nil if it can. No cluster has to run for that.
func (f Fault) Available(spec Spec, sys cluster.System, can cluster.Capabilities, nodes int, o cluster.Options) error {
	if !can.Has(f.Asks) {
		return fmt.Errorf("its nodes have no %s of their own, as simulated machines do (--backend sim)", f.Asks)
	}
	if spec.Target == Leader || spec.Target == Follower {
		if err := tellsLeader(sys); err != nil {
			return err
		}
	}
	if f.Needs != nil {
		return f.Needs(sys, nodes, o)
	}
	return nil
}

// errLacking is the error of a fault that the cluster can't have, if nobody asked
// Available before.
var errLacking = errors.New("the nodes of this backend have no power, clocks, processors, disks or links of their own")

// FaultNames lists the faults, sorted.
func FaultNames() []string { return slices.Sorted(maps.Keys(Faults)) }

// errNobody: there is nothing that the fault could be applied to now.
var errNobody = errors.New("nobody to strike")

// Nemesis carries out schedules against a cluster. Its methods may be called
// concurrently, but one Run at a time.
type Nemesis struct {
	Cluster cluster.Cluster
	System  cluster.System
	Runtime harness.Runtime
	// Record receives the events of the strikes. Its Time is already set.
	Record func(harness.Event)
	// Shards is how many logs the nodes hold: see cluster.Sharded. 0 is 1.
	Shards int

	patience time.Duration // bounds a step of a strike; 0: healPatience
	mu       sync.Mutex
	nextID   int
	busy     map[string]int        // node -> id of the strike that has its processes
	cuts     map[int][]cluster.Cut // by id of the strike
	unseated bool                  // perhaps not all nodes are voters
	led      map[int]led           // by shard (0: there is one): the leader that was found last
}

// strike is one application of a fault.
type strike struct {
	Entry
	id       int
	rand     *rand.Rand
	asked    time.Duration // when it began to look for its victims
	begin    func()        // to be called when nodes and links are known, right before the fault is applied
	began    bool
	part     string // see Fault
	shard    int    // whose leader it is about; 0: there is one log, or it is about no leader
	nodes    []string
	links    []harness.Link
	until    time.Duration // when it is to be healed
	evidence string
}

// about says in a message which shard's leader or follower was struck.
func (s *strike) about(message string) string {
	if s.shard == 0 || message == "" {
		return message
	}
	return fmt.Sprintf("the %s of shard %d: %s", s.Target, s.shard, message)
}

// Run carries out the schedule, whose times count from now, and returns when
// every strike of it has ended. When ctx ends, strikes are cut short but healed.
func (n *Nemesis) Run(ctx context.Context, schedule []Entry) {
	start := n.Runtime.Now()
	defer n.Runtime.WakeWhenDone(ctx)()
	var end time.Duration // of the schedule
	for _, e := range schedule {
		end = max(end, start+e.At+e.For)
	}
	harness.Parallel(n.Runtime, len(schedule), func(i int) {
		e := schedule[i]
		harness.Sleep(ctx, n.Runtime, start+e.At)
		if ctx.Err() == nil {
			n.strike(ctx, e, end)
		}
	})
}

// healPatience bounds the applying of a strike, and its healing, also after
// Ctrl-C.
const healPatience = 20 * time.Second

// victimEvery is how often a strike looks for somebody to strike.
const victimEvery = 200 * time.Millisecond

// bounded is ctx within the patience for a step of a strike, but for Ctrl-C.
func (n *Nemesis) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return n.Runtime.WithTimeout(context.WithoutCancel(ctx), cmp.Or(n.patience, healPatience))
}

// strike carries out one strike. If other strikes hold all possible victims, it waits
// for one of them until latest. A strike that persists waits as long for a leader that
// carries its request out.
func (n *Nemesis) strike(ctx context.Context, e Entry, latest time.Duration) {
	e.Mode = cmp.Or(e.Mode, e.defaultMode())
	n.mu.Lock()
	n.nextID++
	s := &strike{Entry: e, id: n.nextID, rand: rand.New(rand.NewPCG(e.Seed, 1)), asked: n.Runtime.Now(), part: Faults[e.Fault].Part}
	n.mu.Unlock()
	say := func(kind, message string) {
		n.Record(harness.Event{
			Time: n.Runtime.Now(), Kind: kind, ID: s.id, Fault: e.Fault, Target: e.Target,
			Shard: s.shard, Nodes: s.nodes, Links: s.links, Message: s.about(message),
		})
	}
	s.begin = func() {
		s.began = true
		say(harness.FaultStart, "")
	}
	var heal func(context.Context) error
	var err error
	persists := Faults[e.Fault].Persists
	for {
		if !s.began {
			s.links = nil
			s.nodes, err = n.pick(ctx, s)
		}
		if err == nil || s.began {
			s.until = n.Runtime.Now() + e.For
			// A fault that is being applied when the run ends is applied to its
			// end: otherwise nobody would know whether it bit.
			apply, cancel := n.bounded(ctx)
			heal, err = Faults[e.Fault].inject(apply, n, s)
			cancel()
		}
		if s.began && !persists || !errors.Is(err, errNobody) || n.Runtime.Now() >= latest || ctx.Err() != nil {
			break
		}
		harness.Sleep(ctx, n.Runtime, n.Runtime.Now()+victimEvery)
	}
	switch {
	case errors.Is(err, errNobody):
		say(harness.FaultSkip, err.Error())
		if !s.began {
			return
		}
	case err != nil:
		if !s.began {
			s.begin()
		}
		say(harness.FaultMiss, err.Error())
	default:
		say(harness.FaultHold, s.evidence)
		if heal != nil {
			harness.Sleep(ctx, n.Runtime, s.until)
		}
	}
	message := ""
	if heal != nil {
		err := n.mend(ctx, heal)
		for persists && err != nil && n.Runtime.Now() < latest && ctx.Err() == nil {
			err = n.mend(ctx, heal)
		}
		if err != nil {
			message = "not healed: " + err.Error()
		}
	}
	say(harness.FaultEnd, message)
}

// mend heals a strike within the patience for that.
func (n *Nemesis) mend(ctx context.Context, heal func(context.Context) error) error {
	clean, cancel := n.bounded(ctx)
	defer cancel()
	return heal(clean)
}

// Heal undoes whatever is still broken: it makes every node run and every packet
// pass, and checks that it worked. It may be called at any time, and more than once.
// What needs a cluster that serves is left to Reinstate.
func (n *Nemesis) Heal(ctx context.Context) error {
	n.mu.Lock()
	clear(n.busy)
	clear(n.cuts)
	err := n.Cluster.SetCuts(ctx, nil)
	n.mu.Unlock()
	errs := []error{err}
	nodes := n.Cluster.Nodes()
	for _, node := range nodes {
		errs = append(errs, n.healParts(ctx, node.Name), n.Cluster.Resume(ctx, node.Name), n.Cluster.Start(ctx, node.Name))
	}
	var links []harness.Link
	for _, a := range nodes {
		links = append(links, harness.Link{To: a.Name})
		for _, b := range nodes {
			if a != b {
				links = append(links, harness.Link{From: a.Name, To: b.Name})
			}
		}
	}
	return errors.Join(append(errs, n.awaitWhole(ctx, links))...)
}

// awaitWhole returns when probes pass every link. On a busy machine a probe may be
// late, so one that fails is sent again.
func (n *Nemesis) awaitWhole(ctx context.Context, links []harness.Link) error {
	for until := n.Runtime.Now() + healPatience; ; {
		shares, err := n.probe(ctx, links)
		if err != nil {
			return err
		}
		var lossy []harness.Link
		for i, share := range shares {
			if share < 1 {
				lossy = append(lossy, links[i])
				err = errors.Join(err, fmt.Errorf("after healing, %.0f%% of the packets from %s to %s arrive", share*100, side(links[i].From), links[i].To))
			}
		}
		if err == nil || n.Runtime.Now() > until || ctx.Err() != nil {
			return err
		}
		links = lossy
		harness.Sleep(ctx, n.Runtime, n.Runtime.Now()+100*time.Millisecond)
	}
}
