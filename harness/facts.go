package harness

import "slices"

// Fact is something that the nodes of a system can tell about themselves. A checker
// that needs one can't judge a system that does not tell it.
type Fact string

// The facts.
const (
	Leader   Fact = "leader"   // who leads, when they are asked
	Term     Fact = "term"     // the term in which it leads, which only grows
	Position Fact = "position" // how far they have come in the log
	Digest   Fact = "digest"   // what they hold there, as a digest
	Events   Fact = "events"   // each change of role, in the moment in which it happens

	HeartbeatFact Fact = "heartbeats" // when heartbeats of their leader reach them
)

// Facts are what the nodes of a system tell.
type Facts []Fact

// Has reports whether f is among them.
func (fs Facts) Has(f Fact) bool { return slices.Contains(fs, f) }

// Lacking are those of needed that are not among them.
func (fs Facts) Lacking(needed ...Fact) (lacking Facts) {
	for _, f := range needed {
		if !fs.Has(f) {
			lacking = append(lacking, f)
		}
	}
	return lacking
}

// words say what a fact is, in a sentence such as "the nodes do not tell ...".
var words = map[Fact]string{
	Leader:   "who leads",
	Term:     "their term",
	Position: "their position in the log",
	Digest:   "a digest of what they hold",
	Events:   "their changes of role as they happen",

	HeartbeatFact: "when heartbeats of their leader reach them",
}

func (f Fact) String() string {
	if w, ok := words[f]; ok {
		return w
	}
	return string(f)
}
