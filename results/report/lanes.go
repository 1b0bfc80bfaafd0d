package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"coup/harness"
	"coup/harness/timeline"
)

// What a node was, where it did not say a role itself.
const (
	roleDown     = "down"     // it has no process
	roleStarting = "starting" // it has one that said nothing yet
)

// lane is the roles of one node over time.
type lane struct {
	Node   string     `json:"node"` // and the shard, where it holds several logs
	Spans  []laneSpan `json:"spans"`
	Frozen []frozen   `json:"frozen"` // while it was paused
	Marks  []laneMark `json:"marks"`
}

// machine is the node alone.
func (l lane) machine() string {
	if at := strings.LastIndex(l.Node, inShard); at > 0 {
		return l.Node[:at]
	}
	return l.Node
}

// laneSpan is a stretch of time in which a node had one role.
type laneSpan struct {
	From seconds `json:"from"`
	To   seconds `json:"to"`
	Role string  `json:"role"` // leader, follower, candidate, down, starting
	Term uint64  `json:"term,omitempty"`
}

type frozen struct {
	From seconds `json:"from"`
	To   seconds `json:"to"`
}

// laneMark is something that happened at a node at a moment.
type laneMark struct {
	At   seconds `json:"at"`
	Kind string  `json:"kind"` // election, snapshot, restore, boot, exit
	Text string  `json:"text"`
}

// gatherLanes reads the lives of the nodes from the events. Nodes that are
// not among the named ones but have events get a lane below them.
func gatherLanes(h *harness.History, faults []*fault, end time.Duration) []lane {
	lanes := make([]lane, 0, len(h.Nodes))
	at := map[string]*laneBuilder{}
	var builders []*laneBuilder
	builder := func(node string) *laneBuilder {
		b := at[node]
		if b == nil {
			b = &laneBuilder{lane: lane{Node: node, Spans: []laneSpan{}, Frozen: []frozen{}, Marks: []laneMark{}}}
			at[node] = b
			builders = append(builders, b)
		}
		return b
	}
	named := laneNames(h.Events)
	for _, shard := range named.shards {
		for _, n := range h.Nodes {
			builder(named.of(n, shard)[0])
		}
	}
	live := func(b *laneBuilder, e harness.Event) {
		switch e.Kind {
		case harness.RoleEvent:
			role := e.Role
			if role == "shutdown" {
				role = roleDown
			}
			b.become(e.Time, role, e.Term)
		case harness.LeaderEvent:
			b.term(e.Time, e.Term)
		case harness.BootEvent:
			b.become(e.Time, roleStarting, 0)
			b.mark(e, "started")
		case harness.ExitEvent:
			b.become(e.Time, roleDown, 0)
			if e.Message != byNemesis {
				b.mark(e, "ended by itself"+colon(e.Message))
			}
		case harness.GiveUpEvent:
			b.become(e.Time, roleDown, 0)
			b.mark(e, "gave up"+colon(e.Message))
		case harness.ElectionEvent:
			b.mark(e, "calls for an election in term "+strconv.FormatUint(e.Term, 10))
		case harness.SnapshotEvent:
			b.mark(e, "snapshot at position "+strconv.FormatUint(e.Applied, 10))
		case harness.RestoreEvent:
			b.mark(e, "restored the snapshot of position "+strconv.FormatUint(e.Applied, 10))
		}
	}
	lived := []string{harness.RoleEvent, harness.LeaderEvent, harness.BootEvent, harness.ExitEvent, harness.GiveUpEvent, harness.ElectionEvent, harness.SnapshotEvent, harness.RestoreEvent}
	for _, e := range withKills(timeline.WithRoles(h), faults) {
		if slices.Contains(lived, e.Kind) {
			for _, name := range named.of(e.Node, e.Shard) {
				live(builder(name), e)
			}
		}
	}
	for _, f := range faults {
		if f.Fault.Fault == "pause" && f.Missed == "" {
			for _, n := range f.Nodes {
				for _, name := range named.of(n, 0) {
					b := builder(name)
					b.lane.Frozen = append(b.lane.Frozen, frozen{inSeconds(max(f.Start, f.Hold)), inSeconds(f.End)})
				}
			}
		}
	}
	for _, b := range builders {
		b.become(end, "", 0)
		lanes = append(lanes, b.lane)
	}
	return lanes
}

// laneNamer knows what lanes are called. Where nodes hold several logs, a node has a lane
// for each.
type laneNamer struct{ shards []int } // one 0: there is one log

func laneNames(events []harness.Event) laneNamer {
	var shards []int
	for _, e := range events {
		if e.Shard > 0 && e.Node != "" && !slices.Contains(shards, e.Shard) {
			shards = append(shards, e.Shard)
		}
	}
	if len(shards) == 0 {
		return laneNamer{[]int{0}}
	}
	slices.Sort(shards)
	return laneNamer{shards}
}

// of are the lanes that something is about which happened at a node, in a shard or (0) in all.
func (l laneNamer) of(node string, shard int) (names []string) {
	if shard > 0 {
		return []string{node + inShard + strconv.Itoa(shard)}
	}
	if len(l.shards) == 1 && l.shards[0] == 0 {
		return []string{node}
	}
	for _, s := range l.shards {
		names = append(names, node+inShard+strconv.Itoa(s))
	}
	return names
}

// inShard is in the name of a lane between the node and the number of its shard.
const inShard = "/s"

// ofShard is behind the name of what belongs to a shard; 0: there is one log.
func ofShard(shard int) string {
	if shard == 0 {
		return ""
	}
	return " shard " + strconv.Itoa(shard)
}

// byNemesis marks the exits that the nemesis asked for.
const byNemesis = "\x00nemesis"

// withKills are the events together with an exit for each process that the
// nemesis ended: the nodes themselves have no time to tell.
func withKills(events []harness.Event, faults []*fault) []harness.Event {
	all := slices.Clone(events)
	for _, f := range faults {
		if !slices.Contains([]string{"kill", "stop", "crash", "bit-rot"}, f.Fault.Fault) || f.Missed != "" {
			continue
		}
		for _, n := range f.Nodes {
			all = append(all, harness.Event{Time: max(f.Start, f.Hold), Kind: harness.ExitEvent, Node: n, Message: byNemesis})
		}
	}
	slices.SortStableFunc(all, func(a, b harness.Event) int { return cmp.Compare(a.Time, b.Time) })
	return all
}

// laneBuilder makes a lane from moments that come in the order of time.
type laneBuilder struct {
	lane  lane
	since time.Duration
	role  string
	now   uint64 // the term
}

// become ends what the node was and begins what it is from now on.
func (b *laneBuilder) become(t time.Duration, role string, term uint64) {
	t = max(t, 0)
	if role != "" && role == b.role && term == b.now {
		return
	}
	if b.role != "" && t > b.since {
		b.lane.Spans = append(b.lane.Spans, laneSpan{inSeconds(b.since), inSeconds(t), b.role, b.now})
	}
	b.since, b.role, b.now = t, role, term
}

// term notes that the node learned of a new term without a change of role.
func (b *laneBuilder) term(t time.Duration, term uint64) {
	if b.role == "follower" || b.role == roleStarting {
		b.become(t, "follower", term)
	}
}

func (b *laneBuilder) mark(e harness.Event, text string) {
	b.lane.Marks = append(b.lane.Marks, laneMark{inSeconds(max(e.Time, 0)), e.Kind, text})
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(": %s", s)
}
