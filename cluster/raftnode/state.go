package raftnode

import (
	"container/list"
	"fmt"
	"slices"
)

// maxSessions bounds how many clients are remembered. All nodes must have the same
// bound, because the replicated state depends on it.
const maxSessions = 4096

// state is what the log builds up. Applying the same commands gives the same
// state on every node; nothing in here looks at a clock, a random number or
// the order of a map.
type state struct {
	index, term uint64 // of the newest entry that was applied
	registers   map[string]int64
	sets        map[string]map[int64]struct{}
	queues      map[string]*queue
	counters    map[string]int64
	lists       map[string][]int64 // elements are never changed, only added
	objects     objects
	cache       map[string]cacheEntry
	leases      int64 // how many were given
	boards      map[string]*board
	mailboxes   map[string]*mailbox
	clock       int64                    // of the log, see tasks.go
	sessions    map[string]*list.Element // of *session
	recent      *list.List               // the same, by the time of their last command, the oldest first
	evicted     uint64                   // how many sessions were forgotten
	sum         uint64                   // the digest, see digest.go
}

// queue holds the elements from position head on.
type queue struct {
	head  uint64
	items []int64
}

// session is what is remembered of a client: its newest command's result.
type session struct {
	Client string `json:"client"`
	Seq    uint64 `json:"seq"`
	Result result `json:"result"`
}

func newState() *state {
	return &state{
		registers: map[string]int64{},
		sets:      map[string]map[int64]struct{}{},
		queues:    map[string]*queue{},
		counters:  map[string]int64{},
		lists:     map[string][]int64{},
		objects:   newObjects(),
		cache:     map[string]cacheEntry{},
		boards:    map[string]*board{},
		mailboxes: map[string]*mailbox{},
		sessions:  map[string]*list.Element{},
		recent:    list.New(),
	}
}

func (s *state) hash() string { return fmt.Sprintf("%016x", s.sum) }

// apply performs c, but only once, even if c is in the log several times.
func (s *state) apply(c command, bug Bug) result {
	if c.Client == "" || bug.is(DoubleApply) || c.Op == opObjectPart {
		return s.perform(c, bug)
	}
	e, known := s.sessions[c.Client]
	if !known {
		if c.Retry && s.evicted > 0 {
			// The first proposal may have been applied and forgotten.
			return result{Refused: refusedSession}
		}
		r := s.perform(c, bug)
		s.remember(&session{Client: c.Client, Seq: c.Seq, Result: r})
		return r
	}
	old := e.Value.(*session)
	switch {
	case c.Seq == old.Seq:
		return old.Result
	case c.Seq < old.Seq:
		return result{Refused: refusedOld}
	}
	r := s.perform(c, bug)
	s.sum -= sessionFact(old)
	old.Seq, old.Result = c.Seq, r
	s.sum += sessionFact(old)
	s.recent.MoveToBack(e)
	return r
}

func (s *state) remember(n *session) {
	if len(s.sessions) >= maxSessions {
		e := s.recent.Front()
		old := s.recent.Remove(e).(*session)
		delete(s.sessions, old.Client)
		s.sum -= sessionFact(old)
		s.evicted++
	}
	s.sessions[n.Client] = s.recent.PushBack(n)
	s.sum += sessionFact(n)
}

func (s *state) perform(c command, bug Bug) result {
	switch c.Op {
	case opNoop:
		if bug.is(EarlyRequeue) {
			s.requeueAll()
		}
	case opWrite:
		s.setRegister(c.Key, c.Value)
	case opCAS:
		saw := s.register(c.Key)
		if equal(saw, c.From) {
			s.setRegister(c.Key, c.Value)
		}
		return result{Value: saw}
	case opSetAdd:
		s.addToSet(c.Key, c.Value)
	case opEnqueue:
		q := s.queue(c.Key)
		s.sum += queueFact(c.Key, q.head+uint64(len(q.items)), uint64(c.Value))
		q.items = append(q.items, c.Value)
	case opDequeue:
		return result{Value: s.removeFrom(c.Key, 0)}
	case opTake:
		if q := s.queues[c.Key]; q != nil {
			if i := slices.Index(q.items, c.Value); i >= 0 {
				return result{Value: s.removeFrom(c.Key, i)}
			}
		}
		return result{Value: &c.Value}
	case opCounterAdd:
		s.setCounter(c.Key, s.counters[c.Key]+c.Value)
	case opTxn:
		return result{Txn: s.transact(c.Txn)}
	case opSubmit, opTaskTake, opBeat, opFinish:
		return s.work(c, bug)
	case opPut, opDeliver, opAck:
		return s.post(c, bug)
	default:
		if onObject(c.Op) {
			return s.performObject(c)
		}
		if onCache(c.Op) {
			return s.performCache(c)
		}
		return result{Refused: refusedOp}
	}
	return result{}
}

func equal(a, b *int64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// register is the value of a register, nil if it was never written.
func (s *state) register(key string) *int64 {
	if v, ok := s.registers[key]; ok {
		return &v
	}
	return nil
}

func (s *state) setRegister(key string, v int64) {
	if old, ok := s.registers[key]; ok {
		s.sum -= registerFact(key, old)
	}
	s.registers[key] = v
	s.sum += registerFact(key, v)
}

func (s *state) addToSet(key string, v int64) {
	set := s.sets[key]
	if set == nil {
		set = map[int64]struct{}{}
		s.sets[key] = set
	}
	if _, ok := set[v]; !ok {
		set[v] = struct{}{}
		s.sum += setFact(key, v)
	}
}

// set lists a set's elements, in ascending order.
func (s *state) set(key string) []int64 {
	out := make([]int64, 0, len(s.sets[key]))
	for v := range s.sets[key] {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

func (s *state) queue(key string) *queue {
	q := s.queues[key]
	if q == nil {
		q = &queue{}
		s.queues[key] = q
	}
	return q
}

// oldest is the first element of a queue, nil if it is empty.
func (s *state) oldest(key string) *int64 {
	if q := s.queues[key]; q != nil && len(q.items) > 0 {
		v := q.items[0]
		return &v
	}
	return nil
}

// removeFrom takes the i-th element out of a queue; nil if there is none.
// Everything before it moves up by a position.
func (s *state) removeFrom(key string, i int) *int64 {
	q := s.queues[key]
	if q == nil || i >= len(q.items) {
		return nil
	}
	v := q.items[i]
	for j := 0; j <= i; j++ {
		s.sum -= queueFact(key, q.head+uint64(j), uint64(q.items[j]))
	}
	copy(q.items[1:i+1], q.items[:i])
	q.head++
	q.items = q.items[1:]
	for j := 0; j < i; j++ {
		s.sum += queueFact(key, q.head+uint64(j), uint64(q.items[j]))
	}
	return &v
}

func (s *state) setCounter(key string, v int64) {
	if old, ok := s.counters[key]; ok {
		s.sum -= counterFact(key, old)
	}
	s.counters[key] = v
	s.sum += counterFact(key, v)
}

func (s *state) appendTo(key string, v int64) {
	s.sum += listFact(key, len(s.lists[key]), v)
	s.lists[key] = append(s.lists[key], v)
}

// list is what a list holds now. It stays so when more is appended.
func (s *state) list(key string) []int64 { return slices.Clip(s.lists[key]) }
