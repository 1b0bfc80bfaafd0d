package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/harness"
	"coup/harness/timeline"
)

// Progress gathers what is known so far of a run, line by line as the run writes it, and
// shows it as the report of the run will. Its memory is bounded, however long the run is,
// and whatever stands in its files: of too many events the earliest are forgotten. Not safe
// for concurrent use.
type Progress struct {
	curves     Curves
	nodes      []string
	tells      harness.Facts
	events     []harness.Event // but for what nodes said when they were asked
	forgotten  int
	polls      timeline.Polls
	look       timeline.Look         // the poll that is not complete yet
	open       map[int]time.Duration // by process: since when it waits
	named      map[string]bool       // nodes with lanes
	end        time.Duration         // the newest moment that is known
	phase      string                // the last one
	violations int                   // and the first of them:
	violation  string
	zero       time.Duration // where the curves begin
}

const (
	mostEvents = 10_000
	mostOpen   = 20_000
	mostLanes  = 200
	mostText   = 2000          // of what an event says
	mostLinks  = mostLanes * 4 // of an event
)

// NewProgress begins a run of which nothing is known yet but the names of its nodes, and
// what they tell about themselves.
func NewProgress(nodes []string, tells harness.Facts) *Progress {
	p := &Progress{nodes: nodes[:min(len(nodes), mostLanes)], tells: tells, open: map[int]time.Duration{}, named: map[string]bool{}}
	for _, n := range p.nodes {
		p.named[n] = true
	}
	return p
}

// CurvesFrom makes the curves begin at a moment of the run. What ended before is left out.
// It is called before any operation is added.
func (p *Progress) CurvesFrom(zero time.Duration) { p.zero = zero }

// Curves are the operations so far.
func (p *Progress) Curves() *Curves { return &p.curves }

// HistoryLine adds a line of the history; it is false if the line makes no sense. Lines that make
// none together are let pass: of an operation of which the invocation is not known, only the
// end counts.
func (p *Progress) HistoryLine(line []byte) bool {
	var op struct {
		Time    time.Duration `json:"time"`
		Process *int          `json:"process"`
		Type    *harness.Type `json:"type"`
	}
	if json.Unmarshal(line, &op) != nil || op.Process == nil || op.Type == nil {
		return false
	}
	p.operation(max(op.Time, 0), *op.Process, *op.Type)
	return true
}

func (p *Progress) operation(at time.Duration, process int, how harness.Type) {
	p.end = max(p.end, at)
	if how == harness.Invoke {
		if len(p.open) < mostOpen {
			p.open[process] = at
		}
		return
	}
	start, known := p.open[process]
	delete(p.open, process)
	if !known {
		start = at
	}
	p.curves.Add(start-p.zero, at-p.zero, how)
}

// EventLine adds a line of the events; it is false if the line makes no sense.
func (p *Progress) EventLine(line []byte) bool {
	var e harness.Event
	if json.Unmarshal(line, &e) != nil || e.Kind == "" {
		return false
	}
	p.event(e)
	return true
}

func (p *Progress) event(e harness.Event) {
	e.Time = max(e.Time, 0)
	p.end = max(p.end, e.Time)
	if e.Node != "" && !p.knows(e.Node) {
		return
	}
	switch e.Kind {
	case harness.StateEvent:
		p.poll(e)
		return
	case harness.HeartbeatsEvent: // which the report tells
		return
	case harness.PhaseEvent:
		p.phase = e.Message
	case harness.ViolationEvent:
		if p.violations++; p.violations > 1 {
			return // the first one tells
		}
		p.violation = short(e.Message)
	}
	e.Message, e.Fault, e.Target = short(e.Message), short(e.Fault), short(e.Target)
	e.Nodes = slices.DeleteFunc(slices.Clone(e.Nodes), func(n string) bool { return !p.knows(n) })
	e.Links = e.Links[:min(len(e.Links), mostLinks)]
	p.keep(e)
}

// knows says whether a node has a lane, and gives it one if there is room.
func (p *Progress) knows(node string) bool {
	if !p.named[node] && len(p.named) < mostLanes {
		p.named[node] = true
	}
	return p.named[node]
}

func short(s string) string {
	if len(s) > mostText {
		return strings.ToValidUTF8(s[:mostText], "") + "…"
	}
	return s
}

// poll makes changes of role of what nodes say when they are asked. What nodes tell by
// themselves counts more.
func (p *Progress) poll(e harness.Event) {
	if e.Role == "" || p.tells.Has(harness.Events) {
		return
	}
	if p.look.Time != e.Time && p.look.Nodes != nil {
		p.keep(p.polls.Add(p.look)...)
		p.look.Nodes = nil
	}
	if p.look.Nodes == nil {
		p.look = timeline.Look{Time: e.Time, Nodes: map[string]harness.Event{}}
	}
	p.look.Nodes[e.Node] = e
}

