package online

import (
	"fmt"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// Monitor watches the objects of a model while a run goes on. It takes the lines of a
// history as they are recorded, and reports the first line after which the history can't
// be explained. Every report is true. Its memory is bounded by the operations that are
// open and the elements that are still there, not by the length of the run. The cost of a
// line is proportional to the number of open operations.
//
// For registers it is exact, as long as every value is written once to a key: it sees a
// violation at the first line that shows it. For sets, queues and counters it sees what
// single elements show: that one was lost, duplicated, never written, or out of order.
//
// A Monitor is not safe for concurrent use.
type Monitor struct {
	model     model.Model
	pos       int
	keys      map[string]*watched
	processes underWay
}

// Finding is a violation that a [Monitor] saw.
type Finding struct {
	Key  string
	Time time.Duration // since the start of the run
	Text string        // what is wrong, in a sentence
}

// NewMonitor makes a monitor that has seen nothing. It fails if there is no monitor for
// the model.
func NewMonitor(m model.Model) (*Monitor, error) {
	if watchers[m.Kind] == nil {
		return nil, fmt.Errorf("a %s cannot be watched while it runs", m.Name)
	}
	return &Monitor{model: m, keys: map[string]*watched{}, processes: underWay{}}, nil
}

// watchers make what watches one object, by model.
var watchers = map[model.Kind]func() watcher{
	model.RegisterKind: newRegisterWatcher,
	model.SetKind:      newSetWatcher,
	model.QueueKind:    newQueueWatcher,
	model.CounterKind:  func() watcher { return &counterWatcher{begun: map[*harness.Operation]counterBounds{}} },
}

// watcher watches one object.
type watcher interface {
	// invoke takes an operation that begins. An error means that the object can
	// be watched no longer.
	invoke(op *harness.Operation) error
	// complete takes the end of an operation at a position, and returns what is wrong,
	// or "". No operation that is still open began before the position low.
	complete(op *harness.Operation, now int, low func() int) string
}

// underWay are the operations under way, by process.
type underWay map[int]*harness.Operation

// begin makes an operation of its first line, at a position.
func (u underWay) begin(op harness.Op, pos int) (*harness.Operation, error) {
	if before := u[op.Process]; before != nil {
		return nil, fmt.Errorf("process %d begins %s while it performs %s", op.Process, op.F, before.F)
	}
	o := &harness.Operation{Process: op.Process, F: op.F, Key: op.Key, Input: op.Value, Type: harness.Info, Call: pos, Return: harness.Open, Start: op.Time}
	u[op.Process] = o
	return o, nil
}

// end is the operation that ends with a line.
func (u underWay) end(op harness.Op) (*harness.Operation, error) {
	o := u[op.Process]
	if o == nil {
		return nil, fmt.Errorf("process %d ends %s, which it had not begun", op.Process, op.F)
	}
	delete(u, op.Process)
	o.End = op.Time
	return o, nil
}

// low is the position before which no operation under way began.
func (u underWay) low() int {
	low := harness.Open
	for _, op := range u {
		low = min(low, op.Call)
	}
	return low
}

// watched is one object.
type watched struct {
	watcher
	open map[*harness.Operation]struct{}
	done bool // nothing more is to be found
}

// low is the position before which no operation under way began.
func (w *watched) low() int {
	low := harness.Open
	for op := range w.open {
		low = min(low, op.Call)
	}
	return low
}

// Observe takes the next line. It returns a finding if the history can't be explained
// any more; then the key is no longer watched. There are two kinds of errors. Either the
// line makes no sense, such as the end of an operation that never began, and is left out.
// Or the key can't be watched any more, for example because a value is written to it
// twice.
func (m *Monitor) Observe(op harness.Op) (*Finding, error) {
	m.pos++
	if op.Type == harness.Invoke {
		return nil, m.invoke(op)
	}
	o, err := m.processes.end(op)
	if err != nil {
		return nil, err
	}
	w := m.keys[o.Key]
	delete(w.open, o)
	if w.done {
		return nil, nil
	}
	o.Type = op.Type
	if op.Type == harness.OK {
		o.Output, o.Return = op.Value, m.pos
		if err := m.model.CheckType(o); err != nil {
			w.done = true
			return nil, err
		}
	}
	text := w.complete(o, m.pos, w.low)
	if text == "" {
		return nil, nil
	}
	w.done, w.watcher = true, nil
	return &Finding{Key: o.Key, Time: op.Time, Text: text}, nil
}

func (m *Monitor) invoke(op harness.Op) error {
	o, err := m.processes.begin(op, m.pos)
	if err != nil {
		return err
	}
	w := m.keys[op.Key]
	if w == nil {
		w = &watched{watcher: watchers[m.model.Kind](), open: map[*harness.Operation]struct{}{}}
		m.keys[op.Key] = w
	}
	if w.done {
		return nil
	}
	if err = m.model.CheckType(o); err == nil {
		err = w.watcher.invoke(o)
	}
	if err != nil {
		w.done, w.watcher = true, nil
		return fmt.Errorf("%s is watched no longer: %w", story.NameOf(m.model, op.Key), err)
	}
	w.open[o] = struct{}{}
	return nil
}
