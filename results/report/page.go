package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"coup/harness"
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
	Faults   []faultRow
	Results  []resultRow
	Command  string
	Plan     []Field
	Total    int  // operations of the run
	Listed   int  // of these in the list
	AllFails bool // all that failed are listed
	Data     data
	Columns  template.HTML // the operations, packed; base64 needs no escaping
}

// verdict is what the top of the page says.
type verdict struct {
	Class    string // valid, invalid, unknown
	Word     string
	Sentence string
	Why      []string
}

// figure is one of the run's numbers at a glance.
type figure struct {
	Name, Value, Note string
}

// proof is a counterexample.
type proof struct {
	Index   int
	Checker string
	Summary string
	Key     string
	Story   []string
	Witness []harness.Witness
}

type resultRow struct {
	harness.Result
	Class   string
	Pretty  string
	Figures bool // it gives figures and no verdict
}

type faultRow struct {
	*fault
	Served *faultAvailability
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
	Proofs     []dataProof  `json:"proofs"`
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

type dataProof struct {
	Key string          `json:"key"`
	Ops []dataWitnessed `json:"ops"`
}

type dataWitnessed struct {
	Process int     `json:"process"`
	Key     string  `json:"key"`
	Text    string  `json:"text"`
	Type    string  `json:"type"`
	Start   seconds `json:"start"`
	End     seconds `json:"end"` // below 0: it never ended
	Node    string  `json:"node"`
	Line    int     `json:"line"`
	Row     int     `json:"row"` // in the list of operations; -1: not there
}

func newPage(in *Input) (*page, error) {
	a, err := loadAssets()
	if err != nil {
		return nil, err
	}
	end := endOf(in)
	faults := gatherFaults(in.Events, end)
	p := &page{
		assets: a, Title: in.Title, Started: in.Started, Lasted: span(end), Nodes: in.Nodes,
		Command: in.Command, Plan: in.Plan, Total: len(in.Operations),
	}
	if p.Title == "" {
		p.Title = "coup run"
	}

	var availability availabilityDetails
	hasAvailability := details(in.Verdict.Results, "availability", &availability)
	var changes failoverDetails
	p.Changes.Known = details(in.Verdict.Results, "failovers", &changes)
	p.Changes.fill(changes.Failovers)

	calls := map[call]int{}
	for i, r := range in.Verdict.Results {
		row := resultRow{Result: r, Class: r.Valid.String(), Pretty: prettyDetails(r.Details, 20_000)}
		row.Figures = r.Valid == harness.Valid && (r.Checker == "availability" || r.Checker == "failovers")
		p.Results = append(p.Results, row)
		if c := r.Counterexample; c != nil {
			p.Proofs = append(p.Proofs, proof{i, r.Checker, r.Summary, c.Key, c.Story, c.Witness})
			for _, w := range c.Witness {
				calls[call{w.Process, time.Duration(w.Start)}] = -1
			}
		}
	}
	for i := range p.Proofs {
		p.Proofs[i].Index = i
	}
	findCalls(in.Operations, calls)
	fillLines(p.Proofs, in.Operations, calls)
	keep := map[int]bool{}
	for _, i := range calls {
		keep[i] = true
	}
	list := chooseOperations(in.Operations, in.MaxOperations, keep)
	p.Listed, p.AllFails = len(list.rows), list.allFails
	columns, err := list.encode()
	if err != nil {
		return nil, fmt.Errorf("values of the operations: %w", err)
	}
	p.Columns = template.HTML(columns)

	served := map[int]*faultAvailability{}
	for i := range availability.Faults {
		served[availability.Faults[i].ID] = &availability.Faults[i]
	}
	for _, f := range faults {
		p.Faults = append(p.Faults, faultRow{f, served[f.ID]})
	}

	p.Data = data{
		Duration: inSeconds(end), Total: p.Total, Listed: p.Listed,
		Faults: []dataFault{}, Phases: []dataMoment{}, Violations: []dataMoment{}, Proofs: []dataProof{},
		Rates:   gatherRates(in.Operations, end),
		Latency: gatherLatencies(in.Operations, end),
		Lanes:   gatherLanes(in.Nodes, in.Events, faults, end),
	}
	for _, f := range faults {
		if f.Skipped {
			continue
		}
		p.Data.Faults = append(p.Data.Faults, dataFault{
			f.ID, f.Name, f.Label(), f.Victims(), inSeconds(max(f.Start, 0)), inSeconds(f.End), f.Missed,
		})
	}
	for _, e := range in.Events {
		switch e.Kind {
		case harness.PhaseEvent:
			p.Data.Phases = append(p.Data.Phases, dataMoment{inSeconds(max(e.Time, 0)), e.Message})
		case harness.ViolationEvent:
			p.Data.Violations = append(p.Data.Violations, dataMoment{inSeconds(max(e.Time, 0)), e.Message})
		}
	}
	for _, c := range p.Proofs {
		p.Data.Proofs = append(p.Data.Proofs, dataProofOf(c, calls, list.rows))
	}

	p.Verdict = sayVerdict(in, p, end)
	var measured *availabilityDetails
	if hasAvailability {
		measured = &availability
	}
	p.Figures = gatherFigures(in, p, measured)
	return p, nil
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

// fillLines adds the lines of the history to the witnesses that came without.
func fillLines(proofs []proof, ops []harness.Operation, calls map[call]int) {
	for i := range proofs {
		proofs[i].Witness = slices.Clone(proofs[i].Witness)
		for j := range proofs[i].Witness {
			w := &proofs[i].Witness[j]
			if at := calls[call{w.Process, time.Duration(w.Start)}]; w.Line == 0 && at >= 0 {
				w.Line = ops[at].Call
			}
		}
	}
}

func dataProofOf(c proof, calls map[call]int, rows []int) dataProof {
	d := dataProof{Key: c.Key, Ops: []dataWitnessed{}}
	for _, w := range c.Witness {
		row := -1
		if i := calls[call{w.Process, time.Duration(w.Start)}]; i >= 0 {
			if at, ok := slices.BinarySearch(rows, i); ok {
				row = at
			}
		}
		o := dataWitnessed{
			Process: w.Process, Key: w.Key, Text: w.Text, Type: typeName(w.Type),
			Start: inSeconds(time.Duration(w.Start)), End: -1, Node: w.Node, Line: w.Line, Row: row,
		}
		if w.End >= 0 && (w.Type == harness.OK || w.Type == harness.Fail) {
			o.End = inSeconds(time.Duration(w.End))
		}
		d.Ops = append(d.Ops, o)
	}
	return d
}

func sayVerdict(in *Input, p *page, end time.Duration) verdict {
	v := verdict{Class: in.Verdict.Valid.String()}
	switch in.Verdict.Valid {
	case harness.Valid:
		v.Word, v.Sentence = "Valid", "The system kept its promise"
		with := "without faults"
		if n := len(p.Data.Faults); n > 0 {
			with = "with " + plural(n, "fault")
		}
		v.Sentence += ": in " + span(end) + " " + with + ", no client saw anything that a correct system could not have shown."
		v.Why = in.Verdict.Reasons
		return v
	case harness.Invalid:
		v.Word, v.Sentence = "Invalid", "The system broke its promise, and here is the proof."
		if len(p.Proofs) == 0 {
			v.Sentence = "The system broke its promise."
		}
	default:
		v.Word, v.Sentence = "Unknown", "It could not be decided whether the system kept its promise. Do not take this run for valid."
	}
	v.Why = append(v.Why, in.Verdict.Reasons...)
	for _, r := range in.Verdict.Results {
		said := slices.ContainsFunc(v.Why, func(why string) bool { return strings.Contains(why, r.Summary) })
		if r.Valid == in.Verdict.Valid && r.Summary != "" && !said {
			v.Why = append(v.Why, r.Checker+": "+r.Summary)
		}
	}
	return v
}

func gatherFigures(in *Input, p *page, availability *availabilityDetails) []figure {
	var ok, fail, info int
	var latencies []time.Duration
	for i := range in.Operations {
		switch op := &in.Operations[i]; op.Type {
		case harness.OK:
			ok++
			latencies = append(latencies, op.End-op.Start)
		case harness.Fail:
			fail++
		default:
			info++
		}
	}
	figures := []figure{{"Operations", count(len(in.Operations)),
		fmt.Sprintf("%s ok · %s fail · %s info", count(ok), count(fail), count(info))}}
	if len(latencies) > 0 {
		slices.Sort(latencies)
		at := func(p float64) string { return millis(percentile(latencies, p)) }
		figures = append(figures, figure{"Latency, median", at(0.5), "p99 " + at(0.99) + " · max " + at(1)})
	}
	if availability != nil && availability.LongestGap.Length() > 0 {
		g := availability.LongestGap
		figures = append(figures, figure{"Longest time without success", span(g.Length()), "from " + clock(g.From) + " to " + clock(g.To)})
	}
	if p.Changes.Known {
		figures = append(figures, p.Changes.figure())
	}
	missed, skipped := 0, 0
	for _, f := range p.Faults {
		switch {
		case f.Skipped:
			skipped++
		case f.Missed:
			missed++
		}
	}
	tried := len(p.Faults) - skipped
	note := "all of them bit"
	switch {
	case tried == 0:
		note = "the nemesis did nothing"
	case missed > 0:
		note = count(tried-missed) + " bit · " + count(missed) + " did not"
	}
	if skipped > 0 {
		note += " · " + count(skipped) + " skipped"
	}
	return append(figures, figure{"Faults", count(tried), note})
}
