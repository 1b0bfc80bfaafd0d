package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"coup/checker/conduct"
	"coup/checker/weaker"
	"coup/harness"
	"coup/harness/timeline"
	"coup/workloads"
)

// page is what the template sees.
type page struct {
	assets
	Title    string
	Started  time.Time
	Lasted   string
	Nodes    []string
	Verdict  verdict
	Figures  []figure
	Proofs   []proof
	Changes  failoverTable
	Beats    heartbeatTable
	Sides    partitionTable
	Ways     strangerTable
	Faults   []faultRow
	Gap      timeline.Stretch // the longest time without success; empty if it was not measured
	Results  []resultRow
	Command  string
	Plan     []Field
	Total    int  // operations of the run
	Listed   int  // of these in the list
	AllFails bool // all that failed are listed
	Trace    tracePart
	// TraceCommand is how to get a trace of the run, where there is none.
	TraceCommand string
	Packets      packetsPart
	Data         data
	Columns      template.HTML // the operations, packed; base64 needs no escaping
}

type resultRow struct {
	harness.Result
	Class   string // of its colour
	Word    string
	Pretty  string
	Figures bool // it gives figures and no verdict
}

type faultRow struct {
	*fault
	Served *conduct.FaultAvailability
	Level  string // how long each of its nodes took, after it was healed, to have what the others had
}

// data is what the scripts see.
type data struct {
	Duration   seconds      `json:"duration"`
	Total      int          `json:"total"`
	Listed     int          `json:"listed"`
	Faults     []dataFault  `json:"faults"`
	Phases     []dataMoment `json:"phases"`
	Violations []dataMoment `json:"violations"` // found while the run went on
	Rates      rates        `json:"rates"`
	Latency    latencies    `json:"latencies"`
	Lanes      []lane       `json:"lanes"`
	Lag        *lagCurves   `json:"lag,omitempty"`    // nil: nodes tell no positions
	Shards     int          `json:"shards,omitempty"` // how many logs nodes hold, if several
	Proofs     []dataProof  `json:"proofs"`
	// LeadersWrong says that a checker found two leaders where there must not be.
	LeadersWrong bool `json:"leadersWrong,omitempty"`
}

type dataFault struct {
	ID      int     `json:"id"`
	Name    string  `json:"name"`
	Label   string  `json:"label"`
	Victims string  `json:"victims"`
	From    seconds `json:"from"`
	To      seconds `json:"to"`
	Missed  bool    `json:"missed,omitempty"`
}

type dataMoment struct {
	At   seconds `json:"at"`
	Text string  `json:"text"`
}

func newPage(in *Input) (*page, error) {
	a, err := loadAssets()
	if err != nil {
		return nil, err
	}
	end := endOf(in)
	h := &harness.History{Operations: in.Operations, Events: in.Events, Nodes: in.Nodes, Tells: in.Tells}
	faults := gatherFaults(h, end)
	p := &page{
		assets: a, Title: in.Title, Started: in.Started, Lasted: span(end), Nodes: in.Nodes,
		Command: in.Command, Plan: in.Plan, Total: len(in.Operations),
	}
	if p.Title == "" {
		p.Title = "coup run"
	}
	p.addResults(in.Verdict.Results, timeline.Faults(h, end))
	p.addFaults(faults, in.Verdict.Results)

	calls := findCalls(in.Operations, p.Proofs)
	fillLines(p.Proofs, in.Operations, calls)
	list := chooseOperations(in.Operations, in.MaxOperations, calls)
	p.Listed, p.AllFails = len(list.rows), list.allFails
	columns, err := list.encode()
	if err != nil {
		return nil, fmt.Errorf("values of the operations: %w", err)
	}
	p.Columns = template.HTML(columns)

	p.Data = data{
		Duration: inSeconds(end), Total: p.Total, Listed: p.Listed,
		Faults: []dataFault{}, Phases: []dataMoment{}, Violations: []dataMoment{}, Proofs: []dataProof{},
		Rates:   gatherRates(in.Operations, end),
		Latency: gatherLatencies(in.Operations, end),
		Lanes:   gatherLanes(h, faults, end),
		Lag:     gatherLags(h, end),
	}
	if shards := laneNames(in.Events).shards; len(shards) > 1 {
		p.Data.Shards = len(shards)
	}
	p.Data.addEvents(in.Events, faults)
	reigns := timeline.Reigns(h)
	for i := range p.Proofs {
		p.Proofs[i].addAround(faults, reigns)
		p.Proofs[i].addFrames(in.Captured, in.Dir)
	}
	p.Data.LeadersWrong = slices.ContainsFunc(in.Verdict.Results, func(r harness.Result) bool {
		return r.Valid == harness.Invalid && (r.Checker == conduct.OneLeader{}.Name() || r.Checker == conduct.Deposed{}.Name())
	})
	for _, c := range p.Proofs {
		p.Data.Proofs = append(p.Data.Proofs, dataProofOf(c, calls, list.rows))
	}
	if in.Trace != nil {
		var changes conduct.FailoverDetails
		details(in.Verdict.Results, conduct.Failovers{}.Name(), &changes)
		windows, left := chooseWindows(in, p.Proofs, changes.Failovers, faults, end)
		if p.Trace, err = gatherTrace(in, windows, left, p.Data.Lanes, faults); err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
	} else if len(p.Proofs) > 0 {
		p.TraceCommand = in.TraceCommand
	}
	p.Packets = gatherPackets(in.Captured)
	p.Verdict = sayVerdict(in, p, end)
	p.Figures = gatherFigures(in, p)
	return p, nil
}

