// Package histories reads histories that other tools recorded, so that they can
// be judged with the checkers of package checker.
//
// [Read] takes Jepsen's history.edn, in which each operation is a map (one
// after the other, or all in one vector) or a vector of process, type, function
// and value; and the log lines that Jepsen writes, such as those in porcupine's
// test data, which hold the same four after a dash. It finds out by itself
// which of them it reads, and whether it is compressed by gzip or bzip2.
package histories

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/checker/transactions"
	"coup/harness"
)

// Options say what the values of a history mean.
type Options struct {
	// Model is one of [Models].
	Model string
	// NilReadsSayNothing leaves out reads that returned nil, as Knossos does,
	// which takes nil for an answer that is not known. Otherwise such a read
	// says that there was nothing.
	NilReadsSayNothing bool
	// FailedCASDiffers takes a compare-and-set that failed for the statement
	// that the register did not hold what it was compared with, as porcupine's
	// model of etcd does. Otherwise a failed compare-and-set is left out, as
	// Knossos does: it may have failed for any reason.
	FailedCASDiffers bool
}

// Models are the names that Options.Model can take, with the checker that
// judges such histories.
func Models() map[string]harness.Checker {
	linearizable := func(m model.Model) harness.Checker { return linearizable.Checker{Model: m} }
	return map[string]harness.Checker{
		"register":       linearizable(model.Register()),
		"cas-register":   linearizable(model.Register()),
		"set":            linearizable(model.Set()),
		"queue":          linearizable(model.Queue()),
		"stack":          linearizable(model.Stack()),
		"priority-queue": linearizable(model.PriorityQueue()),
		"counter":        linearizable(model.Counter()),
		"lock":           linearizable(model.Lock()),
		"mutex":          linearizable(model.Mutex()),
		"kv":             linearizable(model.KV()),
		"list-append":    transactions.Checker{},
		"rw-register":    transactions.Checker{Registers: true},
	}
}

// Read reads a history. An error names the line and what was expected there.
func Read(r io.Reader, o Options) (*harness.History, error) {
	values, known := converters[o.Model]
	if !known {
		return nil, fmt.Errorf("no model %q, only %s", o.Model, strings.Join(modelNames(), ", "))
	}
	in, err := plain(r)
	if err != nil {
		return nil, err
	}
	p := pairing{convert: values, options: o, open: map[int64]int{}}
	head, _ := in.Peek(4096)
	if isJSONL(head) {
		return readJSONL(in, o.Model)
	}
	if isLog(head) {
		err = readLog(in, &p)
	} else {
		err = readEDN(in, &p)
	}
	if err != nil {
		return nil, err
	}
	return p.finish(), nil
}

