package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/cluster/trace"
	"coup/harness"
)

// Trace reads the trace of a run from its beginning, and leaves out what
// happened at times that are not wanted: see trace.Read.
type Trace func(wanted func(time.Duration) bool) iter.Seq2[*trace.Event, error]

// tracePart is what the template sees of the trace.
type tracePart struct {
	Windows int
	Packed  template.HTML // the windows; base64 needs no escaping
	Notes   []string
}

// Bounds on what a window of the trace holds, and by that on the size of the
// page. What is nearest to the operations of the counterexample stays.
const (
	mostMessages = 2500 // that say something
	mostIdle     = 1500 // heartbeats, polls
	mostMarks    = 1500 // of each kind
	mostBeliefs  = 6000 // of all nodes, positions in logs among them
	longestText  = 300
	beforeWindow = 600 * time.Millisecond // read, but not shown: who believes what
	afterWindow  = 300 * time.Millisecond // read, but not shown: what arrives late
)

// Times in the page's data are whole microseconds since the start of the run.

// dataWindow is a window as the scripts see it.
type dataWindow struct {
	Title    string         `json:"title"`
	At       int64          `json:"at"` // when that happened
	From     int64          `json:"from"`
	To       int64          `json:"to"`
	Proof    int            `json:"proof"` // -1: none
	Ops      []dataTracedOp `json:"ops"`
	Nodes    []string       `json:"nodes"`    // and the clients, the last one
	Words    []string       `json:"words"`    // kinds and texts
	Messages [][]int64      `json:"messages"` // sent, arrived or -1, from, to, kind, text, flags, packet
	Marks    [][]int64      `json:"marks"`    // at, until or -1, node or -1, kind, text
	Beliefs  [][][]int64    `json:"beliefs"`  // of each node: at, role, term, leader, last, commit
	LeftOut  map[string]int `json:"leftOut"`
	Cause    *dataCause     `json:"cause,omitempty"` // in this window
	Twice    []string       `json:"twice,omitempty"` // what several entries of the log hold alike
}

// dataCause is what the trace opens at.
type dataCause struct {
	At   int64  `json:"at"`
	Text string `json:"text"`
}

type dataTracedOp struct {
	Process int    `json:"process"`
	Text    string `json:"text"`
	Type    string `json:"type"`
	Node    string `json:"node"`
	Start   int64  `json:"start"`
	End     int64  `json:"end"` // -1: never answered
}

// Flags of a message.
const (
	flagReply = 1 << iota
	flagIdle  // says only that somebody is there
	flagLost  // was lost at least once on its way
	flagKey   // concerns an object of the counterexample
	flagClient
	flagElection
	flagOwn // belongs to an operation of the counterexample
)

// gatherTrace reads what the windows show.
func gatherTrace(in *Input, windows []traceWindow, left int, lanes []lane, faults []*fault) (tracePart, error) {
	var part tracePart
	var builders []*windowBuilder
	for _, w := range windows {
		builders = append(builders, newWindowBuilder(w, in, lanes, faults))
	}
	wanted := func(t time.Duration) bool {
		return slices.ContainsFunc(windows, func(w traceWindow) bool {
			return t >= w.From-beforeWindow && t <= w.To+afterWindow
		})
	}
	last := time.Duration(0)
	for e, err := range in.Trace(wanted) {
		if errors.Is(err, trace.ErrTorn) {
			part.Notes = append(part.Notes, "The trace breaks off at "+clock(last)+": the run was killed.")
			break
		}
		if err != nil {
			return part, err
		}
		last = e.Time
		for _, b := range builders {
			if e.Time >= b.From-beforeWindow && e.Time <= b.To+afterWindow {
				b.take(e)
			}
		}
	}
	if left > 0 {
		part.Notes = append(part.Notes, fmt.Sprintf("Not in this page, because they matter less: %s. The trace file holds all of the run.", plural(left, "more moment")))
	}
	var all []dataWindow
	for _, b := range builders {
		all = append(all, b.data())
	}
	text, err := json.Marshal(all)
	if err != nil {
		return part, err
	}
	part.Windows = len(all)
	packed, err := deflate(text)
	part.Packed = template.HTML(packed)
	return part, err
}

