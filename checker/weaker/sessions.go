package weaker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"coup/checker/graph"
	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Sessions checks session guarantees (Terry et al., "Session guarantees for weakly
// consistent replicated data", 1994) of registers whose values are written once each, key
// by key: what a process may expect after its own reads and writes. It is meant for
// systems whose reads may be stale. It assumes that writes happen in one order, which
// agrees with time and with what compare-and-sets saw, and reports only what no such order
// can explain. It takes linear time. Its Details are [SessionDetails].
type Sessions struct{}

// The guarantees of [Sessions].
const (
	ReadYourWrites    = "read your writes"    // a read shows what the process wrote before, or something newer
	MonotonicReads    = "monotonic reads"     // a read shows what the process read before, or something newer
	MonotonicWrites   = "monotonic writes"    // writes of a process happen in its order
	WritesFollowReads = "writes follow reads" // a write happens after what the process read before
)

// SessionDetails are the Details of [Sessions].
type SessionDetails struct {
	Keys   int      `json:"keys"`   // that were judged
	Left   []string `json:"left"`   // keys that were not, since a value was written twice to them
	Broken []string `json:"broken"` // guarantees
}

// Guarantees are those of [Sessions].
func Guarantees() []string {
	return []string{ReadYourWrites, MonotonicReads, MonotonicWrites, WritesFollowReads}
}

func (d SessionDetails) broke(guarantee string) bool { return slices.Contains(d.Broken, guarantee) }

// Name implements [harness.Checker].
func (Sessions) Name() string { return "sessions" }

// Check implements [harness.Checker].
func (Sessions) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "sessions"}
	m := model.Register()
	if err := m.CheckTypes(h.Operations); err != nil {
		return r, err
	}
	d := SessionDetails{Left: []string{}, Broken: []string{}}
	keys, groups := model.ByKey(h.Operations)
	for _, key := range keys {
		if ctx.Err() != nil {
			r.Valid, r.Summary, r.Details = harness.Unknown, "There was no time to judge all keys.", d
			return r, nil
		}
		s := sessions{ops: groups[key]}
		if !s.gather() {
			d.Left = append(d.Left, key)
			continue
		}
		d.Keys++
		for _, guarantee := range Guarantees() {
			cycle := s.broken(guarantee)
			if cycle == nil || slices.Contains(d.Broken, guarantee) {
				continue
			}
			d.Broken = append(d.Broken, guarantee)
			if r.Counterexample == nil {
				r.Counterexample = s.tell(m, key, guarantee, cycle)
			}
		}
	}
	r.Details = d
	switch {
	case len(d.Broken) > 0:
		r.Valid = harness.Invalid
		r.Summary = "Processes were not shown what they may expect: " + strings.Join(d.Broken, ", ") + "."
	case len(d.Left) > 0:
		r.Valid = harness.Unknown
		r.Summary = fmt.Sprintf("The sessions of %s cannot be judged, where a value was written twice.", story.List(d.Left))
	default:
		r.Summary = fmt.Sprintf("Every process saw its own writes and never went back, on %s.", story.Plural(d.Keys, "key"))
	}
	return r, nil
}

// sessions is the history of one key. Versions are nodes of a graph, in which
// an edge leads from what must be older to what must be newer.
type sessions struct {
	ops      []*harness.Operation
	version  map[model.Maybe]int32
	writers  []*harness.Operation // by version
	graph    *graph.Graph
	byWho    map[int][]*harness.Operation // completed operations and writes, by process
	who      []int
	evidence map[[2]int32][2]*harness.Operation // of the guarantee that is looked at: what an edge follows from
}

// gather finds the versions; false if one has two writers.
func (s *sessions) gather() bool {
	s.version = map[model.Maybe]int32{{}: 0}
	s.writers = []*harness.Operation{nil}
	s.byWho = map[int][]*harness.Operation{}
	for _, op := range s.ops {
		r := model.RegisterEffectOf(op)
		if r.Writes && !(r.Observes && r.Saw == model.Just(r.To)) {
			if _, twice := s.version[model.Just(r.To)]; twice {
				return false
			}
			s.version[model.Just(r.To)] = int32(len(s.writers))
			s.writers = append(s.writers, op)
		}
		if _, seen := s.byWho[op.Process]; !seen {
			s.who = append(s.who, op.Process)
		}
		s.byWho[op.Process] = append(s.byWho[op.Process], op)
	}
	return true
}

