package linearizable

import (
	"cmp"
	"context"
	"slices"

	"coup/checker/model"
	"coup/harness"
)

// inclusionTier decides sets that only grow and are read as a whole, in
// O(n log n) and what it takes to look at every element of every read. It is
// exact, open operations and repeated adds included.
//
// What was read must be a chain of sets, each included in the next. That gives
// the order of everything: the reads of the smallest set, then the adds of what
// the next one shows beyond it, then the reads of that, and so on; at the end
// the adds that no read shows. Within each step the order is free. So it is
// enough to see whether an operation of a later step returned before one of an
// earlier step was called.
//
// Of several adds of one element the first to take effect counts. It can do so
// at any moment between the first call and the first return of them: at that
// moment the one that was called first is still under way. Adds that are open
// and whose element nobody read can be left out.
func inclusionTier(_ context.Context, m model.Model, ops []*harness.Operation) (decision, bool, error) {
	if m.Kind != model.SetKind {
		return decision{}, false, nil
	}
	s := inclusion{ops: ops}
	proof := s.gather()
	if proof == nil {
		proof = s.chain()
	}
	var order []int32
	if proof == nil {
		order, proof = s.order()
	}
	if proof != nil {
		proof = s.complete(proof)
		return decision{valid: harness.Invalid, proof: proof}, true, nil
	}
	return decision{valid: harness.Valid, order: order}, true, nil
}

// member is an element of a set.
type member struct {
	first int32 // the add that was called first
	sure  int32 // the one that returned first
	call  int
	ret   int
	step  int32 // the read that shows it first, in the order of the chain; none if nobody read it
	mark  int32
}

type inclusion struct {
	ops     []*harness.Operation
	index   map[int64]int32
	members []member
	adds    []int32
	reads   []int32 // by the size of what they show
}

func (s *inclusion) gather() []int32 {
	s.index = make(map[int64]int32, len(s.ops)/2)
	for i, op := range s.ops {
		switch {
		case op.F == "read":
			if op.Type == harness.OK {
				s.reads = append(s.reads, int32(i))
			}
			continue
		}
		s.adds = append(s.adds, int32(i))
		v := op.Input.(int64)
		at, known := s.index[v]
		if !known {
			s.index[v] = int32(len(s.members))
			s.members = append(s.members, member{first: int32(i), sure: int32(i), call: op.Call, ret: model.Returned(op), step: none, mark: none})
			continue
		}
		m := &s.members[at]
		if op.Call < m.call {
			m.first, m.call = int32(i), op.Call
		}
		if r := model.Returned(op); r < m.ret {
			m.sure, m.ret = int32(i), r
		}
	}
	for _, r := range s.reads {
		for _, v := range s.shown(r) {
			at, known := s.index[v]
			if !known {
				return []int32{r}
			}
			if s.members[at].mark == r {
				return []int32{r, s.members[at].first} // twice in one read
			}
			s.members[at].mark = r
		}
	}
	slices.SortStableFunc(s.reads, func(a, b int32) int { return cmp.Compare(len(s.shown(a)), len(s.shown(b))) })
	return nil
}

func (s *inclusion) shown(read int32) []int64 { return s.ops[read].Output.([]int64) }

// chain makes sure that each read includes the one before it.
func (s *inclusion) chain() []int32 {
	for n, r := range s.reads {
		old := 0
		for _, v := range s.shown(r) {
			m := &s.members[s.index[v]]
			if m.step == none {
				m.step = int32(n)
			} else {
				old++
			}
		}
		if n == 0 || old == len(s.shown(s.reads[n-1])) {
			continue
		}
		// Something that the read before shows is missing, and as it shows no
		// less, it has something else instead.
		for _, v := range s.shown(r) {
			s.members[s.index[v]].mark = -2 - int32(n)
		}
		for _, v := range s.shown(s.reads[n-1]) {
			if m := &s.members[s.index[v]]; m.mark != -2-int32(n) {
				proof := []int32{s.reads[n-1], r, m.first, m.sure}
				for _, v := range s.shown(r) {
					if m := &s.members[s.index[v]]; m.step == int32(n) {
						return append(proof, m.first, m.sure)
					}
				}
			}
		}
	}
	return nil
}