// windowBuilder makes a window from the trace.
type windowBuilder struct {
	traceWindow
	nodes    []string
	number   map[string]int64
	words    table
	packets  map[uint64]*packet
	messages nearest
	idle     nearest
	marks    map[string]*nearest
	syncs    map[uint64]*shown
	beliefs  map[string]*beliefs
	events   []harness.Event     // of the nodes, that are still to come
	entries  map[string][]string // of logs, that concern objects of the counterexample: their positions
	order    int
}

// packet is one whose fate is not known yet.
type packet struct {
	rows []*shown
}

// shown is a line of the window's data, with what decides whether it stays.
type shown struct {
	at    time.Duration
	class int           // less matters more
	far   time.Duration // from what the window is about
	order int
	row   []int64
	// kind and text get their places in row, from words on, when it is known
	// which rows stay.
	kind, text string
	words      int
}

func newWindowBuilder(w traceWindow, in *Input, lanes []lane, faults []*fault) *windowBuilder {
	b := &windowBuilder{
		traceWindow: w, number: map[string]int64{}, packets: map[uint64]*packet{}, syncs: map[uint64]*shown{},
		messages: nearest{most: mostMessages}, idle: nearest{most: mostIdle}, marks: map[string]*nearest{}, beliefs: map[string]*beliefs{}, entries: map[string][]string{},
	}
	b.words.number("")
	for _, l := range lanes {
		if !slices.Contains(b.nodes, l.machine()) {
			b.nodes = append(b.nodes, l.machine())
		}
	}
	b.nodes = append(b.nodes, trace.Clients)
	for i, n := range b.nodes {
		b.number[n] = int64(i)
		b.beliefs[n] = &beliefs{}
	}
	for _, e := range withKills(in.Events, faults) {
		if e.Time < w.From-beforeWindow {
			b.believe(e)
		} else if e.Time <= w.To {
			b.events = append(b.events, e)
		}
	}
	return b
}

// distance is how far t is from the operations that the window is about.
func (b *windowBuilder) distance(t time.Duration) time.Duration {
	if len(b.Ops) == 0 {
		return max(t-b.From, 0) // a failover matters from its beginning on
	}
	far := b.To
	for _, o := range b.Ops {
		far = min(far, max(o.Start-t, t-max(o.End, o.Start), 0))
	}
	return far
}

func (b *windowBuilder) inside(t time.Duration) bool { return t >= b.From && t <= b.To }

func (b *windowBuilder) newRow(at time.Duration, class int, kind, text string, words int, row ...int64) *shown {
	b.order++
	return &shown{at: at, class: class, far: b.distance(at), order: b.order, row: row, kind: kind, text: text, words: words}
}

func (b *windowBuilder) word(s string) int64 {
	if len(s) > longestText {
		s = strings.ToValidUTF8(s[:longestText], "") + "…"
	}
	return b.words.number(s)
}

