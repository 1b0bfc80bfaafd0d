// Package trace is the record of what every simulated machine did: each packet
// between machines and with clients, in the words of the system that sent it,
// each wake-up of a program, write and fsync, line of output, start and end.
//
// A trace is a gzip stream of [Event] values, one a line, in JSON. The same run
// gives the same bytes. Lines are in the order in which they were computed. That is
// the order of time, except for microseconds: within one wake-up of a program, time
// advances by what its calls cost.
//
// Start with [Read]. Package cluster/sim writes traces, with a [Writer]; package results/report
// shows them. A system that is a [Reader] says what its messages and files mean.
package trace

import (
	"strconv"
	"strings"
	"time"
)

// Clients is what stands for all clients where the name of a node would.
const Clients = "clients"

// The kinds of events. Those from send to dropped concern one packet, by its
// ID: it is sent, and arrives unless a later line says otherwise.
const (
	// A packet from Node to To, on the connection Conn: Bytes, and the Messages
	// that are complete with it. Text is "end" for the last one of its sender.
	Send    = "send"
	Lost    = "lost"    // it was lost on its way, and will be sent again
	Held    = "held"    // it waits behind one that was lost
	Resent  = "resent"  // it was sent again
	Arrive  = "arrive"  // it reached the machine
	Dropped = "dropped" // it will never arrive; Text says why

	Dial    = "dial"    // Node begins to connect to Port of To; the connection gets the number Conn
	Open    = "open"    // Conn is open
	Refused = "refused" // Conn was not opened; Text says why
	Reset   = "reset"   // Conn is broken: Node has heard that the other end is gone

	Wake      = "wake"      // Node's program goes on; Text is timer, events or start
	Write     = "write"     // Node wrote Bytes to Path at Offset; Text is what, if the system can tell
	Name      = "name"      // Node changed a name on its disk; Text says how
	Sync      = "sync"      // Node begins fsync number ID, of Path
	Synced    = "synced"    // fsync number ID is done: what was written before it began is safe, unless Text says what went wrong
	Power     = "power"     // Node lost power; Text says what the disk lost
	Boot      = "boot"      // Node's process number ID is started
	Exit      = "exit"      // process number ID ended; Text says how
	Terminate = "terminate" // Node's process is asked to end
	Freeze    = "freeze"    // Node's process is frozen
	Thaw      = "thaw"      // it may go on
	Cuts      = "cuts"      // from now on the network has these cuts, in Text; "" is none
	Machine   = "machine"   // something else was done to Node; Text says what
	Log       = "log"       // Node wrote the line Text to its output
)

// Event is one line of a trace. Only the fields of its kind are set.
type Event struct {
	Time     time.Duration `json:"t"` // nanoseconds since the start of the run
	Kind     string        `json:"kind"`
	Node     string        `json:"node,omitempty"` // where it happened, or who sent it
	To       string        `json:"to,omitempty"`
	ID       uint64        `json:"id,omitempty"` // of a packet, an fsync, a process: see the kinds
	Conn     uint64        `json:"conn,omitempty"`
	Port     int           `json:"port,omitempty"`
	Path     string        `json:"path,omitempty"`
	Offset   int64         `json:"offset,omitempty"`
	Bytes    int           `json:"bytes,omitempty"`
	Text     string        `json:"text,omitempty"`
	Messages []Message     `json:"messages,omitempty"`
}

// Message is what was said, in the words of the system.
type Message struct {
	Kind  string   `json:"kind"`            // AppendEntries, read, ...
	Reply bool     `json:"reply,omitempty"` // it answers one of this kind
	Idle  bool     `json:"idle,omitempty"`  // it is a heartbeat or the like, without other content
	Text  string   `json:"text,omitempty"`  // the rest of its content, in few words
	Keys  []string `json:"keys,omitempty"`  // the objects that it concerns
	// Sender is what the message tells about its sender, or nil.
	Sender *Belief `json:"sender,omitempty"`
}

// Belief is what a node believes. Fields that its messages did not tell are zero.
type Belief struct {
	Role   string `json:"role,omitempty"` // leader, follower, candidate
	Term   uint64 `json:"term,omitempty"`
	Leader string `json:"leader,omitempty"`
	Last   uint64 `json:"last,omitempty"`   // newest position in its log
	Commit uint64 `json:"commit,omitempty"` // newest position that it knows to be committed
}

// Reader understands a system. A cluster.System that is a Reader has its
// messages and files told in words.
type Reader interface {
	// Conversation reads along on a new connection to that port of a node; nil
	// if it can't.
	Conversation(port int) Conversation
	// Wrote says what was written to a file, in few words, or "". Entries of a log
	// are told as "#8 of term 3: what it is", what is taken out of it as "drops #5 to
	// #7", and several by commas: see [LogEnd].
	Wrote(path string, data []byte) string
}

// Conversation reads along what the two ends of a connection say.
type Conversation interface {
	// Said takes what one end sent next (the one that dialled, or the other),
	// and returns the messages that are complete with it. It keeps no data.
	Said(dialler bool, data []byte) []Message
}

// LogEnd returns where a node's log ends after it wrote what text tells, as
// [Reader.Wrote] tells it; last is where it ended before, 0 if nobody knows.
func LogEnd(last uint64, text string) uint64 {
	for part := range strings.SplitSeq(text, ", ") {
		if dropped, ok := strings.CutPrefix(part, "drops #"); ok {
			from, to, _ := strings.Cut(dropped, " to #")
			a, errFrom := strconv.ParseUint(from, 10, 64)
			b, errTo := strconv.ParseUint(to, 10, 64)
			if errFrom == nil && errTo == nil && a > 0 && a <= last && last <= b {
				last = a - 1
			}
			continue
		}
		entry, ok := strings.CutPrefix(part, "#")
		position, _, told := strings.Cut(entry, " of term ")
		if n, err := strconv.ParseUint(position, 10, 64); ok && told && err == nil {
			last = n // an entry that replaces others ends the log there
		}
	}
	return last
}