// order puts everything in order, or finds two operations that contradict it.
func (s *inclusion) order() (order, proof []int32) {
	byStep := make([]int32, 0, len(s.members))
	for i := range s.members {
		if m := &s.members[i]; m.step != none || m.ret != harness.Open {
			byStep = append(byStep, int32(i))
		}
	}
	step := func(i int32) int32 {
		if st := s.members[i].step; st != none {
			return st
		}
		return int32(len(s.reads))
	}
	slices.SortFunc(byStep, func(a, b int32) int {
		return cmp.Or(cmp.Compare(step(a), step(b)), cmp.Compare(s.members[a].call, s.members[b].call))
	})

	order = make([]int32, 0, len(s.ops))
	counted := make([]bool, len(s.ops)) // adds that stand where they take effect
	latest, by := -1, none              // the last call of earlier steps
	pending, pendingBy := -1, none      // and of this one
	place := func(op int32, call, ret int, sure int32) []int32 {
		if ret < latest {
			return []int32{by, sure}
		}
		if call > pending {
			pending, pendingBy = call, op
		}
		order = append(order, op)
		return nil
	}
	next := 0
	for n := 0; n <= len(s.reads); n++ {
		for ; next < len(byStep) && step(byStep[next]) == int32(n); next++ {
			m := &s.members[byStep[next]]
			if p := place(m.first, m.call, m.ret, m.sure); p != nil {
				return nil, s.prove(p)
			}
			counted[m.first] = true
		}
		if n > 0 && n < len(s.reads) && len(s.shown(s.reads[n])) == len(s.shown(s.reads[n-1])) {
			// Another read of the same set.
		} else {
			latest, by = pending, pendingBy
		}
		if n == len(s.reads) {
			break
		}
		r := s.reads[n]
		if p := place(r, s.ops[r].Call, model.Returned(s.ops[r]), r); p != nil {
			return nil, s.prove(p)
		}
		if n+1 == len(s.reads) || len(s.shown(s.reads[n+1])) != len(s.shown(r)) {
			latest, by = pending, pendingBy
		}
	}
	return s.withRepeats(order, counted), nil
}

// prove adds to two operations that contradict the order of steps the reads
// that say which steps they belong to.
func (s *inclusion) prove(pair []int32) []int32 {
	proof := slices.Clone(pair)
	for _, op := range pair {
		if s.ops[op].F != "add" {
			continue
		}
		m := &s.members[s.index[s.ops[op].Input.(int64)]]
		proof = append(proof, m.first, m.sure)
		for _, r := range []int32{m.step - 1, m.step} {
			if m.step != none && r >= 0 {
				proof = append(proof, s.reads[r])
			}
		}
		if m.step == none && len(s.reads) > 0 {
			proof = append(proof, s.reads[len(s.reads)-1])
		}
	}
	return proof
}

// complete adds to the operations of a proof the adds of all that its reads
// show: without them the reads would be wrong for another reason.
func (s *inclusion) complete(proof []int32) []int32 {
	for _, op := range slices.Clone(proof) {
		if s.ops[op].F != "read" {
			continue
		}
		for _, v := range s.shown(op) {
			if at, known := s.index[v]; known {
				proof = append(proof, s.members[at].first, s.members[at].sure)
			}
		}
	}
	slices.Sort(proof)
	return slices.Compact(proof)
}

// withRepeats adds to the order the completed adds that changed nothing since
// their element was there, each as early as it was called.
func (s *inclusion) withRepeats(order []int32, counted []bool) []int32 {
	var repeats []int32
	for _, a := range s.adds {
		if !counted[a] && s.ops[a].Type == harness.OK {
			repeats = append(repeats, a)
		}
	}
	if len(repeats) == 0 {
		return order
	}
	// Operations happen at the last call so far; a repeat happens right after
	// the last operation that does so before it was called, or after the add
	// that it repeats.
	merged := make([]int32, 0, len(order)+len(repeats))
	added := map[int64]bool{}
	var waiting []int32 // called, but their element is not there yet
	at, next := -1, 0
	flush := func() {
		waiting = slices.DeleteFunc(waiting, func(a int32) bool {
			if there := added[s.ops[a].Input.(int64)]; !there {
				return false
			}
			merged = append(merged, a)
			return true
		})
	}
	for _, op := range order {
		at = max(at, s.ops[op].Call)
		for ; next < len(repeats) && s.ops[repeats[next]].Call < at; next++ {
			waiting = append(waiting, repeats[next])
		}
		flush()
		merged = append(merged, op)
		if s.ops[op].F == "add" {
			added[s.ops[op].Input.(int64)] = true
			flush()
		}
	}
	waiting = append(waiting, repeats[next:]...)
	flush()
	return merged
}