// take adds an event of the trace.
func (b *windowBuilder) take(e *trace.Event) {
	for len(b.events) > 0 && b.events[0].Time <= e.Time {
		b.believe(b.events[0])
		b.events = b.events[1:]
	}
	switch e.Kind {
	case trace.Send:
		b.send(e)
	case trace.Lost, trace.Held:
		if p := b.packets[e.ID]; p != nil {
			for _, r := range p.rows {
				r.row[6] |= flagLost
				r.class = 0
			}
		}
	case trace.Arrive:
		if p := b.packets[e.ID]; p != nil {
			for _, r := range p.rows {
				r.row[1] = e.Time.Microseconds()
			}
			delete(b.packets, e.ID)
		}
	case trace.Dropped:
		if p := b.packets[e.ID]; p != nil {
			for _, r := range p.rows {
				r.row[6] |= flagLost
			}
			delete(b.packets, e.ID)
		}
	case trace.Sync:
		b.syncs[e.ID] = b.mark(e.Kind, e, "fsync "+e.Path)
	case trace.Synced:
		if s := b.syncs[e.ID]; s != nil {
			s.row[1] = e.Time.Microseconds()
			if e.Text != "" {
				s.text += ": " + e.Text
			}
			delete(b.syncs, e.ID)
		}
	case trace.Write:
		text := e.Text
		if text == "" {
			text = plural(e.Bytes, "byte")
		}
		b.mark(e.Kind, e, "writes "+e.Path+": "+text)
		b.wrote(e)
	case trace.Name:
		b.mark(trace.Write, e, e.Text+" "+e.Path)
	case trace.Boot:
		b.mark("life", e, fmt.Sprintf("process %d starts", e.ID))
		b.believe(harness.Event{Time: e.Time, Kind: harness.BootEvent, Node: e.Node})
	case trace.Exit:
		b.mark("life", e, fmt.Sprintf("process %d ended: %s", e.ID, e.Text))
		b.believe(harness.Event{Time: e.Time, Kind: harness.ExitEvent, Node: e.Node})
	case trace.Freeze, trace.Thaw, trace.Power, trace.Terminate, trace.Machine:
		words := map[string]string{trace.Freeze: "is frozen", trace.Thaw: "goes on", trace.Power: "loses power", trace.Terminate: "is asked to end"}[e.Kind]
		b.mark("life", e, strings.TrimSpace(words+" "+e.Text))
	case trace.Cuts:
		text := "the network is whole"
		if e.Text != "" {
			text = "lost: " + e.Text
		}
		b.mark("cuts", e, text)
	case trace.Log:
		b.mark(e.Kind, e, e.Text)
	case trace.Wake:
		b.mark(e.Kind, e, "wakes: "+e.Text)
	case trace.Dial, trace.Refused, trace.Reset:
		b.mark("connection", e, strings.TrimSpace(fmt.Sprintf("%s %s:%d %s", e.Kind, e.To, e.Port, e.Text)))
	}
}

func (b *windowBuilder) mark(kind string, e *trace.Event, text string) *shown {
	node, ok := b.number[e.Node]
	if !ok {
		node = -1
	}
	s := b.newRow(e.Time, 0, kind, text, 3, e.Time.Microseconds(), -1, node, 0, 0)
	if b.inside(e.Time) {
		if b.marks[kind] == nil {
			b.marks[kind] = &nearest{most: mostMarks}
		}
		b.marks[kind].add(s)
	}
	return s
}

func (b *windowBuilder) send(e *trace.Event) {
	from, ok := b.number[e.Node]
	to, ok2 := b.number[e.To]
	if !ok || !ok2 {
		return
	}
	p := &packet{}
	for _, m := range e.Messages {
		if s := m.Sender; s != nil {
			b.beliefs[e.Node].hear(e.Time, *s)
		}
		flags, class := int64(0), 2
		set := func(flag int64, to int) {
			flags |= flag
			class = min(class, to)
		}
		if m.Reply {
			flags |= flagReply
		}
		if m.Idle {
			flags |= flagIdle
		}
		if e.Node == trace.Clients || e.To == trace.Clients {
			flags |= flagClient
		} else if m.Kind != "AppendEntries" && !m.Idle {
			set(flagElection, 1) // votes, snapshots: rare, and they tell most
		}
		if slices.ContainsFunc(m.Keys, func(k string) bool { return b.keys[k] }) {
			set(flagKey, 1)
			if b.own(e) {
				set(flagOwn, 0)
			}
		}
		row := b.newRow(e.Time, class, m.Kind, m.Text, 4, e.Time.Microseconds(), -1, from, to, 0, 0, flags, int64(e.ID))
		p.rows = append(p.rows, row)
		if !b.inside(e.Time) {
			continue
		}
		if m.Idle {
			b.idle.add(row)
		} else {
			b.messages.add(row)
		}
	}
	if len(p.rows) > 0 {
		b.packets[e.ID] = p
	}
}

// own says whether a packet concerns an object of the counterexample, and was sent
// while one of its operations was under way. If a client sends or receives the packet,
// it must also go between clients and the node of that operation.
func (b *windowBuilder) own(e *trace.Event) bool {
	return slices.ContainsFunc(b.Ops, func(o tracedOp) bool {
		other := e.Node == trace.Clients && e.To != o.Node || e.To == trace.Clients && e.Node != o.Node
		return !other && e.Time >= o.Start-time.Millisecond && (o.End < 0 || e.Time <= o.End+time.Millisecond)
	})
}

