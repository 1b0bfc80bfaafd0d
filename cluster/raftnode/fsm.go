package raftnode

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// fsm is the state machine as raft sees it. Raft calls Apply, Snapshot and
// Restore one at a time; everything else may be called at any time.
type fsm struct {
	bug        Bug
	events     *emitter
	stateEvery uint64 // announce the digest at every so-many-th position; 0: never

	mu      sync.RWMutex
	state   *state
	older   *image // a copy of a while ago (short-snapshot)
	applied broadcast

	led  atomic.Uint64 // the newest term that the node was elected in
	lazy []*raft.Log   // committed and not applied yet; guarded by mu (early-leader-read)
}

// A command that is older than this by the node's own clock is skipped under
// local-clock-apply.
const localExpiry = time.Second

// Under early-leader-read a node applies entries of other leaders in batches. That
// alone is no mistake: when the first entry of a new leader's term is applied, so are
// all entries before it.
const (
	lazyBatch = 64
	lazyDelay = 2 * time.Second
)

// The snapshot of short-snapshot is refreshed every so many entries.
const shortSnapshotEvery = 32

func newFSM(bug Bug, events *emitter, stateEvery uint64) *fsm {
	return &fsm{bug: bug, events: events, stateEvery: stateEvery, state: newState()}
}

// Apply implements raft.FSM.
func (f *fsm) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.applied.fire()
	defer f.mu.Unlock()
	if f.bug.is(EarlyLeaderRead) && f.postpone(l) {
		return result{}
	}
	return f.apply(l)
}

// postpone keeps l for later. The caller holds the lock.
func (f *fsm) postpone(l *raft.Log) bool {
	if l.Term != f.led.Load() && len(f.lazy) < lazyBatch {
		if f.lazy = append(f.lazy, l); len(f.lazy) == 1 {
			time.AfterFunc(lazyDelay, func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.catchUp()
			})
		}
		return true
	}
	f.catchUp()
	return false
}

// catchUp applies what was postponed. The caller holds the lock.
func (f *fsm) catchUp() {
	for _, l := range f.lazy {
		f.apply(l)
	}
	f.lazy = nil
}

// apply applies a command. The caller holds the lock.
func (f *fsm) apply(l *raft.Log) result {
	c, err := decodeCommand(l.Data)
	if err != nil {
		c = command{} // refused alike on every node
	}
	switch {
	case f.bug.is(LeaseLocalClock) && timed(c.Op):
		c.At = time.Now().UnixNano()
	case c.Term != l.Term && timed(c.Op):
		c.At = 0 // a clock of another term
	}
	var r result
	if f.bug.is(LocalClockApply) && c.At != 0 && time.Since(time.Unix(0, c.At)) > localExpiry {
		r = result{Refused: refusedExpired}
	} else {
		r = f.state.apply(c, f.bug)
	}
	f.advance(l.Index, l.Term)
	return r
}

// forget goes back to the empty state.
func (f *fsm) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = newState()
}

// StoreConfiguration implements raft.ConfigurationStore, only to know that the
// log was applied up to here.
func (f *fsm) StoreConfiguration(index uint64, _ raft.Configuration) {
	f.mu.Lock()
	f.catchUp()
	f.advance(index, f.state.term)
	f.mu.Unlock()
	f.applied.fire()
}

// advance notes the position of the state. The caller holds the lock.
func (f *fsm) advance(index, term uint64) {
	f.state.index, f.state.term = index, term
	if f.stateEvery > 0 && index%f.stateEvery == 0 {
		f.events.emit(Event{Kind: EventState, Index: index, Term: term, Hash: f.state.hash()})
	}
	if f.bug.is(ShortSnapshot) && index%shortSnapshotEvery == 0 {
		f.older = f.state.image()
	}
}

// view calls fn with the state, which it must not change nor keep.
func (f *fsm) view(fn func(*state)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	fn(f.state)
}

// position is the newest entry that was applied, and its term.
func (f *fsm) position() (index, term uint64) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.index, f.state.term
}

// wait returns when everything up to index was applied, or with ctx's error.
func (f *fsm) wait(ctx context.Context, index uint64) error {
	for {
		next := f.applied.next()
		if at, _ := f.position(); at >= index {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Snapshot implements raft.FSM.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.catchUp()
	im, hash := f.state.image(), f.state.hash()
	if f.bug.is(ShortSnapshot) {
		short := f.older
		if short == nil {
			short = newState().image()
		}
		short.Index, short.Term = im.Index, im.Term
		im = short
	}
	return &fsmSnapshot{image: im, hash: hash, events: f.events}, nil
}

// Restore implements raft.FSM.
func (f *fsm) Restore(r io.ReadCloser) error {
	im, err := readImage(r)
	if err != nil {
		return err
	}
	s := im.state()
	f.mu.Lock()
	if f.bug.is(StickyRestore) && f.state.index > 0 {
		s = f.state.keepOver(im)
	}
	f.state, f.lazy = s, nil
	hash := s.hash()
	f.mu.Unlock()
	f.applied.fire()
	f.events.emit(Event{Kind: EventRestore, Index: im.Index, Term: im.Term, Hash: hash})
	return nil
}

// keepOver is what im becomes when the objects that s has already win over
// those of im (sticky-restore).
func (s *state) keepOver(im *image) *state {
	mine := s.image()
	for key, v := range mine.Registers {
		im.Registers[key] = v
	}
	for key, v := range mine.Sets {
		im.Sets[key] = v
	}
	for key, v := range mine.Queues {
		im.Queues[key] = v
	}
	for key, v := range mine.Counters {
		im.Counters[key] = v
	}
	for key, v := range mine.Lists {
		im.Lists[key] = v
	}
	for dir, names := range mine.Objects {
		if im.Objects == nil {
			im.Objects = map[string]map[string][]byte{}
		}
		im.Objects[dir] = names
	}
	for key, e := range mine.Cache {
		if im.Cache == nil {
			im.Cache = map[string]cacheEntry{}
		}
		im.Cache[key] = e
	}
	for key, v := range mine.Boards {
		if im.Boards == nil {
			im.Boards = map[string]boardImage{}
		}
		im.Boards[key] = v
	}
	for key, v := range mine.Mailboxes {
		if im.Mailboxes == nil {
			im.Mailboxes = map[string]mailboxImage{}
		}
		im.Mailboxes[key] = v
	}
	return im.state()
}

type fsmSnapshot struct {
	image  *image
	hash   string
	events *emitter
}

// Persist implements raft.FSMSnapshot.
func (s *fsmSnapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.image.write(sink); err != nil {
		return err
	}
	s.events.emit(Event{Kind: EventSnapshot, Index: s.image.Index, Term: s.image.Term, Hash: s.hash})
	return nil
}

// Release implements raft.FSMSnapshot.
func (s *fsmSnapshot) Release() {}
