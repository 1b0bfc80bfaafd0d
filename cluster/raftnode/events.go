package raftnode

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// The kinds of events that a node writes to its standard output.
const (
	EventBoot     = "boot"     // the process started; Raft is what runs in it
	EventRole     = "role"     // the node took Role in Term
	EventElection = "election" // the node lost its leader, or the last election was in vain, and calls for one in Term
	EventLeader   = "leader"   // the node learned that Leader leads in Term
	EventSnapshot = "snapshot" // the node took a snapshot at Index; Hash is its state's there
	EventRestore  = "restore"  // the node took the state of a snapshot at Index
	EventState    = "state"    // the node's state at Index has the digest Hash
	EventShutdown = "shutdown" // the process ends because it was asked to

	EventHeartbeats = "heartbeats" // how the heartbeats of Leader in Term reached the node, since the last such event
)

// Event is a line of JSON on a node's standard output.
type Event struct {
	Kind   string `json:"event"`
	Time   int64  `json:"time"` // Unix nanoseconds, by the node's clock
	Node   string `json:"node"`
	Role   string `json:"role,omitempty"` // leader, follower, candidate or shutdown
	Term   uint64 `json:"term,omitempty"`
	Leader string `json:"leader,omitempty"`
	Index  uint64 `json:"index,omitempty"`
	Shard  int    `json:"shard,omitempty"` // from 1 on, if the node holds several logs; of what is about one of them
	Hash   string `json:"hash,omitempty"`
	Heard  int64  `json:"heard,omitempty"` // election: nanoseconds since the node last heard of its leader
	Raft   string `json:"raft,omitempty"`  // the release of hashicorp/raft

	Heartbeats *Heartbeats `json:"heartbeats,omitempty"`

	Message string `json:"message,omitempty"`
}

// ParseEvent reads a line of a node's output. Lines that are no events, such
// as log lines, are not ok.
func ParseEvent(line []byte) (e Event, ok bool) {
	line = bytes.TrimSpace(line)
	if !bytes.HasPrefix(line, []byte(`{"event":`)) {
		return Event{}, false
	}
	if err := json.Unmarshal(line, &e); err != nil || e.Time <= 0 || e.Node == "" {
		return Event{}, false
	}
	switch e.Kind {
	case EventBoot, EventRole, EventElection, EventLeader, EventSnapshot, EventRestore, EventState, EventShutdown:
		return e, true
	case EventHeartbeats:
		if e.Heartbeats != nil {
			return e, true
		}
	}
	return Event{}, false
}

// emitter writes events in the order they were emitted, from a goroutine of
// its own: raft's main loop must not wait for the reader of the output.
type emitter struct {
	node  string
	shard int // 0: there is one log
	w     io.Writer

	mu     sync.Mutex
	queue  []Event
	closed bool
	more   *sync.Cond
	done   chan struct{}
}

// The queue is bounded so that a reader that stopped reading costs events, not
// memory.
const maxQueuedEvents = 10_000

func newEmitter(node string, w io.Writer) *emitter {
	em := &emitter{node: node, w: w, done: make(chan struct{})}
	em.more = sync.NewCond(&em.mu)
	go em.run()
	return em
}

// emit takes the time and queues e. It never blocks.
func (em *emitter) emit(e Event) {
	e.Time, e.Node = time.Now().UnixNano(), em.node
	switch e.Kind {
	case EventBoot, EventShutdown: // of the process: the first shard tells them
		if em.shard > 1 {
			return
		}
	default:
		e.Shard = em.shard
	}
	em.mu.Lock()
	defer em.mu.Unlock()
	if !em.closed && len(em.queue) < maxQueuedEvents {
		em.queue = append(em.queue, e)
		em.more.Signal()
	}
}

func (em *emitter) run() {
	defer close(em.done)
	for {
		em.mu.Lock()
		for len(em.queue) == 0 && !em.closed {
			em.more.Wait()
		}
		batch, closed := em.queue, em.closed
		em.queue = nil
		em.mu.Unlock()
		if len(batch) == 0 && closed {
			return
		}
		var buf bytes.Buffer
		for _, e := range batch {
			line, err := json.Marshal(e)
			if err != nil {
				continue // no event holds anything that cannot be encoded
			}
			buf.Write(line)
			buf.WriteByte('\n')
		}
		_, _ = em.w.Write(buf.Bytes()) // nobody is left to tell
	}
}

// close writes what is queued, and waits for it for at most a second.
func (em *emitter) close() {
	em.mu.Lock()
	em.closed = true
	em.more.Signal()
	em.mu.Unlock()
	select {
	case <-em.done:
	case <-time.After(time.Second):
	}
}

// observe turns what raft says about itself into events. Raft calls filters at
// the place where the change happens, on its main loop, so that the term is
// the one the change belongs to; a goroutine that received observations could
// only see a later one. The filter lets nothing through to the channel.
func (n *Node) observe(r *raft.Raft) {
	filter := func(o *raft.Observation) bool {
		term := currentTerm(o.Raft)
		switch data := o.Data.(type) {
		case raft.RaftState:
			role := roleName(data)
			if data == raft.Candidate {
				term++ // the one it is about to ask votes for
				n.callsForElection(term)
			}
			if data == raft.Leader {
				n.believe.Store(true)
				n.fsm.led.Store(term)
				n.elected.Store(int64(time.Since(n.started)))
			}
			n.events.emit(Event{Kind: EventRole, Role: role, Term: term})
			n.changed.fire()
		case raft.LeaderObservation:
			if leader := n.observedLeader(data); leader != "" {
				if leader != n.cfg.ID {
					n.believe.Store(false)
				}
				n.events.emit(Event{Kind: EventLeader, Leader: leader, Term: term})
			}
			n.changed.fire()
		}
		return false
	}
	r.RegisterObserver(raft.NewObserver(nil, false, filter))
}

func roleName(s raft.RaftState) string {
	switch s {
	case raft.Leader:
		return "leader"
	case raft.Candidate:
		return "candidate"
	case raft.Follower:
		return "follower"
	default:
		return "shutdown"
	}
}