// wrote notes what a node wrote to its log: that tells the end of the log before any
// message does.
func (b *windowBuilder) wrote(e *trace.Event) {
	if n := b.beliefs[e.Node]; n != nil {
		n.set(e.Time, func(s *belief) { s.last = trace.LogEnd(s.last, e.Text) })
	}
	for part := range strings.SplitSeq(e.Text, ", ") {
		position, what, ok := strings.Cut(part, ": ")
		number, _, _ := strings.Cut(position, " of term ")
		if !ok || len(number) == len(position) || !b.inside(e.Time) {
			continue
		}
		if words := strings.Fields(what); !slices.ContainsFunc(words, func(w string) bool { return b.keys[w] }) {
			continue
		}
		if at := b.entries[what]; !slices.Contains(at, number) && len(at) < 3 {
			b.entries[what] = append(at, number)
		}
	}
}

// believe notes what a node reported about itself.
func (b *windowBuilder) believe(e harness.Event) {
	n := b.beliefs[e.Node]
	if n == nil || e.Shard > 0 { // a node believes something else of each shard
		return
	}
	switch e.Kind {
	case harness.RoleEvent:
		n.set(e.Time, func(s *belief) {
			s.role, s.term = e.Role, max(s.term, e.Term)
			if e.Role == "leader" {
				s.leader = e.Node
			} else if s.leader == e.Node {
				s.leader = ""
			}
		})
	case harness.LeaderEvent:
		n.set(e.Time, func(s *belief) { s.leader, s.term = e.Leader, max(s.term, e.Term) })
	case harness.BootEvent:
		n.set(e.Time, func(s *belief) { *s = belief{role: roleStarting} })
	case harness.ExitEvent:
		n.set(e.Time, func(s *belief) { *s = belief{role: roleDown} })
	}
}

// data is the window, in the order of time.
func (b *windowBuilder) data() dataWindow {
	for _, e := range b.events {
		b.believe(e)
	}
	d := dataWindow{
		Title: b.Title, At: b.At.Microseconds(), From: b.From.Microseconds(), To: b.To.Microseconds(), Proof: b.Proof, Ops: []dataTracedOp{},
		Nodes: b.nodes, Messages: [][]int64{}, Marks: [][]int64{}, Beliefs: [][][]int64{}, LeftOut: map[string]int{},
	}
	if b.cause != nil {
		d.Cause = &dataCause{b.cause.at.Microseconds(), b.cause.text}
	}
	for _, o := range b.Ops {
		end := int64(-1)
		if o.End >= 0 {
			end = o.End.Microseconds()
		}
		d.Ops = append(d.Ops, dataTracedOp{o.Process, o.Text, o.Type, o.Node, o.Start.Microseconds(), end})
	}
	leftOut := func(what string, n int) {
		if n > 0 {
			d.LeftOut[what] += n
		}
	}
	rows, left := b.messages.rows()
	leftOut("messages", left)
	idle, left := b.idle.rows()
	leftOut("heartbeats and polls", left)
	d.Messages = b.inOrder(append(rows, idle...))
	var marks []*shown
	for _, kind := range []string{trace.Log, trace.Write, trace.Sync, trace.Wake, "life", "cuts", "connection"} {
		if b.marks[kind] == nil {
			continue
		}
		rows, left := b.marks[kind].rows()
		leftOut(map[string]string{trace.Log: "log lines", trace.Write: "writes", trace.Sync: "fsyncs", trace.Wake: "wake-ups"}[kind], left)
		marks = append(marks, rows...)
	}
	d.Marks = b.inOrder(marks)
	for _, n := range b.nodes[:len(b.nodes)-1] {
		leftOut("changes of positions in logs", b.beliefs[n].thin(mostBeliefs/len(b.nodes), b.distance))
		d.Beliefs = append(d.Beliefs, b.beliefs[n].rows(b.From, b.To, b.word))
	}
	for _, what := range slices.Sorted(maps.Keys(b.entries)) {
		if at := b.entries[what]; len(at) > 1 && len(d.Twice) < 3 {
			d.Twice = append(d.Twice, fmt.Sprintf("Entries %s, as they were written to logs, are the same: %s.", strings.Join(at, " and "), what))
		}
	}
	d.Words = b.words.names
	return d
}

