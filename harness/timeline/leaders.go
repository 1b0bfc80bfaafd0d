package timeline

import (
	"maps"
	"slices"
	"time"

	"coup/harness"
)

// Reign is the time in which a node believes that it leads in a term.
type Reign struct {
	Node     string
	Term     uint64
	From, To time.Duration
	Shard    int // the log that it leads; 0: there is one
}

// Roles are the changes of role of a run, as far as they are known.
type Roles struct {
	// Changes are events of the kind [harness.RoleEvent], in order. Seen by polls, a
	// node takes the role "" when it has answered none for a while.
	Changes []harness.Event
	// Seen says whether anybody would have seen a change.
	Seen bool
	// Polls is how far apart the polls were by which changes were seen, usually; 0: the
	// nodes told each change as it happened.
	Polls time.Duration
}

// silentAfter is how many polls in a row a node may leave unanswered, on a busy
// machine, until nobody knows its role any more.
const silentAfter = 3

// RolesOf returns what the nodes told as it happened; of a system whose nodes don't, what
// they said when they were asked.
func RolesOf(h *harness.History) Roles {
	r := Roles{Seen: h.Tells.Has(harness.Events)}
	for _, e := range h.Events {
		if e.Kind == harness.RoleEvent {
			r.Changes, r.Seen = append(r.Changes, e), true
		}
	}
	if r.Seen {
		return r
	}
	polls := looks(h, func(harness.Event, harness.Phase) bool { return true })
	if len(polls) == 0 {
		return r
	}
	r.Seen = true
	var p Polls
	for _, look := range polls {
		r.Changes = append(r.Changes, p.Add(look)...)
	}
	harness.SortEvents(r.Changes)
	var apart []time.Duration
	for i := range polls[1:] {
		apart = append(apart, polls[i+1].Time-polls[i].Time)
	}
	slices.Sort(apart)
	if len(apart) > 0 {
		r.Polls = apart[len(apart)/2].Round(10 * time.Millisecond)
	}
	r.Polls = max(r.Polls, 10*time.Millisecond)
	return r
}

// Polls finds changes of role in what nodes say when they are asked, poll by poll. The zero
// value has seen none.
type Polls struct {
	last   map[string]harness.Event // what each node said when it answered last
	missed map[string][]Look        // the polls that it has left unanswered since
}

// Add returns the changes of role that the next poll shows, as events of the kind
// [harness.RoleEvent]. That a node has fallen silent is known some polls later.
func (p *Polls) Add(look Look) (changes []harness.Event) {
	if p.last == nil {
		p.last, p.missed = map[string]harness.Event{}, map[string][]Look{}
	}
	for _, node := range slices.Sorted(maps.Keys(look.Nodes)) {
		e, before := look.Nodes[node], p.last[node]
		if before.Role != e.Role || before.Term != e.Term {
			changes = append(changes, harness.Event{Time: e.Time, Kind: harness.RoleEvent, Node: node, Role: e.Role, Term: e.Term})
		}
		p.last[node] = e
		delete(p.missed, node)
	}
	for _, node := range slices.Sorted(maps.Keys(p.last)) {
		if _, answered := look.Nodes[node]; answered || len(p.missed[node]) == silentAfter {
			continue
		}
		if p.missed[node] = append(p.missed[node], look); len(p.missed[node]) == silentAfter {
			changes = append(changes, harness.Event{Time: p.missed[node][0].Time, Kind: harness.RoleEvent, Node: node})
			p.last[node] = harness.Event{}
		}
	}
	return changes
}

// Reigns returns all reigns that are known, in the order in which they began; see
// [RolesOf]. One that did not end ends with the run.
func Reigns(h *harness.History) []Reign {
	var all []Reign
	type led struct {
		node  string
		shard int
	}
	open := map[led]int{} // its reign that has not ended
	var now time.Duration
	for _, e := range WithRoles(h) {
		now = max(now, e.Time)
		switch e.Kind {
		case harness.RoleEvent, harness.BootEvent, harness.ExitEvent, harness.GiveUpEvent:
		default:
			continue
		}
		for l, i := range open {
			if l.node == e.Node && (e.Shard == 0 || e.Shard == l.shard) {
				all[i].To = e.Time
				delete(open, l)
			}
		}
		if e.Kind == harness.RoleEvent && e.Role == "leader" {
			open[led{e.Node, e.Shard}] = len(all)
			all = append(all, Reign{Node: e.Node, Term: e.Term, From: e.Time, Shard: e.Shard})
		}
	}
	for _, i := range open {
		all[i].To = now
	}
	return all
}

// WithRoles returns the events of the run with the changes of role that are known.
func WithRoles(h *harness.History) []harness.Event {
	r := RolesOf(h)
	if r.Polls == 0 {
		return h.Events
	}
	all := slices.Concat(h.Events, r.Changes)
	harness.SortEvents(all)
	return all
}

// Elected returns the changes in which a node took the lead in a later term than
// any before, in order; where there are no terms, those in which it was another one
// than before. Each shard has terms of its own.
func (r Roles) Elected() []harness.Event {
	var elected []harness.Event
	newest := map[int]harness.Event{} // by shard
	for _, e := range r.Changes {
		last, seen := newest[e.Shard]
		if e.Role == "leader" && (!seen || e.Term > last.Term || e.Term == 0 && last.Term == 0 && e.Node != last.Node) {
			elected, newest[e.Shard] = append(elected, e), e
		}
	}
	return elected
}
