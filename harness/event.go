package harness

import (
	"cmp"
	"slices"
	"time"
)

// The kinds of events. A fault goes start -> hold -> end, or start -> miss ->
// end, or start -> skip -> end, or is only skipped.
const (
	PhaseEvent      = "phase"      // the run entered the phase Message, a [Phase]
	FaultStart      = "start"      // the nemesis begins to apply fault ID to Nodes (or Links)
	FaultHold       = "hold"       // the fault was seen to bite; Message is the evidence
	FaultMiss       = "miss"       // the fault did not bite; Message says why
	FaultSkip       = "skip"       // there was nothing to apply the fault to (no leader, no node left); Message says so
	FaultEnd        = "end"        // the fault was healed (Message: what was wrong with the healing, if anything)
	UnhealedEvent   = "unhealed"   // what the nemesis could not heal when the run was over; Message says what and why
	RoleEvent       = "role"       // Node took Role (leader, follower, candidate, shutdown) in Term
	ElectionEvent   = "election"   // Node lost its leader, or an election was in vain, and calls for one in Term
	LeaderEvent     = "leader"     // Node learned that Leader leads in Term
	SnapshotEvent   = "snapshot"   // Node took a snapshot at Applied
	RestoreEvent    = "restore"    // Node restored a snapshot; its state is that of Applied
	BootEvent       = "boot"       // Node's process started; Message is the release of what runs in it, if it says
	HeartbeatsEvent = "heartbeats" // how the heartbeats of Leader in Term reached Node, since the last such event
	StateEvent      = "state"      // Node's state at log position Applied has the digest Hash
	StuckEvent      = "stuck"      // Node's program loops for ever, which only the simulator can tell; the run ends with it
	ViolationEvent  = "violation"  // a violation was found while the run went on; Message tells it
	ExitEvent       = "exit"       // Node's process ended without the nemesis having asked for it
	InterruptEvent  = "interrupt"  // whoever ran the test ended the load; Message says when
	MachineEvent    = "machine"    // how busy the machine that runs the test was in the last [MachineEvery]: see Ready
	GiveUpEvent     = "give-up"    // Node's process ended in its own way because of a fault, which is no crash; Message says of which
)

// Event is one line of events.jsonl: what the nemesis did, what the nodes said
// about themselves, and the phases of the run. Only the fields of its kind are set.
type Event struct {
	Time   time.Duration `json:"time"` // nanoseconds since the start of the run
	Kind   string        `json:"kind"`
	Node   string        `json:"node,omitempty"`
	ID     int           `json:"id,omitempty"`     // of the fault, from 1, unique within the run
	Fault  string        `json:"fault,omitempty"`  // kill, partition, ...
	Target string        `json:"target,omitempty"` // leader, halves, ...
	Nodes  []string      `json:"nodes,omitempty"`  // the victims
	Links  []Link        `json:"links,omitempty"`  // the directed links that are cut or lossy
	Role   string        `json:"role,omitempty"`
	Term   uint64        `json:"term,omitempty"`
	// Shard is the log that the event is about, from 1 on, where a node holds several, each
	// with leaders, terms and positions of its own; of a fault: the one whose leader or
	// follower was its victim. 0: there is one log, or it is about all of them.
	Shard   int    `json:"shard,omitempty"`
	Leader  string `json:"leader,omitempty"`
	Applied uint64 `json:"applied,omitempty"`
	Hash    string `json:"hash,omitempty"`
	// Heard is, of a call for an election, how long before the node had last heard of its
	// leader; 0: it does not say.
	Heard time.Duration `json:"heard,omitempty"`
	// Ready is how many threads were ready to run or ran, on average, for each processor that
	// the machine had for itself: with 4, each got a quarter of the time that it could use.
	Ready float64 `json:"ready,omitempty"`
	// Heartbeats are those of an event of the kind [HeartbeatsEvent].
	Heartbeats *Heartbeats `json:"heartbeats,omitempty"`
	Message    string      `json:"message,omitempty"`
}

// MachineEvery is how much time a [MachineEvent] is about: what ended with it.
const MachineEvery = 5 * time.Second

// Phase is a part of a run. They follow each other in this order.
type Phase string

// The phases.
const (
	PhaseSetup Phase = "setup" // the cluster comes up
	PhaseLoad  Phase = "load"  // clients work while the nemesis strikes
	PhaseHeal  Phase = "heal"  // everything is mended
	PhaseServe Phase = "serve" // the system has to serve again
	PhaseFinal Phase = "final" // every object is looked at once more
	PhaseAgree Phase = "agree" // nobody asks for anything; the nodes come to the same state
	PhaseDone  Phase = "done"
)

// Enters reports whether e is the beginning of a phase.
func (e Event) Enters(p Phase) bool { return e.Kind == PhaseEvent && e.Message == string(p) }

// Link is one direction between two nodes; From is "" for the clients.
type Link struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// SortEvents puts events in the order of time. Nodes report late what they saw.
func SortEvents(events []Event) {
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.Time, b.Time) })
}
