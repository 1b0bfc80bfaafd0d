package conduct

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Partitions measures what each side of a network partition kept: did it go on answering
// (the A of the CAP theorem), and does what it answered agree with what the other sides
// had acknowledged (the C)? The theorem says that a system can't keep both on all sides
// (Brewer, PODC 2000; proof by Gilbert and Lynch, SIGACT News 2002). Partitions gives
// figures only: the verdict is always valid. Its Details are [PartitionDetails].
//
// An operation belongs to the side of the node that was asked last. Operations of clients
// on each side are counted, so that silence is not taken for refusal.
//
// Agreement is decided by the checkers of what clients were answered. The history is
// judged twice: without the answers of the side, and with them. Answers of other small
// sides count as unknown both times, and reads of others during the load are left out. If
// the first is valid and the second is not, then it is this side that contradicts the
// rest. A history with fewer answers has fewer contradictions, so a contradiction that is
// told here is one of the whole history.
type Partitions struct {
	Answers []harness.Checker // of what clients were answered
	Whole   harness.Validity  // what they say of the whole history
	// Looks reports whether an operation only reads.
	Looks func(*harness.Operation) bool
	// Timeout bounds the judging of all sides together; 0: no bound.
	Timeout time.Duration
}

// PartitionDetails are the Details of [Partitions].
type PartitionDetails struct {
	Partitions []Partition `json:"partitions"` // in the order in which they began
}

// Partition is one partition of the network.
type Partition struct {
	ID     int           `json:"id"` // of the fault
	Fault  string        `json:"fault"`
	Target string        `json:"target,omitempty"`
	From   time.Duration `json:"from"`  // when it was seen to cut
	To     time.Duration `json:"to"`    // when it was healed
	Sides  []Side        `json:"sides"` // the largest first
}

// Side is a set of nodes that can talk to each other and to nobody else.
type Side struct {
	Nodes    []string  `json:"nodes"`
	Majority bool      `json:"majority"` // of all nodes
	Reads    Attempts  `json:"reads"`
	Updates  Attempts  `json:"updates"` // all operations that do not only read
	Agrees   Agreement `json:"agrees"`
	Why      string    `json:"why,omitempty"` // the contradiction, or why none was looked for
}

// Attempts counts operations that were invoked during a partition, by how they ended.
type Attempts struct {
	OK   int `json:"ok"` // during the partition
	Fail int `json:"fail"`
	Info int `json:"info"`
	Late int `json:"late"` // ok, but answered only when the partition was healed
	// First and Last are when the first and the last of OK ended, since the start of the
	// run; -1: there is none.
	First time.Duration `json:"first"`
	Last  time.Duration `json:"last"`
}

// All is how many there were.
func (a Attempts) All() int { return a.OK + a.Fail + a.Info + a.Late }

// Kept says how far a side went on answering.
type Kept string

// How far a side went on answering.
const (
	NotAsked Kept = "not asked"
	KeptNone Kept = "no"            // nothing ended ok
	KeptSome Kept = "at first only" // the last success was in the first half of the partition
	KeptAll  Kept = "yes"           // there was a success in its second half
)

// Kept says how far operations went on being answered during partition p. Clients that ask in the
// first half only tell nothing about the second.
func (a Attempts) Kept(p Partition) Kept {
	switch half := p.From + (p.To-p.From)/2; {
	case a.All() == 0:
		return NotAsked
	case a.OK == 0:
		return KeptNone
	case a.Last < half:
		return KeptSome
	}
	return KeptAll
}

// Agreement says whether a side's answers agree with the rest of the history.
type Agreement string

// The agreements.
const (
	Agrees      Agreement = "yes"
	Contradicts Agreement = "no"
	NoAnswer    Agreement = "no answer"   // the side answered nothing that could contradict anything
	NotDecided  Agreement = "not decided" // Why says why
)

// Name implements [harness.Checker].
func (Partitions) Name() string { return "partitions" }

// Judges implements [harness.Judging].
func (Partitions) Judges() harness.Subject { return harness.Service }

