package conduct

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Failovers tells how long each change of leader took, phase by phase:
// figures only, the verdict is always valid. Its Details are [FailoverDetails].
type Failovers struct{}

// FailoverDetails are the Details of [Failovers].
type FailoverDetails struct {
	// Polls is the usual time between two polls, if changes of leader were seen by polls:
	// the times of failovers may be late by as much. 0: nodes told each change as it
	// happened.
	Polls     time.Duration `json:"polls,omitempty"`
	Failovers []Failover    `json:"failovers"` // in the order of the elections; the first election of a run is none
}

// What made a leader change, as far as it can be told.
const (
	CauseFault   = "fault"   // a fault that hit the old leader while it led
	CauseOngoing = "ongoing" // a fault that already hit it when it was elected
	CauseHeal    = "heal"    // no fault hit the leader, but one ended: a node came back and called for an election
	CauseNone    = ""        // none is known
)

// Failover is one change of leader.
//
// The phases are nanoseconds counted from At, and -1 where they cannot be
// told: without a fault there is no moment to count from, except that Served
// then counts from the election.
type Failover struct {
	Shard    int           `json:"shard,omitempty"`    // the log whose leader changed, from 1 on; 0: there is one
	Cause    string        `json:"cause"`              // fault, ongoing, heal, or "" if none is known
	FaultID  int           `json:"fault_id,omitempty"` // of the fault; 0 if there is none
	Fault    string        `json:"fault,omitempty"`    // kill, partition, ...
	Target   string        `json:"target,omitempty"`
	Old      string        `json:"old"`      // the leader before
	OldTerm  uint64        `json:"old_term"` // and its term
	New      string        `json:"new"`      // the leader after; it may be the same node in a later term
	Term     uint64        `json:"term"`
	At       time.Duration `json:"at"`       // nanoseconds since the start of the run: when the nemesis began the fault (heal: when a node called for an election after it; otherwise the election)
	Held     time.Duration `json:"held"`     // from At until the fault was seen to bite
	Detected time.Duration `json:"detected"` // from At until the first node called for an election
	Elected  time.Duration `json:"elected"`  // from At until the new leader knew that it leads
	Served   time.Duration `json:"served"`   // from At until the first success of a client elsewhere than at the old leader
	// Later: no client was served before the next leader was elected, so that Served is that one's
	// work, or a later one's.
	Later bool `json:"later,omitempty"`
	// Silence is how long the node that first called for an election had heard nothing of
	// its leader.
	Silence time.Duration `json:"silence"`
	// Handed is how long it took from At until the new leader first gave out work again that was
	// there before: a task that another worker had, or a message that waited in a queue.
	// Drained is how long it took until the last of the messages that waited was given out.
	Handed  time.Duration `json:"handed"`
	Drained time.Duration `json:"drained"`
	// Calls is how many elections were called from At until the new leader was elected: more
	// than one where nodes competed, or a vote was split. 0 where nobody told of any.
	Calls int `json:"calls"`
	// Called are the nodes that called for them.
	Called []Call `json:"called"`
	// Heartbeats are how the last ones of the old leader reached each node, by name, where nodes
	// tell of heartbeats.
	Heartbeats []LastHeartbeat `json:"heartbeats,omitempty"`
	// Noticed is when each other node learned of the new leader, from At on, in the order
	// in which they did; nodes that never told so before the next leader are missing.
	Noticed []Notice `json:"noticed"`
}

// Call is a call for an election.
type Call struct {
	Node  string        `json:"node"`
	Term  uint64        `json:"term,omitempty"`
	After time.Duration `json:"after"` // from At on
	// Silence is how long the node had heard nothing of its leader: its last heartbeat
	// arrived so much before. 0: it does not say.
	Silence time.Duration `json:"silence,omitempty"`
}

// InVain reports whether a call for an election was not the one that the new leader won.
func (f Failover) InVain(c Call) bool {
	return c.Node != f.New || c.Term > 0 && f.Term > 0 && c.Term != f.Term
}

// Vain is how many of the calls for an election were in vain.
func (f Failover) Vain() (n int) {
	for _, c := range f.Called {
		if f.InVain(c) {
			n++
		}
	}
	return n
}

// Notice is the moment in which a node learned who leads.
type Notice struct {
	Node  string        `json:"node"`
	After time.Duration `json:"after"`
}

// AllNoticed is how long it took from At until every node but the new leader and those in
// except had learned of the new leader; -1 if one of them never told so.
func (f Failover) AllNoticed(nodes []string, except ...string) time.Duration {
	last := time.Duration(-1)
	for _, node := range nodes {
		if node == f.New || slices.Contains(except, node) {
			continue
		}
		i := slices.IndexFunc(f.Noticed, func(n Notice) bool { return n.Node == node })
		if i < 0 {
			return -1
		}
		last = max(last, f.Noticed[i].After)
	}
	return last
}