// broken looks for a cycle of versions that follows from one guarantee and the order of
// the writes; nil if there is none.
func (s *sessions) broken(guarantee string) []graph.Step {
	s.evidence = map[[2]int32][2]*harness.Operation{}
	g := graph.New(len(s.writers))
	s.graph = g
	// The initial state is older than everything else. Writes follow each other in time,
	// and compare-and-sets follow what they saw.
	for v := 1; v < len(s.writers); v++ {
		g.Edge(0, int32(v), graph.WW)
		if r := model.RegisterEffectOf(s.writers[v]); r.Observes {
			if from, known := s.version[r.Saw]; known {
				g.Edge(from, int32(v), graph.WW)
			}
		}
	}
	byEnd := make([]int32, 0, len(s.writers))
	for v := 1; v < len(s.writers); v++ {
		if s.writers[v].Type == harness.OK {
			byEnd = append(byEnd, int32(v))
		}
	}
	slices.SortFunc(byEnd, func(a, b int32) int { return s.writers[a].Return - s.writers[b].Return })
	const none = int32(-1)
	moment, next := none, 0
	for v := 1; v < len(s.writers); v++ {
		if next < len(byEnd) && s.writers[byEnd[next]].Return < s.writers[v].Call {
			m := g.Node()
			if moment != none {
				g.Edge(moment, m, graph.Link)
			}
			for moment = m; next < len(byEnd) && s.writers[byEnd[next]].Return < s.writers[v].Call; next++ {
				g.Edge(byEnd[next], moment, graph.Realtime)
			}
		}
		if moment != none {
			g.Edge(moment, int32(v), graph.Link)
		}
	}
	for _, who := range s.who {
		s.session(s.byWho[who], guarantee)
	}
	g.Seal()
	component, count := g.Components(graph.WW|graph.Realtime|graph.Process, nil)
	if count == 0 {
		return nil
	}
	return g.Cycle(graph.Process, graph.WW|graph.Realtime|graph.Process, component)
}

// session adds the edges that a guarantee demands of one process: from its last read or
// write to its next one. Edges from earlier ones follow from these.
func (s *sessions) session(ops []*harness.Operation, guarantee string) {
	firstWrites := guarantee == ReadYourWrites || guarantee == MonotonicWrites
	thenWrites := guarantee == MonotonicWrites || guarantee == WritesFollowReads
	var before []*harness.Operation // since the last edge: what must be older
	for _, op := range ops {
		r := model.RegisterEffectOf(op)
		version := func(write bool) (int32, bool) {
			switch {
			case write && r.Writes:
				v, known := s.version[model.Just(r.To)]
				return v, known
			case !write && r.Observes && !r.Writes:
				v, known := s.version[r.Saw]
				return v, known
			}
			return 0, false
		}
		if now, ok := version(thenWrites); ok {
			for _, b := range before {
				old := model.RegisterEffectOf(b)
				was := old.Saw
				if firstWrites {
					was = model.Just(old.To)
				}
				if v := s.version[was]; v != now {
					s.graph.Edge(v, now, graph.Process)
					s.evidence[[2]int32{v, now}] = [2]*harness.Operation{b, op}
				}
			}
			if thenWrites || !firstWrites {
				before = before[:0] // this one stands for them from now on
			}
		}
		if _, ok := version(firstWrites); ok && op.Type == harness.OK {
			if firstWrites {
				before = before[:0] // the writes of a process are in order anyway
			}
			before = append(before, op)
		}
	}
}

func (s *sessions) tell(m model.Model, key, guarantee string, cycle []graph.Step) *harness.Counterexample {
	involved := map[*harness.Operation]bool{}
	for _, st := range cycle {
		if pair, ok := s.evidence[[2]int32{st.From, st.To}]; ok && st.Kind == graph.Process {
			involved[pair[0]], involved[pair[1]] = true, true
		}
		for _, v := range []int32{st.From, st.To} {
			if w := s.writers[v]; w != nil {
				involved[w] = true
			}
		}
	}
	var ops []harness.Operation
	for op := range involved {
		ops = append(ops, *op)
	}
	slices.SortFunc(ops, func(a, b harness.Operation) int { return a.Call - b.Call })
	c := &harness.Counterexample{Key: key, Witness: story.Witnesses(m, ops)}
	for i := range ops {
		c.Story = append(c.Story, story.Sentence(m, ops, i))
	}
	name := func(v int32) string {
		for m, n := range s.version {
			if n == v {
				return m.String()
			}
		}
		return ""
	}
	for _, st := range cycle {
		why := "the one was written before the other"
		if st.Kind == graph.Process {
			why = guarantee
		}
		c.Story = append(c.Story, fmt.Sprintf("%s must be older than %s: %s.", name(st.From), name(st.To), why))
	}
	return c
}
