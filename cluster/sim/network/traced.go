package network

import (
	"strings"
	"time"

	"coup/cluster"
	"coup/cluster/sim/guest"
	"coup/cluster/sim/tracing"
	"coup/cluster/trace"
)

// traced tells a trace what happens on a network.
type traced struct{ *tracing.Tracer } // nil: nobody wants to know

// talk is a traced connection.
type talk struct {
	id      uint64
	dialler *Socket
	port    int
	reading trace.Conversation // nil: the system can't read this connection
}

func endName(host string) string {
	if host == "" {
		return trace.Clients
	}
	return host
}

// when is the time of a socket's owner.
func (t traced) when(o Owner) time.Duration {
	if o == nil {
		return t.When(0)
	}
	return t.When(o.Lead())
}

func (t traced) cuts(all []cluster.Cut) {
	if t.Tracer == nil {
		return
	}
	var words []string
	for _, c := range all {
		c.From = endName(c.From)
		words = append(words, c.String())
	}
	t.Write(&trace.Event{Time: t.When(0), Kind: trace.Cuts, Text: strings.Join(words, ", ")})
}

func (t traced) dial(s *Socket) {
	if t.Tracer == nil {
		return
	}
	s.talk = &talk{id: t.NextID(), dialler: s, port: s.port}
	if reader := t.Reader(); reader != nil {
		s.talk.reading = reader.Conversation(s.port)
	}
	t.conn(trace.Dial, s, t.when(s.owner), "")
}

func (t traced) opened(s *Socket)              { t.conn(trace.Open, s, 0, "") }
func (t traced) refused(s *Socket, why string) { t.conn(trace.Refused, s, 0, why) }
func (t traced) reset(s *Socket)               { t.conn(trace.Reset, s, 0, "") }

// conn tells something about the connection that s is an end of. At 0 is now.
func (t traced) conn(kind string, s *Socket, at time.Duration, text string) {
	if t.Tracer != nil && s.talk != nil {
		t.Write(&trace.Event{Time: max(at, t.When(0)), Kind: kind, Node: endName(s.host), To: endName(s.remote), Conn: s.talk.id, Port: s.talk.port, Text: text})
	}
}

// sent tells of a packet from s, and gives it a number.
func (t traced) sent(s *Socket, g segment) (id uint64) {
	if t.Tracer == nil || s.talk == nil {
		return 0
	}
	e := trace.Event{Time: t.when(s.owner), Kind: trace.Send, Node: endName(s.host), To: endName(s.remote), ID: t.NextID(), Conn: s.talk.id, Bytes: len(g.data)}
	switch {
	case g.kind == guest.EOF:
		e.Text = "end"
	case s.talk.reading != nil:
		e.Messages = s.talk.reading.Said(s == s.talk.dialler, g.data)
	}
	t.Write(&e)
	return e.ID
}

// packet tells what became of a packet from s.
func (t traced) packet(kind string, s *Socket, g segment, text string) {
	if t.Tracer != nil && g.id != 0 {
		t.Write(&trace.Event{Time: t.when(s.owner), Kind: kind, ID: g.id, Text: text})
	}
}