// Name implements [harness.Checker].
func (Failovers) Name() string { return "failovers" }

// Judges implements [harness.Judging].
func (Failovers) Judges() harness.Subject { return harness.Service }

// Check implements [harness.Checker].
func (Failovers) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "failovers", Valid: harness.Valid}
	roles := timeline.RolesOf(h)
	if !roles.Seen {
		r.Valid, r.Summary = harness.NotJudged, "Nobody would have seen the leader change: the nodes do not tell who leads."
		return r, nil
	}
	all := timeline.Faults(h, timeline.LastEvent(h))

	// Successes by the time of their end, for the first one after an election.
	var successes []*harness.Operation
	for i := range h.Operations {
		if h.Operations[i].Type == harness.OK {
			successes = append(successes, &h.Operations[i])
		}
	}
	slices.SortStableFunc(successes, func(a, b *harness.Operation) int { return int(a.End - b.End) })

	d := FailoverDetails{Polls: roles.Polls, Failovers: []Failover{}}
	elected, calls := roles.Elected(), callsForElection(h, roles)
	work := handouts(h)
	for i := 1; i < len(elected); i++ {
		f := failover(calls, all, successes, elected[i-1], elected[i])
		until := harness.Forever
		if i+1 < len(elected) {
			until = elected[i+1].Time
		}
		f.Later = f.Served >= 0 && f.At+f.Served > until
		f.Handed, f.Drained = handedOut(work, f, elected[i].Time, until)
		f.Noticed = notices(h, f, elected[i].Time, until)
		f.Heartbeats = lastHeartbeats(h, f, elected[i].Time, until)
		d.Failovers = append(d.Failovers, f)
	}

	r.Details = d
	r.Summary = summariseFailovers(d)
	if len(elected) == 1 {
		if again := ledAgain(timeline.Reigns(h)); len(again) > 1 {
			r.Summary = sayAgain(again, d.Polls)
		}
	}
	return r, nil
}

// ledAgain leaves out what only goes on with the reign before.
func ledAgain(all []timeline.Reign) (apart []timeline.Reign) {
	for _, r := range all {
		if n := len(apart); n > 0 && apart[n-1].Node == r.Node && apart[n-1].Term == r.Term && apart[n-1].To == r.From {
			apart[n-1].To = r.To
			continue
		}
		apart = append(apart, r)
	}
	return apart
}

// sayAgain tells of a first leader that did not lead all the time, though nobody led in a
// later term.
func sayAgain(reigns []timeline.Reign, polls time.Duration) string {
	var said []string
	for _, r := range reigns[1:] {
		term := ""
		if r.Term > 0 {
			term = fmt.Sprintf(" term %d", r.Term)
		}
		if len(said) == 3 && len(reigns) > 5 {
			said = append(said, fmt.Sprintf("and %d more", len(reigns)-1-len(said)))
			break
		}
		said = append(said, fmt.Sprintf("%s led%s from %s on", r.Node, term, story.Seconds(r.From)))
	}
	was := "did not lead"
	if polls > 0 {
		was = fmt.Sprintf("was not seen to lead, by polls every %v,", polls)
	}
	return fmt.Sprintf("No leader of a later term took over, but %s %s all the time: %s.", reigns[0].Node, was, strings.Join(said, ", "))
}

// callsForElection are the moments in which a node called for an election, in order.
func callsForElection(h *harness.History, roles timeline.Roles) (calls []harness.Event) {
	for _, e := range h.Events {
		if e.Kind == harness.ElectionEvent {
			calls = append(calls, e)
		}
	}
	for _, e := range roles.Changes {
		if e.Role == "candidate" {
			calls = append(calls, e)
		}
	}
	harness.SortEvents(calls)
	return calls
}

func failover(calls []harness.Event, all []*timeline.Fault, successes []*harness.Operation, old, now harness.Event) Failover {
	f := Failover{
		Old: old.Node, OldTerm: old.Term, New: now.Node, Term: now.Term,
		At: now.Time, Held: -1, Detected: -1, Elected: -1, Served: -1, Silence: -1, Handed: -1, Drained: -1, Called: []Call{},
	}
	cause, kind := blame(all, old, now, lastHeard(calls, old, now))
	if cause != nil {
		f.Cause, f.FaultID, f.Fault, f.Target = kind, cause.ID, cause.Fault, cause.Target
	}
	switch kind {
	case CauseFault:
		f.At = cause.Start
		if cause.Hold >= 0 {
			f.Held = cause.Hold - cause.Start
		}
	case CauseHeal: // the old leader may have gone on for long before a node disturbed it
		f.At = cause.End
		for _, e := range calls {
			if e.Time >= cause.End && e.Time <= now.Time && e.Term > old.Term {
				f.At = e.Time
				break
			}
		}
	}
	if kind == CauseFault || kind == CauseHeal {
		f.Elected = now.Time - f.At
		for _, e := range calls {
			if e.Time >= f.At && e.Time <= now.Time && e.Term <= now.Term && e.Term >= old.Term {
				f.Detected = e.Time - f.At
				if e.Heard > 0 {
					f.Silence = e.Heard
				}
				break
			}
		}
		f.Called = called(calls, f.At, now.Time)
		f.Calls = len(f.Called)
	}
	i, _ := slices.BinarySearchFunc(successes, now.Time, func(op *harness.Operation, t time.Duration) int {
		return int(op.End - t)
	})
	for _, op := range successes[i:] {
		// An answer of the old leader that was on its way is no service of the new one.
		if op.Start >= f.At && (op.Node != old.Node || old.Node == now.Node) {
			f.Served = op.End - f.At
			break
		}
	}
	return f
}

