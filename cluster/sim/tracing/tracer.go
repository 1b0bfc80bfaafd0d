// Package tracing is what the rooms of a simulation share to write one trace: the numbers
// of packets, connections and fsyncs, and the times of programs, which may be ahead of the
// world.
//
// Start with [New]. A tracer only watches: it draws no random numbers, schedules nothing,
// and changes nothing that others see. A nil [Tracer] does nothing, so callers need not
// ask whether there is one. What the network tells is in network/traced.go, what a machine
// tells in machine/traced.go; package trace says what a trace is.
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
	reader trace.Reader // nil: the system does not explain its messages
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

// Reader explains what nodes say; nil if the system has none. The tracer is not nil.
func (t *Tracer) Reader() trace.Reader { return t.reader }

// NextID numbers something. The tracer is not nil.
func (t *Tracer) NextID() uint64 {
	t.ids++
	return t.ids
}

// When is the world's time plus ahead. The tracer is not nil.
func (t *Tracer) When(ahead time.Duration) time.Duration { return t.w.Now() + ahead }

// Write writes an event. The tracer is not nil.
func (t *Tracer) Write(e *trace.Event) { t.out.Write(e) }

// Node tells what was done to a machine, or became of it.
func (t *Tracer) Node(kind, name string, id int, text string) {
	if t != nil {
		t.out.Write(&trace.Event{Time: t.w.Now(), Kind: kind, Node: name, ID: uint64(id), Text: text})
	}
}