func (p *Progress) keep(events ...harness.Event) {
	p.events = append(p.events, events...)
	if n := len(p.events) - mostEvents; n > 0 {
		// Many at once, so that it is seldom. Phases are few, and say where all else belongs.
		early := p.events[:mostEvents/4]
		before := len(p.events)
		kept := slices.DeleteFunc(slices.Clone(early), func(e harness.Event) bool { return e.Kind != harness.PhaseEvent })
		kept = kept[:min(len(kept), mostEvents/100)]
		p.events = append(kept, p.events[len(early):]...)
		p.forgotten += before - len(p.events)
	}
}

// LoadBegan is when clients began to work at will; -1 if they have not yet.
func (p *Progress) LoadBegan() time.Duration {
	for _, e := range p.events {
		if e.Enters(harness.PhaseLoad) {
			return e.Time
		}
	}
	return -1
}

// Known is what the page of a run under way shows, as JSON.
type Known struct {
	data
	Source  string         `json:"source,omitempty"` // the address that tells it anew
	Behind  bool           `json:"behind"`           // there is more in the files
	Over    bool           `json:"over"`             // there is a verdict
	Gone    bool           `json:"gone"`             // there is nothing any more
	Verdict string         `json:"verdict"`          // a word
	Says    string         `json:"says"`             // in a sentence, how the run stands
	Report  string         `json:"report"`           // the address of the report; "" if there is none yet
	Notes   []string       `json:"notes"`            // what to know about the page itself
	Phase   string         `json:"phase"`
	Leaders string         `json:"leaders"` // who leads, in words
	Ended   map[string]int `json:"ended"`   // operations, by how they ended
	Waiting int            `json:"waiting"` // operations that are under way
	Oldest  seconds        `json:"oldest"`  // how long one of them has waited
	InForce []string       `json:"inForce"` // faults, in words
	Found   int            `json:"found"`   // violations
	First   string         `json:"first"`   // the first of them
	Logs    []Log          `json:"logs"`
}

// Log is the end of what a node wrote.
type Log struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Known is what is known so far. over says that the run is, so that nothing is in force any more.
func (p *Progress) Known(over bool) Known {
	if p.look.Nodes != nil && over {
		p.keep(p.polls.Add(p.look)...)
		p.look.Nodes = nil
	}
	harness.SortEvents(p.events)
	h := &harness.History{Events: p.events, Nodes: p.nodes, Tells: p.tells}
	faults := gatherFaults(h, p.end)
	k := Known{data: p.data(h, faults), Phase: p.phase, Found: p.violations, First: p.violation, Notes: []string{}, InForce: []string{},
		Ended: map[string]int{}, Waiting: len(p.open), Logs: []Log{}}
	for _, how := range []harness.Type{harness.OK, harness.Fail, harness.Info} {
		k.Ended[how.String()] = p.curves.ended[how]
	}
	for _, since := range p.open {
		k.Oldest = max(k.Oldest, inSeconds(p.end-since))
	}
	k.Leaders = leadersOf(k.Lanes, p.end)
	for _, f := range faults {
		if !f.Ended && !f.Skipped && f.Missed == "" && f.Hold >= 0 && !over {
			k.InForce = append(k.InForce, strings.TrimSuffix(f.Label()+": "+f.Victims(), ": "))
		}
	}
	if p.forgotten > 0 {
		k.Notes = append(k.Notes, fmt.Sprintf("The earliest %s are not shown: the report will have them.", plural(p.forgotten, "event")))
	}
	return k
}

// leadersOf says which nodes take themselves for the leader in the end, that of the highest
// term first.
func leadersOf(lanes []lane, end time.Duration) string {
	type leader struct {
		lane
		term uint64
	}
	var all []leader
	for _, l := range lanes {
		if n := len(l.Spans); n > 0 && l.Spans[n-1].Role == "leader" && l.Spans[n-1].To == inSeconds(end) {
			all = append(all, leader{l, l.Spans[n-1].Term})
		}
	}
	slices.SortStableFunc(all, func(a, b leader) int { return cmp.Compare(b.term, a.term) })
	var said []string
	for _, l := range all {
		text := l.Node
		if l.term > 0 {
			text += fmt.Sprintf(", term %d", l.term)
		}
		if n := len(l.Frozen); n > 0 && l.Frozen[n-1].To == inSeconds(end) {
			text += " (paused)"
		}
		said = append(said, text)
	}
	return strings.Join(said, "; ")
}

// data are the curves, lanes and bands, in the form of the report.
func (p *Progress) data(h *harness.History, faults []*fault) data {
	forRates, forLatencies := p.curves.widths(p.end)
	r, l := p.curves.draw(forRates, forLatencies, p.end)
	// The last bin is not full yet: its rates would always be too low.
	if n := len(r.At) - 1; n > 0 && p.end%forRates != 0 && p.phase != string(harness.PhaseDone) {
		r = rates{r.At[:n], r.OK[:n], r.Fail[:n], r.Info[:n]}
	}
	d := data{Duration: inSeconds(p.end), Total: 1, Faults: []dataFault{}, Phases: []dataMoment{}, Violations: []dataMoment{}, Proofs: []dataProof{},
		Rates: r, Latency: l, Lanes: gatherLanes(h, faults, p.end)}
	d.addEvents(p.events, faults)
	return d
}