// Check implements [harness.Checker]. Where the history is valid it takes O(n) for each
// partition; otherwise it takes up to two judgements of the history for each side.
func (c Partitions) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	_, over := timeline.Load(h)
	var d PartitionDetails
	var faults []*timeline.Fault
	for _, f := range timeline.Faults(h, over) {
		sides := sidesOf(h.Nodes, f.Links)
		if len(sides) < 2 || f.Hold < 0 || f.Missed != "" {
			continue
		}
		p := Partition{ID: f.ID, Fault: f.Fault, Target: f.Target, From: f.Hold, To: max(f.Hold, min(f.End, over))}
		for _, nodes := range sides {
			s := Side{Nodes: nodes, Majority: 2*len(nodes) > len(h.Nodes)}
			s.Reads, s.Updates = c.count(h, p, nodes)
			p.Sides = append(p.Sides, s)
		}
		d.Partitions, faults = append(d.Partitions, p), append(faults, f)
	}
	if len(d.Partitions) == 0 {
		return harness.Result{Valid: harness.Valid, Summary: "No fault divided the nodes into sides."}, nil
	}
	c.decide(ctx, h, &d, faults, over)
	return harness.Result{Valid: harness.Valid, Summary: d.sentence(), Details: d}, nil
}

// sidesOf are the sets of nodes that can still talk to each other, the largest first.
// Two nodes can if the links between them are whole in both directions.
func sidesOf(nodes []string, cut []harness.Link) (sides [][]string) {
	isCut := map[harness.Link]bool{}
	for _, l := range cut {
		isCut[l] = true
	}
	left := slices.Clone(nodes)
	for len(left) > 0 {
		side := left[:1:1]
		left = left[1:]
		for i := 0; i < len(side); i++ {
			left = slices.DeleteFunc(left, func(n string) bool {
				reached := !isCut[harness.Link{From: side[i], To: n}] && !isCut[harness.Link{From: n, To: side[i]}]
				if reached {
					side = append(side, n)
				}
				return reached
			})
		}
		slices.Sort(side)
		sides = append(sides, side)
	}
	slices.SortStableFunc(sides, func(a, b []string) int { return len(b) - len(a) })
	return sides
}

func (c Partitions) count(h *harness.History, p Partition, nodes []string) (reads, updates Attempts) {
	reads.First, reads.Last, updates.First, updates.Last = -1, -1, -1, -1
	for i := range h.Operations {
		op := &h.Operations[i]
		if op.Start < p.From || op.Start >= p.To || !slices.Contains(nodes, op.Node) {
			continue
		}
		a := &updates
		if c.Looks(op) {
			a = &reads
		}
		switch {
		case op.Type == harness.Fail:
			a.Fail++
		case op.Type != harness.OK:
			a.Info++
		case op.End > p.To:
			a.Late++
		default:
			a.OK++
			if a.First < 0 || op.End < a.First {
				a.First = op.End
			}
			a.Last = max(a.Last, op.End)
		}
	}
	return reads, updates
}

// decide fills in what the answers of each side are worth.
func (c Partitions) decide(ctx context.Context, h *harness.History, d *PartitionDetails, faults []*timeline.Fault, over time.Duration) {
	answered := make([][]map[int]bool, len(faults)) // by partition and side: operations that it answered ok, by place
	small := map[int]bool{}                         // all that small sides answered
	for i, p := range d.Partitions {
		for _, s := range p.Sides {
			ops := map[int]bool{}
			for j := range h.Operations {
				op := &h.Operations[j]
				until := p.To
				if !s.Majority {
					until += aftermath
				}
				if op.Type == harness.OK && op.Start < over && op.End > faults[i].Start && op.End <= until && slices.Contains(s.Nodes, op.Node) {
					ops[j] = true
				}
			}
			answered[i] = append(answered[i], ops)
			if !s.Majority {
				maps.Copy(small, ops)
			}
		}
	}
	for i := range d.Partitions {
		for j := range d.Partitions[i].Sides {
			s := &d.Partitions[i].Sides[j]
			own := answered[i][j]
			switch {
			case len(own) == 0:
				s.Agrees = NoAnswer
			case c.Whole == harness.Valid:
				s.Agrees = Agrees
			case c.Whole != harness.Invalid:
				s.Agrees, s.Why = NotDecided, "The history as a whole could not be decided."
			default:
				s.Agrees, s.Why = c.compare(ctx, h, small, own, over)
			}
		}
	}
}

