package raftnode

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Tasks are assigned by leases, and leases end by the clock of the log: every command
// that looks at it brings a time, and the state machine's clock is the largest that it
// has seen. So all nodes agree on what is over.
//
// A leader's time goes on from the clock of the log by what has passed, by a clock that
// nobody can set, since it read it in its term. So the clock of the log never runs faster than
// real time, and stands still while nobody leads: a lease may last longer than it was given for,
// never shorter. (etcd's lessor extends leases at a change of leader for the same reason.)
// Clocks may run faster than others, too: so a lease goes on for a quarter longer than
// the worker was told.

// logClock is a leader's clock.
type logClock struct {
	mu   sync.Mutex
	term uint64
	last int64     // what it showed
	at   time.Time // when
}

// read is the time by which a command is to be proposed in term.
func (c *logClock) read(f *fsm, term uint64) (int64, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if term != c.term {
		// What it showed in an earlier term may be ahead of what was committed since.
		c.term, c.at, c.last = term, now, 1 // 0 is no time
	}
	c.last += int64(now.Sub(c.at))
	c.at = now
	f.view(func(s *state) { c.last = max(c.last, s.clock) })
	return c.last, term
}

// board holds tasks.
type board struct {
	tasks    map[int64]*task // that are not finished
	order    []int64         // the same, in the order in which they were submitted
	finished map[int64]struct{}
	token    int64 // of the newest assignment
}

type task struct {
	after *int64
	token int64 // of its newest assignment; 0: there was none
	until int64 // when that is over, by the clock of the log
}

func (s *state) board(key string) *board {
	b := s.boards[key]
	if b == nil {
		b = &board{tasks: map[int64]*task{}, finished: map[int64]struct{}{}}
		s.boards[key] = b
	}
	return b
}

// work performs a command on a board.
func (s *state) work(c command, bug Bug) result {
	s.clock = max(s.clock, c.At)
	b := s.board(c.Key)
	switch c.Op {
	case opSubmit:
		return s.submit(b, c)
	case opTaskTake:
		return s.assign(b, c, bug)
	}
	t := b.tasks[c.Value]
	switch {
	case t == nil:
		return result{Refused: refusedTask}
	case bug.is(UnfencedFinish) && c.Op == opFinish:
	case c.From == nil || t.token != *c.From || t.until <= s.clock:
		return result{Refused: refusedTask}
	}
	if c.Op == opBeat {
		t.until = s.leaseEnd(c)
		return result{Value: &c.Value, Given: t.token, Lease: c.Lease}
	}
	s.sum += finishedFact(c.Key, c.Value) - taskFact(c.Key, c.Value, t)
	delete(b.tasks, c.Value)
	b.order = slices.DeleteFunc(b.order, func(id int64) bool { return id == c.Value })
	b.finished[c.Value] = struct{}{}
	return result{}
}

func (s *state) leaseEnd(c command) int64 { return s.clock + c.Lease + c.Lease/4 }

func (s *state) submit(b *board, c command) result {
	if b.knows(c.Value) {
		return result{}
	}
	if c.From != nil && !b.knows(*c.From) {
		return result{Refused: refusedAfter}
	}
	t := &task{after: c.From}
	b.tasks[c.Value] = t
	b.order = append(b.order, c.Value)
	s.sum += taskFact(c.Key, c.Value, t)
	return result{}
}

func (b *board) knows(id int64) bool {
	_, finished := b.finished[id]
	return finished || b.tasks[id] != nil
}

// assign gives the oldest task that may be given to a worker.
func (s *state) assign(b *board, c command, bug Bug) result {
	for _, id := range b.order {
		t := b.tasks[id]
		ready := t.after == nil || b.isFinished(*t.after)
		if bug.is(DependencyOutsideLog) && c.From != nil {
			ready = *c.From == id
		}
		if !ready || t.token != 0 && t.until > s.clock {
			continue
		}
		s.sum -= taskFact(c.Key, id, t)
		b.token++
		t.token, t.until = b.token, s.leaseEnd(c)
		s.sum += taskFact(c.Key, id, t)
		return result{Value: &id, Given: t.token, Lease: c.Lease}
	}
	return result{}
}

func (b *board) isFinished(id int64) bool {
	_, ok := b.finished[id]
	return ok
}

// requeueAll ends all leases (early-requeue).
func (s *state) requeueAll() {
	for _, b := range s.boards {
		for _, t := range b.tasks {
			t.until = 0
		}
	}
}

// unfinished lists the tasks of a board that are not finished, in ascending order.
func (s *state) unfinished(key string) []int64 {
	b := s.boards[key]
	if b == nil {
		return nil
	}
	return slices.Sorted(slices.Values(b.order))
}

// boardImage is a board as it stands in a snapshot.
type boardImage struct {
	Tasks    []taskImage `json:"tasks"` // in the order in which they were submitted
	Finished []int64     `json:"finished"`
	Token    int64       `json:"token"`
}

type taskImage struct {
	ID    int64  `json:"id"`
	After *int64 `json:"after,omitempty"`
	Token int64  `json:"token,omitempty"`
	Until int64  `json:"until,omitempty"`
}

// image copies the board. The finished tasks are left unsorted.
func (b *board) image() boardImage {
	im := boardImage{Tasks: make([]taskImage, 0, len(b.order)), Finished: make([]int64, 0, len(b.finished)), Token: b.token}
	for _, id := range b.order {
		t := b.tasks[id]
		im.Tasks = append(im.Tasks, taskImage{id, t.after, t.token, t.until})
	}
	for id := range maps.Keys(b.finished) {
		im.Finished = append(im.Finished, id)
	}
	return im
}

// restoreBoard is the inverse of (*board).image.
func (s *state) restoreBoard(key string, im boardImage) {
	b := s.board(key)
	b.token = im.Token
	for _, ti := range im.Tasks {
		t := &task{ti.After, ti.Token, ti.Until}
		b.tasks[ti.ID] = t
		b.order = append(b.order, ti.ID)
		s.sum += taskFact(key, ti.ID, t)
	}
	for _, id := range im.Finished {
		b.finished[id] = struct{}{}
		s.sum += finishedFact(key, id)
	}
}

// finishable says whether c would finish its task by what the node has applied
// (finish-before-commit).
func (n *Node) finishable(c command) (ok bool) {
	n.fsm.view(func(s *state) {
		if b := s.boards[c.Key]; b != nil {
			t := b.tasks[c.Value]
			ok = t != nil && c.From != nil && t.token == *c.From && t.until > s.clock
		}
	})
	return ok
}

// begun are the tasks that the node was asked to finish (dependency-outside-log).
type begun struct {
	mu    sync.Mutex
	tasks map[begunTask]bool
}

type begunTask struct {
	key string
	id  int64
}

// lookUp looks at what the node was asked to finish, to say which task a worker gets
// (dependency-outside-log).
func (n *Node) lookUp(c command) command {
	n.begun.mu.Lock()
	defer n.begun.mu.Unlock()
	switch c.Op {
	case opFinish:
		if n.begun.tasks == nil {
			n.begun.tasks = map[begunTask]bool{}
		}
		n.begun.tasks[begunTask{c.Key, c.Value}] = true
	case opTaskTake:
		n.fsm.view(func(s *state) {
			b := s.boards[c.Key]
			if b == nil {
				return
			}
			for _, id := range b.order {
				if t := b.tasks[id]; t.token == 0 && t.after != nil && n.begun.tasks[begunTask{c.Key, *t.after}] {
					c.From = &id
					return
				}
			}
		})
	}
	return c
}