func (p *page) addResults(results []harness.Result, faults []*timeline.Fault) {
	for _, r := range results {
		p.Results = append(p.Results, resultRow{
			Result: r, Class: strings.ReplaceAll(r.Valid.String(), " ", "-"), Word: r.Valid.String(), Pretty: prettyDetails(r.Details, 20_000),
			Figures: r.Valid == harness.Valid && measures(r.Checker),
		})
	}
	p.Proofs = gatherProofs(results)
	p.Changes.fill(results, p.Nodes, faults)
	p.Beats.fill(results)
	p.Sides.fill(results)
	p.Ways.fill(results)
}

// measures reports whether a checker gives figures and judges nothing.
func measures(checker string) bool {
	name, _ := workloads.Without(checker)
	return slices.ContainsFunc([]harness.Checker{conduct.Availability{}, conduct.Failovers{}, conduct.Partitions{}, conduct.Lag{}, conduct.Heartbeats{}, conduct.Convergence{}, conduct.Shards{}, weaker.Held{}}, func(c harness.Checker) bool { return c.Name() == name })
}

func (p *page) addFaults(faults []*fault, results []harness.Result) {
	var availability conduct.AvailabilityDetails
	details(results, conduct.Availability{}.Name(), &availability)
	p.Gap = availability.LongestGap
	served := map[int]*conduct.FaultAvailability{}
	for i := range availability.Faults {
		served[availability.Faults[i].ID] = &availability.Faults[i]
	}
	level := levelAgain(results)
	for _, f := range faults {
		p.Faults = append(p.Faults, faultRow{f, served[f.ID], level[f.ID]})
	}
}

// levelAgain says for each fault how long its nodes took to have what the others had.
func levelAgain(results []harness.Result) map[int]string {
	var d conduct.ConvergenceDetails
	details(results, conduct.Convergence{}.Name(), &d)
	said := map[int]string{}
	for _, c := range d.Nodes {
		took := "not until the end"
		switch {
		case c.After >= 0:
			took = millis(c.After)
		case c.Cut:
			took = "not before the next fault"
		}
		said[c.ID] = strings.TrimPrefix(said[c.ID]+", "+c.Node+ofShard(c.Shard)+" "+took, ", ")
	}
	return said
}

func (d *data) addEvents(events []harness.Event, faults []*fault) {
	for _, f := range faults {
		if !f.Skipped {
			d.Faults = append(d.Faults, dataFault{
				f.ID, f.Fault.Fault, f.Label(), f.Victims(), inSeconds(max(f.Start, 0)), inSeconds(f.End), f.Missed != "",
			})
		}
	}
	for _, e := range events {
		switch e.Kind {
		case harness.PhaseEvent:
			d.Phases = append(d.Phases, dataMoment{inSeconds(max(e.Time, 0)), e.Message})
		case harness.ViolationEvent:
			d.Violations = append(d.Violations, dataMoment{inSeconds(max(e.Time, 0)), e.Message})
		}
	}
}

// endOf is the end of the run: the last moment of which anything is known.
func endOf(in *Input) time.Duration {
	var end time.Duration
	for _, e := range in.Events {
		end = max(end, e.Time)
	}
	for i := range in.Operations {
		end = max(end, in.Operations[i].Start, in.Operations[i].End)
	}
	return end
}
