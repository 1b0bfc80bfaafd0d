// Package tracing is what the rooms of a simulation share to write one trace: the
// numbers that packets, connections and fsyncs have in it, and the time of whoever
// may be ahead of the world.
//
// A tracer looks on: it draws nothing at random, schedules nothing, and changes
// nothing that anybody else sees. A nil [Tracer] does nothing, so that whoever has
// something to tell needs one line. What the network tells is in network/traced.go, what a
// machine tells in machine/traced.go; package trace says what a trace is.
package tracing

import (
	"time"

	"coup/cluster"
	"coup/cluster/sim/world"
	"coup/cluster/trace"
)

// Tracer writes what happens in a world to a trace.
type Tracer struct {
	w      *world.World
	out    *trace.Writer
	reader trace.Reader // nil: nobody understands what is said
	ids    uint64       // that were given
}

// New returns a tracer that tells in the words of system, if that is a trace.Reader.
// It is nil if there is no trace to write.
func New(w *world.World, out *trace.Writer, system cluster.System) *Tracer {
	if out == nil {
		return nil
	}
	reader, _ := system.(trace.Reader)
	return &Tracer{w: w, out: out, reader: reader}
}

// Reader is who understands what nodes say, nil if nobody does. The tracer is not nil.
func (t *Tracer) Reader() trace.Reader { return t.reader }

// NextID numbers something. The tracer is not nil.
func (t *Tracer) NextID() uint64 {
	t.ids++
	return t.ids
}

// When is the time of somebody who is that far ahead of the world. The tracer is not nil.
func (t *Tracer) When(ahead time.Duration) time.Duration { return t.w.Now() + ahead }

// Write writes an event. The tracer is not nil.
func (t *Tracer) Write(e *trace.Event) { t.out.Write(e) }

// Node tells what was done to a machine, or became of it.
func (t *Tracer) Node(kind, name string, id int, text string) {
	if t != nil {
		t.out.Write(&trace.Event{Time: t.w.Now(), Kind: kind, Node: name, ID: uint64(id), Text: text})
	}
}
