package report

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"coup/harness"
)

// maxValue is the longest value that the list of operations shows in full, in
// bytes: a read of a large set would otherwise make the file grow with the
// square of the operations.
const maxValue = 160

// listed are the operations that the file lists, and where in ops they are.
type listed struct {
	ops      []harness.Operation
	rows     []int
	allFails bool // that there are
}

// chooseOperations reduces ops to about limit. Operations that ended info and those in
// calls are kept. Failed operations get half of the room that is left, successful ones
// the other half, each spread evenly; room that one half does not need goes to the
// other.
func chooseOperations(ops []harness.Operation, limit int, calls map[call]int) listed {
	keep := map[int]bool{}
	for _, i := range calls {
		keep[i] = true
	}
	if limit <= 0 {
		limit = 300_000
	}
	var fail, ok share
	for i := range ops {
		switch {
		case keep[i]:
		case ops[i].Type == harness.Fail:
			fail.all++
		case ops[i].Type == harness.OK:
			ok.all++
		}
	}
	room := max(limit-(len(ops)-fail.all-ok.all), limit/10)
	fail.room = min(fail.all, max(room/2, room-ok.all))
	ok.room = min(ok.all, room-fail.room)
	l := listed{ops: ops, rows: make([]int, 0, min(len(ops), limit)), allFails: fail.room == fail.all}
	for i := range ops {
		switch {
		case keep[i]:
		case ops[i].Type == harness.Fail && !fail.take(), ops[i].Type == harness.OK && !ok.take():
			continue
		}
		l.rows = append(l.rows, i)
	}
	return l
}

// share picks room out of all, evenly.
type share struct{ all, room, seen int }

func (s *share) take() bool {
	s.seen++
	return s.seen*s.room/s.all > (s.seen-1)*s.room/s.all
}

// table numbers strings in the order in which they come.
type table struct {
	index map[string]int
	names []string
}

func (t *table) number(s string) int64 {
	n, ok := t.index[s]
	if !ok {
		if t.index == nil {
			t.index = map[string]int{}
		}
		n = len(t.names)
		t.index[s] = n
		t.names = append(t.names, s)
	}
	return int64(n)
}

// encode writes the operations as JSON with one array per column, deflated,
// in base64. Times are microseconds: "start" counts from the start before,
// "took" is -1 for an operation that never ended. "line" is that of the
// invocation in the history, counted from the one before. Values that are small
// integers are numbers, other values are their JSON text in a string, and null
// is no value.
func (l listed) encode() (string, error) {
	var fs, keys, nodes, errs table
	errs.number("")
	var b []byte
	numbers := func(name string, of func(*harness.Operation) int64) {
		b = append(b, `,"`+name+`":[`...)
		for i, row := range l.rows {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, of(&l.ops[row]), 10)
		}
		b = append(b, ']')
	}
	values := func(name string, of func(*harness.Operation) any) error {
		b = append(b, `,"`+name+`":[`...)
		for i, row := range l.rows {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendValue(b, of(&l.ops[row])); err != nil {
				return err
			}
		}
		b = append(b, ']')
		return nil
	}

	b = append(b, `{"count":`...)
	b = strconv.AppendInt(b, int64(len(l.rows)), 10)
	var last int64
	numbers("start", func(op *harness.Operation) int64 {
		at := op.Start.Microseconds()
		delta := at - last
		last = at
		return delta
	})
	numbers("took", func(op *harness.Operation) int64 {
		if op.Type == harness.Invoke || op.End < op.Start {
			return -1
		}
		return op.End.Microseconds() - op.Start.Microseconds()
	})
	last = 0
	numbers("line", func(op *harness.Operation) int64 {
		at := int64(cmp.Or(op.Line, op.Call))
		delta := at - last
		last = at
		return delta
	})
	numbers("process", func(op *harness.Operation) int64 { return int64(op.Process) })
	numbers("type", func(op *harness.Operation) int64 {
		if op.Type == harness.Invoke {
			return int64(harness.Info)
		}
		return int64(op.Type)
	})
	numbers("f", func(op *harness.Operation) int64 { return fs.number(op.F) })
	numbers("key", func(op *harness.Operation) int64 { return keys.number(op.Key) })
	numbers("node", func(op *harness.Operation) int64 { return nodes.number(op.Node) })
	numbers("error", func(op *harness.Operation) int64 { return errs.number(op.Error) })
	if err := values("input", func(op *harness.Operation) any { return worded(op.Input, told.Asked) }); err != nil {
		return "", err
	}
	if err := values("output", func(op *harness.Operation) any { return worded(op.Output, told.Answered) }); err != nil {
		return "", err
	}
	names, err := json.Marshal(map[string][]string{"f": fs.names, "key": keys.names, "node": nodes.names, "error": errs.names})
	if err != nil {
		return "", err
	}
	b = append(b, `,"names":`...)
	b = append(b, names...)
	b = append(b, '}')
	return deflate(b)
}

// deflate packs b for DecompressionStream("deflate-raw").
func deflate(b []byte) (string, error) {
	var packed bytes.Buffer
	text := base64.NewEncoder(base64.StdEncoding, &packed)
	z, err := flate.NewWriter(text, flate.DefaultCompression)
	if err != nil {
		return "", err
	}
	if _, err := z.Write(b); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	if err := text.Close(); err != nil {
		return "", err
	}
	return packed.String(), nil
}

// told is implemented by values that people read better in other words than JSON.
type told interface {
	Asked() string    // as the value of an invocation
	Answered() string // as that of a completion
}

// text is a value in words.
type text string

func worded(v any, words func(told) string) any {
	if t, ok := v.(told); ok {
		return text(words(t))
	}
	return v
}

func appendValue(b []byte, v any) ([]byte, error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	raw, ok := v.(json.RawMessage)
	if t, told := v.(text); told {
		raw, ok = json.RawMessage(t), true
	}
	if !ok {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	if len(raw) == 0 {
		return append(b, "null"...), nil
	}
	if isSmallInteger(raw) {
		return append(b, raw...), nil
	}
	text := string(raw)
	if len(text) > maxValue {
		text = text[:maxValue] + "… (" + count(len(text)) + " bytes)"
	}
	quoted, err := json.Marshal(text) // also mends a character that was cut in two
	return append(b, quoted...), err
}

// isSmallInteger says whether raw is an integer that JavaScript reads exactly.
func isSmallInteger(raw []byte) bool {
	digits := bytes.TrimPrefix(raw, []byte("-"))
	if len(digits) == 0 || len(digits) > 15 || len(digits) > 1 && digits[0] == '0' {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
