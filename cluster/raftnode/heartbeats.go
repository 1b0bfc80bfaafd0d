package raftnode

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"coup/cluster/raftnode/simulated"
)

// Heartbeats sum up the heartbeats of a leader in a term that a node received, since it
// told of them before. Lengths of time are nanoseconds. Event.Time less From is when the
// first interval began, less Last is when the newest heartbeat arrived.
type Heartbeats struct {
	Due       time.Duration         `json:"due"`                 // the next one is sent so long after the answer to the one before, at the latest
	From      time.Duration         `json:"from"`                // the heartbeat from which the first interval counts arrived so long ago
	Last      time.Duration         `json:"last"`                // the newest one arrived so long ago
	Silent    time.Duration         `json:"silent,omitempty"`    // of the first ones of a leader: so long after the last one of the leader before
	Intervals map[time.Duration]int `json:"intervals,omitempty"` // how often each occurred, rounded down to a 200th of Due
	Longest   time.Duration         `json:"longest,omitempty"`   // of the intervals, exact
	Recent    []time.Duration       `json:"recent,omitempty"`    // the newest intervals of the term, oldest first, exact
}

const (
	heartbeatsEvery  = 2 * time.Second // how often a node tells of heartbeats that go on: what is lost when it is killed
	heartbeatsRecent = 5
	heartbeatsParts  = 200
)

// heartbeats hears the heartbeats of leaders, and tells of them from time to time. It
// keeps a bounded summary: intervals are rounded, and those longer than what is due are few in
// the time after which it tells.
type heartbeats struct {
	due  time.Duration
	name func(addr string) string // of the node with this address
	emit func(Event)

	mu     sync.Mutex
	term   uint64
	leader string
	last   time.Time // when the newest one arrived; zero: none has
	told   time.Time
	first  bool // none of this leader has been told of
	sum    Heartbeats
	recent []time.Duration
	from   time.Time
	any    time.Time // when the newest message of a leader arrived, heartbeat or not; zero: none has
}

func (n *Node) hearHeartbeats() *heartbeats {
	// hashicorp/raft waits from a tenth to a fifth of HeartbeatTimeout.
	h := &heartbeats{due: n.cfg.Heartbeat / 5, emit: n.events.emit}
	h.name = func(addr string) string {
		for _, p := range n.cfg.Peers {
			if p.Addr == addr {
				return p.Name
			}
		}
		return ""
	}
	return h
}

// heard takes a message that arrived.
func (h *heartbeats) heard(message any) {
	from, ok := termOfLeader(message)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if from >= h.term {
		h.any = now
	}
	term, addr, ok := simulated.Heartbeat(message)
	if !ok {
		return
	}
	switch {
	case term < h.term:
		return // of a deposed leader, which raft refuses
	case term > h.term:
		h.tell(now)
		h.sum = Heartbeats{}
		if !h.last.IsZero() {
			h.sum.Silent = now.Sub(h.last)
		}
		h.term, h.leader, h.first, h.from, h.recent = term, h.name(string(addr)), true, now, nil
	default:
		took := now.Sub(h.last)
		if h.sum.Intervals == nil {
			h.sum.Intervals = map[time.Duration]int{}
		}
		h.sum.Intervals[took.Truncate(max(h.due/heartbeatsParts, 1))]++
		h.sum.Longest = max(h.sum.Longest, took)
		if len(h.recent) == heartbeatsRecent {
			h.recent = h.recent[1:]
		}
		h.recent = append(h.recent, took)
	}
	h.last = now
	if now.Sub(h.told) >= heartbeatsEvery {
		h.tell(now)
	}
}

// contact is when the node heard of a leader last; zero: never. Unlike raft's LastContact, a
// vote that the node gave to a candidate is none.
func (h *heartbeats) contact() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.any
}

// flush tells of what has not been told yet.
func (h *heartbeats) flush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell(time.Now())
}

// tell is called with the lock.
func (h *heartbeats) tell(now time.Time) {
	if !h.first && h.sum.Intervals == nil {
		return
	}
	sum := h.sum
	sum.Due, sum.From, sum.Last = h.due, now.Sub(h.from), now.Sub(h.last)
	sum.Recent = append([]time.Duration(nil), h.recent...)
	h.emit(Event{Kind: EventHeartbeats, Term: h.term, Leader: h.leader, Heartbeats: &sum})
	h.sum, h.first, h.told, h.from = Heartbeats{}, false, now, h.last
}

// heartbeatTeller is a transport that lets somebody hear what arrives, before raft does.
type heartbeatTeller interface {
	OnArrival(func(message any))
}

// listen lets h hear all heartbeats from now on. It comes before raft starts.
func (t *transport) listen(h *heartbeats) {
	t.beats = h
	if tells, ok := t.Transport.(heartbeatTeller); ok {
		tells.OnArrival(h.heard)
		return
	}
	t.passed, t.closed = make(chan raft.RPC), make(chan struct{})
	go t.pass()
}

// pass hands on what arrives. Raft's own transport tells nobody else.
func (t *transport) pass() {
	from := t.Transport.Consumer()
	for {
		select {
		case rpc := <-from:
			t.beats.heard(rpc.Command)
			select {
			case t.passed <- rpc:
			case <-t.closed:
				return
			}
		case <-t.closed:
			return
		}
	}
}

// deafen ends pass.
func (t *transport) deafen() {
	if t.closed != nil {
		t.once.Do(func() { close(t.closed) })
	}
}

// Consumer implements raft.Transport.
func (t *transport) Consumer() <-chan raft.RPC {
	if t.passed != nil {
		return t.passed
	}
	return t.Transport.Consumer()
}