func (b *windowBuilder) inOrder(all []*shown) [][]int64 {
	slices.SortFunc(all, func(a, b *shown) int { return cmp.Or(cmp.Compare(a.at, b.at), a.order-b.order) })
	rows := make([][]int64, 0, len(all))
	for _, s := range all {
		s.row[s.words], s.row[s.words+1] = b.word(s.kind), b.word(s.text)
		rows = append(rows, s.row)
	}
	return rows
}

// nearest keeps the rows that matter most, up to a number.
type nearest struct {
	most int
	all  []*shown
	seen int
}

func (n *nearest) add(s *shown) {
	n.seen++
	if n.all = append(n.all, s); len(n.all) >= 4*n.most {
		n.cut()
	}
}

func (n *nearest) cut() {
	if len(n.all) <= n.most {
		return
	}
	slices.SortFunc(n.all, func(a, b *shown) int {
		return cmp.Or(a.class-b.class, cmp.Compare(a.far, b.far), a.order-b.order)
	})
	n.all = slices.Delete(n.all, n.most, len(n.all))
}

func (n *nearest) rows() (all []*shown, left int) {
	n.cut()
	return n.all, n.seen - len(n.all)
}

// belief is what a node takes for true at a time.
type belief struct {
	role, leader       string
	term, last, commit uint64
}

// beliefs are those of a node over time, in the order in which they came to be known.
type beliefs struct {
	now belief
	all []believed
}

type believed struct {
	at time.Duration
	belief
}

func (n *beliefs) set(at time.Duration, change func(*belief)) {
	before := n.now
	if change(&n.now); n.now != before {
		n.all = append(n.all, believed{at, n.now})
	}
}

// thin leaves out changes of nothing but positions in the log until there are no more
// than most of these, those farthest away, and says how many. What stays is as it was:
// what a node knew is never dated earlier.
func (n *beliefs) thin(most int, far func(time.Duration) time.Duration) int {
	n.inOrder()
	var positions []int
	for i := 1; i < len(n.all); i++ {
		same := n.all[i-1].belief
		if same.last, same.commit = n.all[i].last, n.all[i].commit; same == n.all[i].belief {
			positions = append(positions, i)
		}
	}
	if len(positions) <= most {
		return 0
	}
	slices.SortStableFunc(positions, func(a, b int) int { return cmp.Compare(far(n.all[a].at), far(n.all[b].at)) })
	out := map[int]bool{}
	for _, i := range positions[most:] {
		out[i] = true
	}
	i := -1
	n.all = slices.DeleteFunc(n.all, func(believed) bool { i++; return out[i] })
	return len(out)
}

func (n *beliefs) inOrder() {
	slices.SortStableFunc(n.all, func(a, b believed) int { return cmp.Compare(a.at, b.at) })
}

// hear notes what a message of a node tells about its sender.
func (n *beliefs) hear(at time.Duration, told trace.Belief) {
	n.set(at, func(s *belief) {
		if told.Term >= s.term {
			if told.Role != "" {
				s.role = told.Role
			}
			if told.Leader != "" {
				s.leader = told.Leader
			}
		}
		s.term = max(s.term, told.Term)
		if told.Last > 0 {
			s.last = told.Last
		}
		s.commit = max(s.commit, told.Commit)
	})
}

// rows are the beliefs from the beginning of the window on.
func (n *beliefs) rows(from, to time.Duration, word func(string) int64) [][]int64 {
	n.inOrder()
	rows := [][]int64{}
	for i, b := range n.all {
		if b.at > to || i+1 < len(n.all) && n.all[i+1].at <= from {
			continue
		}
		rows = append(rows, []int64{max(b.at, from).Microseconds(), word(b.role), int64(b.term), word(b.leader), int64(b.last), int64(b.commit)})
	}
	return rows
}