func modelNames() []string {
	var names []string
	for n := range converters {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// plain undoes the compression of r.
func plain(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	head, _ := in.Peek(3)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return bufio.NewReaderSize(z, 1<<16), nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return bufio.NewReaderSize(bzip2.NewReader(in), 1<<16), nil
	}
	return in, nil
}

// line is one entry of a foreign history.
type line struct {
	number  int // of the line in the file
	process int64
	typ     harness.Type
	f       string
	key     string
	value   any // as EDN
	time    time.Duration
	err     string
	node    string
}

// pairing makes operations of lines.
type pairing struct {
	convert converter
	options Options
	history harness.History
	open    map[int64]int // by process: the operation under way
	pos     int
	keyed   bool // values are pairs of a key and a value, as in Jepsen's independent tests
	dropped []bool
}

var types = map[string]harness.Type{"invoke": harness.Invoke, "ok": harness.OK, "fail": harness.Fail, "info": harness.Info}

func (p *pairing) add(l line) error {
	pos := p.pos
	p.pos++
	if l.time == 0 {
		l.time = time.Duration(pos)
	}
	at, under := p.open[l.process]
	if l.typ == harness.Invoke {
		if under {
			return fmt.Errorf("line %d: process %d begins %s, and its %s has not ended", l.number, l.process, l.f, p.history.Operations[at].F)
		}
		op := harness.Operation{
			Process: int(l.process), F: l.f, Key: l.key, Type: harness.Info, Call: pos, Return: harness.Open,
			Start: l.time, End: l.time, Node: l.node,
		}
		value := p.unkey(l.value, &op.Key, l.f)
		in, err := p.convert.input(&op, value)
		if err != nil {
			return fmt.Errorf("line %d: %s: %w", l.number, l.f, err)
		}
		op.Input = in
		p.open[l.process] = len(p.history.Operations)
		p.history.Operations = append(p.history.Operations, op)
		p.dropped = append(p.dropped, false)
		return nil
	}
	if !under {
		if l.typ == harness.Info {
			return nil // a remark of the test itself
		}
		return fmt.Errorf("line %d: process %d ends %s, and had not begun it", l.number, l.process, l.f)
	}
	op := &p.history.Operations[at]
	if op.F != p.convert.name(l.f) && op.F != l.f {
		return fmt.Errorf("line %d: process %d ends %s, and had begun %s", l.number, l.process, l.f, op.F)
	}
	delete(p.open, l.process)
	op.End, op.Error, op.Type = l.time, l.err, l.typ
	if l.typ == harness.Info {
		return nil
	}
	op.Return = pos
	key := ""
	value := p.unkey(l.value, &key, l.f)
	drop, err := p.convert.output(op, value, p.options)
	if err != nil {
		return fmt.Errorf("line %d: %s: %w", l.number, l.f, err)
	}
	p.dropped[at] = drop
	return nil
}

// unkey takes the key out of a value of an independent test. That it is one
// shows in a read: its invocation has a pair for a value.
func (p *pairing) unkey(v any, key *string, f string) any {
	pair, ok := v.([]any)
	if f == "read" && ok && len(pair) == 2 && pair[1] == nil {
		p.keyed = true
	}
	if p.keyed && ok && len(pair) == 2 {
		*key = fmt.Sprint(pair[0])
		return pair[1]
	}
	return v
}

// finish is the history. Operations that constrain nothing are left out.
func (p *pairing) finish() *harness.History {
	kept := p.history.Operations[:0]
	for i, op := range p.history.Operations {
		if !p.dropped[i] {
			kept = append(kept, op)
		}
	}
	p.history.Operations = kept
	return &p.history
}

func readEDN(in *bufio.Reader, p *pairing) error {
	r := newEDNReader(in)
	for n := 0; ; n++ {
		v, err := r.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if list, ok := v.([]any); ok && n == 0 && len(list) > 0 && isEntry(list[0]) {
			for _, v := range list {
				if err := addForm(p, v, r.line); err != nil {
					return err
				}
			}
			continue
		}
		if err := addForm(p, v, r.line); err != nil {
			return err
		}
	}
}

// isEntry says whether a value may be an operation itself.
func isEntry(v any) bool {
	switch v.(type) {
	case ednMap, []any:
		return true
	}
	return false
}

var errNoEntry = errors.New("expected an operation: a map with :process, :type, :f and :value, or a vector of these")

func addForm(p *pairing, v any, number int) error {
	l := line{number: number}
	var process, typ, f any
	switch v := v.(type) {
	case ednMap:
		process, typ, f, l.value = v.get("process"), v.get("type"), v.get("f"), v.get("value")
		if t, ok := v.get("time").(int64); ok {
			l.time = time.Duration(t)
		}
		if k := v.get("key"); k != nil {
			l.key = fmt.Sprint(k)
		}
		if e := v.get("error"); e != nil {
			l.err = fmt.Sprint(e)
		}
		if n, ok := v.get("node").(string); ok {
			l.node = n
		}
	case []any:
		if len(v) != 4 {
			return fmt.Errorf("line %d: %w", number, errNoEntry)
		}
		process, typ, f, l.value = v[0], v[1], v[2], v[3]
	default:
		return fmt.Errorf("line %d: %w", number, errNoEntry)
	}
	switch process := process.(type) {
	case int64:
		l.process = process
	case keyword: // :nemesis
		return nil
	default:
		return fmt.Errorf("line %d: expected a number as :process, not %v", number, process)
	}
	name, _ := typ.(keyword)
	t, known := types[string(name)]
	if !known {
		return fmt.Errorf("line %d: expected :invoke, :ok, :fail or :info as :type, not %v", number, typ)
	}
	l.typ = t
	switch f := f.(type) {
	case keyword:
		l.f = string(f)
	case string:
		l.f = f
	case nil: // Elle leaves out what is always the same
		l.f = "txn"
	default:
		return fmt.Errorf("line %d: expected a keyword as :f, not %v", number, f)
	}
	return p.add(l)
}