// aftermath is how long after the healing a node of a small side may take to hear what the
// others did meanwhile: what it answers until then counts as an answer of the side.
const aftermath = 15 * time.Second

// compare judges the history without the answers of a side, and with them.
func (c Partitions) compare(ctx context.Context, h *harness.History, small, own map[int]bool, over time.Duration) (Agreement, string) {
	without, _ := c.judge(ctx, c.background(h, small, own, nil, over))
	last := without != harness.Invalid
	if !last { // reads after the healing can be wrong as well; what was lost does not show without them
		over = harness.Forever
		without, _ = c.judge(ctx, c.background(h, small, own, nil, over))
	}
	with, why := c.judge(ctx, c.background(h, small, own, own, over))
	switch {
	case without == harness.Invalid || !last && with == harness.Valid:
		return NotDecided, "The rest of the history contradicts itself."
	case without == harness.Valid && with == harness.Valid:
		return Agrees, ""
	case without == harness.Valid && with == harness.Invalid:
		return Contradicts, why
	}
	return NotDecided, "It could not be decided in time."
}

// background is the history in which, of operations invoked during the load, only updates
// and the reads in kept are left. Updates in small or own that are not in kept have an
// unknown end.
func (c Partitions) background(h *harness.History, small, own, kept map[int]bool, over time.Duration) *harness.History {
	b := &harness.History{Events: h.Events, Nodes: h.Nodes, Tells: h.Tells}
	process := 0
	for i := range h.Operations {
		process = max(process, h.Operations[i].Process)
	}
	for i, op := range h.Operations {
		if !kept[i] && op.Start < over {
			if c.Looks(&op) {
				continue
			}
			if small[i] || own[i] {
				process++ // after an operation with an unknown end a process does nothing more
				op.Type, op.Output, op.Return, op.Process = harness.Info, nil, harness.Open, process
			}
		}
		b.Operations = append(b.Operations, op)
	}
	return b
}

// judge lets all checkers of answers judge, until one finds a contradiction.
func (c Partitions) judge(ctx context.Context, h *harness.History) (harness.Validity, string) {
	worst := harness.Valid
	for _, checker := range c.Answers {
		r, err := checker.Check(ctx, h)
		switch {
		case err != nil:
			r.Valid = harness.Unknown
		case r.Valid == harness.Invalid:
			return r.Valid, r.Summary
		}
		worst = harness.Worst(worst, r.Valid)
	}
	return worst, ""
}

// sentence sums all partitions up for somebody who reads nothing else.
func (d PartitionDetails) sentence() string {
	var large, small Attempts
	agrees := map[bool]map[Agreement]int{true: {}, false: {}}
	for _, p := range d.Partitions {
		for _, s := range p.Sides {
			sum := &small
			if s.Majority {
				sum = &large
			}
			for _, a := range []Attempts{s.Reads, s.Updates} {
				sum.OK, sum.Fail = sum.OK+a.OK, sum.Fail+a.All()-a.OK
			}
			agrees[s.Majority][s.Agrees]++
		}
	}
	said := fmt.Sprintf("In %s the larger side answered %d of %d operations, the others %d of %d.", story.Plural(len(d.Partitions), "partition"), large.OK, large.All(), small.OK, small.All())
	var wrong []string
	if n := agrees[false][Contradicts]; n > 0 {
		wrong = append(wrong, fmt.Sprintf("a smaller side %s", story.Times(n)))
	}
	if n := agrees[true][Contradicts]; n > 0 {
		wrong = append(wrong, fmt.Sprintf("the larger side %s", story.Times(n)))
	}
	undecided := agrees[true][NotDecided] + agrees[false][NotDecided]
	switch {
	case len(wrong) > 0:
		said += fmt.Sprintf(" Answers that contradict the rest were given by %s.", strings.Join(wrong, ", and by "))
	case undecided == 0:
		said += " No answer contradicts the rest."
	}
	if undecided > 0 {
		said += fmt.Sprintf(" Of %s it is not decided whether their answers do.", story.Plural(undecided, "side"))
	}
	return said
}