// called are the elections that were called between from and to. A node that tells of
// an election may tell of its candidacy as well.
func called(all []harness.Event, from, to time.Duration) []Call {
	elections, candidacies := []Call{}, []Call{}
	for _, e := range all {
		c := Call{Node: e.Node, Term: e.Term, After: e.Time - from, Silence: e.Heard}
		switch {
		case e.Time < from || e.Time > to:
		case e.Kind == harness.ElectionEvent:
			elections = append(elections, c)
		default:
			candidacies = append(candidacies, c)
		}
	}
	if len(candidacies) > len(elections) {
		return candidacies
	}
	return elections
}

// notices are the moments in which the other nodes first told that the new leader leads,
// in its term, from its election until the next.
func notices(h *harness.History, f Failover, from, until time.Duration) []Notice {
	all := []Notice{}
	for _, e := range h.Events {
		told := e.Kind == harness.LeaderEvent || e.Kind == harness.StateEvent && e.Role != ""
		if !told || e.Leader != f.New || e.Term < f.Term || e.Node == f.New || e.Time < from || e.Time >= until {
			continue
		}
		if !slices.ContainsFunc(all, func(n Notice) bool { return n.Node == e.Node }) {
			all = append(all, Notice{e.Node, e.Time - f.At})
		}
	}
	return all
}

// lastHeard is when the new leader had last heard of the old one before it called for its
// election; 0 if it does not say.
func lastHeard(calls []harness.Event, old, now harness.Event) (at time.Duration) {
	for _, e := range calls {
		if e.Node == now.Node && e.Time >= old.Time && e.Time <= now.Time && e.Heard > 0 {
			at = e.Time - e.Heard
		}
	}
	return at
}

// blame finds the fault that made the lead pass from old to now: the latest
// one that hit the old leader while it led; otherwise one that hit it already
// when it was elected; otherwise the latest one that was healed in between. A fault
// that was over when the new leader still heard the old one did not end its lead.
func blame(all []*timeline.Fault, old, now harness.Event, heard time.Duration) (*timeline.Fault, string) {
	var during, ongoing, healed *timeline.Fault
	for _, f := range all {
		hit := f.Touches(old.Node) && !(f.Ended && f.End < heard)
		switch {
		case f.Start > now.Time || (f.Missed != "" || f.Skipped) && f.Hold < 0:
		case hit && f.Start >= old.Time:
			if during == nil || f.Start >= during.Start {
				during = f
			}
		case hit && f.End >= old.Time:
			ongoing = f
		case f.Ended && f.End >= old.Time && f.End <= now.Time:
			if healed == nil || f.End >= healed.End {
				healed = f
			}
		}
	}
	switch {
	case during != nil:
		return during, CauseFault
	case ongoing != nil:
		return ongoing, CauseOngoing
	case healed != nil:
		return healed, CauseHeal
	}
	return nil, CauseNone
}

func summariseFailovers(d FailoverDetails) string {
	fs, seen := d.Failovers, ""
	if d.Polls > 0 {
		seen = fmt.Sprintf(", seen by polls every %v", d.Polls)
	}
	if len(fs) == 0 && d.Polls > 0 {
		return fmt.Sprintf("Polls every %v never saw the leader change.", d.Polls)
	}
	if len(fs) == 0 {
		return "The leader never changed."
	}
	var worst time.Duration
	byFault, told := 0, 0
	for _, f := range fs {
		if f.Cause == CauseFault {
			byFault++
			if f.Served >= 0 {
				told++
				worst = max(worst, f.Served)
			}
		}
	}
	s := fmt.Sprintf("The leader changed %s, %d of them after a fault that hit it", story.Times(len(fs)), byFault)
	if told > 0 {
		s += fmt.Sprintf("; the slowest of those took %s from the fault to the first success", story.Seconds(worst))
	}
	return s + seen + "."
}
