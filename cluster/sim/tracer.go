package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/experimental/sys"

	"coup/cluster"
	"coup/cluster/sim/guest"
	"coup/cluster/trace"
)

// tracer writes what happens to a trace. It looks on: it draws nothing at
// random, schedules nothing, and changes nothing that anybody else sees. A nil
// tracer does nothing, so that whoever has something to tell needs one line.
type tracer struct {
	w      *World
	out    *trace.Writer
	reader trace.Reader      // nil: nobody understands what is said
	ids    uint64            // of packets, connections and fsyncs
	names  map[*inode]string // of files that were renamed, perhaps while they were open
}

func newTracer(w *World, out *trace.Writer, system cluster.System) *tracer {
	if out == nil {
		return nil
	}
	reader, _ := system.(trace.Reader)
	return &tracer{w: w, out: out, reader: reader, names: map[*inode]string{}}
}

// talk is a traced connection.
type talk struct {
	id      uint64
	dialler *socket
	port    int
	reading trace.Conversation // nil: nobody can
}

func (t *tracer) next() uint64 {
	t.ids++
	return t.ids
}

func endName(host string) string {
	if host == "" {
		return trace.Clients
	}
	return host
}

// when is the time of somebody who may be ahead of the world.
func (t *tracer) when(o owner) time.Duration {
	if o == nil {
		return t.w.now
	}
	return t.w.now + o.lead()
}

// node tells what was done to a machine, or became of it.
func (t *tracer) node(kind, name string, id int, text string) {
	if t != nil {
		t.out.Write(&trace.Event{Time: t.w.now, Kind: kind, Node: name, ID: uint64(id), Text: text})
	}
}

func (t *tracer) cuts(all []cluster.Cut) {
	if t == nil {
		return
	}
	var words []string
	for _, c := range all {
		c.From = endName(c.From)
		words = append(words, c.String())
	}
	t.out.Write(&trace.Event{Time: t.w.now, Kind: trace.Cuts, Text: strings.Join(words, ", ")})
}

func (t *tracer) dial(s *socket) {
	if t == nil {
		return
	}
	s.talk = &talk{id: t.next(), dialler: s, port: s.port}
	if t.reader != nil {
		s.talk.reading = t.reader.Conversation(s.port)
	}
	t.conn(trace.Dial, s, t.when(s.owner), "")
}

func (t *tracer) opened(s *socket)              { t.conn(trace.Open, s, 0, "") }
func (t *tracer) refused(s *socket, why string) { t.conn(trace.Refused, s, 0, why) }
func (t *tracer) reset(s *socket)               { t.conn(trace.Reset, s, 0, "") }

// conn tells something about the connection that s is an end of. At 0 is now.
func (t *tracer) conn(kind string, s *socket, at time.Duration, text string) {
	if t != nil && s.talk != nil {
		t.out.Write(&trace.Event{Time: max(at, t.w.now), Kind: kind, Node: endName(s.host), To: endName(s.remote), Conn: s.talk.id, Port: s.talk.port, Text: text})
	}
}

// sent tells of a packet from s, and gives it a number.
func (t *tracer) sent(s *socket, g segment) (id uint64) {
	if t == nil || s.talk == nil {
		return 0
	}
	e := trace.Event{Time: t.when(s.owner), Kind: trace.Send, Node: endName(s.host), To: endName(s.remote), ID: t.next(), Conn: s.talk.id, Bytes: len(g.data)}
	switch {
	case g.kind == guest.EOF:
		e.Text = "end"
	case s.talk.reading != nil:
		e.Messages = s.talk.reading.Said(s == s.talk.dialler, g.data)
	}
	t.out.Write(&e)
	return e.ID
}

// packet tells what became of a packet from s.
func (t *tracer) packet(kind string, s *socket, g segment, text string) {
	if t != nil && g.id != 0 {
		t.out.Write(&trace.Event{Time: t.when(s.owner), Kind: kind, ID: g.id, Text: text})
	}
}

// wake tells that a program is about to go on.
func (t *tracer) wake(p *process) {
	if t == nil {
		return
	}
	why := "timer"
	switch {
	case p.module == nil:
		why = "start"
	case len(p.inbox) > 0:
		why = "events"
	}
	t.node(trace.Wake, p.m.name, 0, why)
}

func (t *tracer) exit(p *process) {
	if t == nil {
		return
	}
	how := fmt.Sprintf("status %d", p.code)
	if p.killed {
		how = "killed"
	}
	t.node(trace.Exit, p.m.name, p.number, how)
}

// file tells of something that a program did with its disk.
func (t *tracer) file(p *process, e trace.Event) {
	e.Time, e.Node = t.when(p), p.m.name
	t.out.Write(&e)
}

func (t *tracer) write(f *file, b []byte, off int64) {
	if t == nil {
		return
	}
	e := trace.Event{Kind: trace.Write, Path: f.path, Offset: off, Bytes: len(b)}
	if now, ok := t.names[f.n]; ok {
		e.Path = now
	}
	if t.reader != nil {
		e.Text = t.reader.Wrote(e.Path, b)
	}
	t.file(f.p, e)
}

func (t *tracer) name(p *process, how, path, to string) {
	if t == nil {
		return
	}
	if to != "" {
		how += " to " + to
		if n, errno := p.m.disk.walk(to); errno == 0 {
			t.names[n] = to
		}
	}
	t.file(p, trace.Event{Kind: trace.Name, Path: path, Text: how})
}

func (t *tracer) sync(p *process, path string) (id uint64) {
	if t == nil {
		return 0
	}
	id = t.next()
	t.file(p, trace.Event{Kind: trace.Sync, Path: path, ID: id})
	return id
}

func (t *tracer) synced(p *process, path string, id uint64, errno sys.Errno) {
	if t == nil {
		return
	}
	e := trace.Event{Kind: trace.Synced, Path: path, ID: id}
	if errno != 0 {
		e.Text = errno.Error()
	}
	t.file(p, e)
}

// longestLine is as much as is kept of a line of output.
const longestLine = 4096

func (t *tracer) log(m *machine, line []byte) {
	if t != nil {
		t.out.Write(&trace.Event{Time: t.when(m.process), Kind: trace.Log, Node: m.name, Text: string(line[:min(len(line), longestLine)])})
	}
}
