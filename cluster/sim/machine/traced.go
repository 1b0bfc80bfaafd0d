package machine

import (
	"fmt"

	"github.com/tetratelabs/wazero/experimental/sys"

	"coup/cluster/sim/disk"
	"coup/cluster/sim/tracing"
	"coup/cluster/trace"
)

// traced tells a trace what happens on a machine.
type traced struct {
	*tracing.Tracer                        // nil: nobody wants to know
	names           map[*disk.Inode]string // of files that were renamed, perhaps while they were open
}

func newTraced(t *tracing.Tracer) traced { return traced{t, map[*disk.Inode]string{}} }

// wake tells that a program is about to go on.
func (t traced) wake(p *Process) {
	if t.Tracer == nil {
		return
	}
	why := "timer"
	switch {
	case p.module == nil:
		why = "start"
	case len(p.inbox.events) > 0:
		why = "events"
	}
	t.Node(trace.Wake, p.m.Name(), 0, why)
}

func (t traced) exit(p *Process) {
	if t.Tracer == nil {
		return
	}
	how := fmt.Sprintf("status %d", p.fate.code)
	if p.fate.killed {
		how = "killed"
	}
	t.Node(trace.Exit, p.m.Name(), p.number, how)
}

// file tells of something that a program did with its disk.
func (t traced) file(p *Process, e trace.Event) {
	e.Time, e.Node = t.When(p.Lead()), p.m.Name()
	t.Write(&e)
}

func (t traced) write(f *file, b []byte, off int64) {
	if t.Tracer == nil {
		return
	}
	e := trace.Event{Kind: trace.Write, Path: f.path, Offset: off, Bytes: len(b)}
	if now, ok := t.names[f.n]; ok {
		e.Path = now
	}
	if reader := t.Reader(); reader != nil {
		e.Text = reader.Wrote(e.Path, b)
	}
	t.file(f.p, e)
}

func (t traced) name(p *Process, how, path, to string) {
	if t.Tracer == nil {
		return
	}
	if to != "" {
		how += " to " + to
		if n, errno := p.m.storage.disk.Walk(to); errno == 0 {
			t.names[n] = to
		}
	}
	t.file(p, trace.Event{Kind: trace.Name, Path: path, Text: how})
}

func (t traced) sync(p *Process, path string) (id uint64) {
	if t.Tracer == nil {
		return 0
	}
	id = t.NextID()
	t.file(p, trace.Event{Kind: trace.Sync, Path: path, ID: id})
	return id
}

func (t traced) synced(p *Process, path string, id uint64, errno sys.Errno) {
	if t.Tracer == nil {
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

func (t traced) log(m *Machine, line []byte) {
	if t.Tracer != nil {
		t.Write(&trace.Event{Time: t.When(m.process.Lead()), Kind: trace.Log, Node: m.Name(), Text: string(line[:min(len(line), longestLine)])})
	}
}
