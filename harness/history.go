package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

// AppendOp appends op to b as a line of a history: one JSON object and a newline. It
// encodes by hand because it runs for every operation. ParseOp reads the line back.
func AppendOp(b []byte, op *Op) ([]byte, error) {
	b = append(b, `{"time":`...)
	b = strconv.AppendInt(b, int64(op.Time), 10)
	b = append(b, `,"process":`...)
	b = strconv.AppendInt(b, int64(op.Process), 10)
	b = append(b, `,"type":"`...)
	b = append(b, op.Type.String()...)
	b = append(b, `","f":`...)
	b = appendString(b, op.F)
	if op.Key != "" {
		b = append(b, `,"key":`...)
		b = appendString(b, op.Key)
	}
	b = append(b, `,"value":`...)
	b, err := appendValue(b, op.Value)
	if err != nil {
		return nil, fmt.Errorf("value of %s: %w", op.F, err)
	}
	if op.Node != "" {
		b = append(b, `,"node":`...)
		b = appendString(b, op.Node)
	}
	if op.Error != "" {
		b = append(b, `,"error":`...)
		b = appendString(b, op.Error)
	}
	if op.Due != 0 {
		b = append(b, `,"due":`...)
		b = strconv.AppendInt(b, int64(op.Due), 10)
	}
	return append(b, '}', '\n'), nil
}

// JSONAppender is implemented by values that know how to append themselves.
type JSONAppender interface {
	AppendJSON(b []byte) []byte
}

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case JSONAppender:
		return v.AppendJSON(b), nil
	case []int64:
		b = append(b, '[')
		for i, n := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, n, 10)
		}
		return append(b, ']'), nil
	}
	enc, err := json.Marshal(v)
	return append(b, enc...), err
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			enc, _ := json.Marshal(s) // a string always marshals
			return append(b, enc...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// ParseOp reads a line of a history. The value stays a json.RawMessage.
func ParseOp(line []byte) (Op, error) {
	var in struct {
		Time    *int64          `json:"time"`
		Process *int            `json:"process"`
		Type    *Type           `json:"type"`
		F       string          `json:"f"`
		Key     string          `json:"key"`
		Value   json.RawMessage `json:"value"`
		Node    string          `json:"node"`
		Error   string          `json:"error"`
		Due     int64           `json:"due"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return Op{}, fmt.Errorf("not an operation: %w", err)
	}
	switch {
	case in.Time == nil || *in.Time < 0:
		return Op{}, errors.New(`an operation needs a "time" in nanoseconds since the start`)
	case in.Process == nil || *in.Process < 0:
		return Op{}, errors.New(`an operation needs a "process", 0 or more`)
	case in.Type == nil:
		return Op{}, errors.New(`an operation needs a "type": invoke, ok, fail or info`)
	case in.F == "":
		return Op{}, errors.New(`an operation needs an "f", the name of its function`)
	case in.Due < 0 || in.Due > *in.Time:
		return Op{}, errors.New(`"due" is when an operation should have begun, in nanoseconds since the start: no later than it did`)
	}
	if in.Value == nil {
		in.Value = json.RawMessage("null")
	}
	return Op{
		Time: time.Duration(*in.Time), Process: *in.Process, Type: *in.Type, F: in.F, Key: in.Key,
		Value: in.Value, Node: in.Node, Error: in.Error, Due: time.Duration(in.Due),
	}, nil
}

// LineError is an error at a line of an input, from 1.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// Lines calls fn with every line of r and its number, from 1. A write that was cut off
// leaves a last line without a newline: if that line is not JSON, Lines drops it and
// returns torn. Errors of fn come back as a *LineError.
func Lines(r io.Reader, fn func(n int, line []byte) error) (torn bool, err error) {
	br := bufio.NewReaderSize(r, 1<<16)
	var long []byte
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			line, err = br.ReadSlice('\n')
		}
		if len(long) > 0 {
			line = append(long, line...)
			long = line[:0]
		}
		if err != nil && err != io.EOF {
			return false, &LineError{n, err}
		}
		last := err == io.EOF
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if last && !json.Valid(text) {
				return true, nil
			}
			if err := fn(n, text); err != nil {
				return false, &LineError{n, err}
			}
		}
		if last {
			return false, nil
		}
	}
}

// ReadOperations reads a history and joins invocations with completions, in
// the order of the invocations. Values go through decode. What was still
// running at the end of the history is Info. torn says that the last line was
// cut off and dropped.
//
// A history in which a process completes what it never began, begins two
// things at once, or speaks again after an info makes no sense: a *LineError.
func ReadOperations(r io.Reader, decode Decoder) (ops []Operation, torn bool, err error) {
	open := map[int]int{}         // process -> index in ops
	gone := map[int]int{}         // process -> line of its info
	var end time.Duration         // the newest time seen
	intern := map[string]string{} // one copy of each key, function and node
	one := func(s string) string {
		if c, ok := intern[s]; ok {
			return c
		}
		intern[s] = s
		return s
	}
	torn, err = Lines(r, func(n int, line []byte) error {
		op, err := ParseOp(line)
		if err != nil {
			return err
		}
		raw := op.Value.(json.RawMessage)
		end = max(end, op.Time)
		i, busy := open[op.Process]
		if op.Type == Invoke {
			if at, ok := gone[op.Process]; ok {
				return fmt.Errorf("process %d invokes %s although its operation ended info in line %d", op.Process, op.F, at)
			}
			if busy {
				return fmt.Errorf("process %d invokes %s while its %s of line %d is open", op.Process, op.F, ops[i].F, ops[i].Call)
			}
			input, err := decode(Invoke, op.F, raw)
			if err != nil {
				return err
			}
			open[op.Process] = len(ops)
			ops = append(ops, Operation{
				Process: op.Process, F: one(op.F), Key: one(op.Key), Input: input, Type: Info,
				Call: n, Return: Open, Start: op.Time, Due: op.Due, Line: n, Index: -1,
			})
			return nil
		}
		if !busy {
			return fmt.Errorf("process %d completes %s, which it never invoked", op.Process, op.F)
		}
		o := &ops[i]
		if o.F != op.F || o.Key != op.Key {
			return fmt.Errorf("process %d completes %s of key %q, but invoked %s of key %q in line %d", op.Process, op.F, op.Key, o.F, o.Key, o.Call)
		}
		delete(open, op.Process)
		o.Type, o.End, o.Node, o.Error = op.Type, op.Time, one(op.Node), op.Error
		if op.Type == Info {
			gone[op.Process] = n
			return nil
		}
		o.Return = n
		if op.Type == OK {
			o.Output, err = decode(OK, op.F, raw)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for _, i := range open {
		ops[i].End = end
	}
	return ops, torn, nil
}

// ReadEvents reads the lines of an events.jsonl.
func ReadEvents(r io.Reader) (events []Event, torn bool, err error) {
	torn, err = Lines(r, func(_ int, line []byte) error {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("not an event: %w", err)
		}
		if e.Kind == "" {
			return errors.New(`an event needs a "kind"`)
		}
		events = append(events, e)
		return nil
	})
	return events, torn, err
}

// Recorder writes the lines of a history or of events. Lines gather in memory
// until there are enough of them or Flush is called. Safe for concurrent use.
// Once a write has failed every further call returns that error.
type Recorder struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
	err error
}

// NewRecorder returns a Recorder that writes to w.
func NewRecorder(w io.Writer) *Recorder { return &Recorder{w: w, buf: make([]byte, 0, 2*bufferSize)} }

const bufferSize = 1 << 16

// Record appends op.
func (r *Recorder) Record(op *Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, err := AppendOp(r.buf, op)
	if err != nil {
		return err
	}
	r.buf = b
	if len(b) >= bufferSize {
		return r.flush()
	}
	return r.err
}

// RecordEvent appends e.
func (r *Recorder) RecordEvent(e *Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = append(append(r.buf, line...), '\n')
	if len(r.buf) >= bufferSize {
		return r.flush()
	}
	return r.err
}

// Flush writes out what has gathered.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flush()
}

func (r *Recorder) flush() error {
	if r.err == nil && len(r.buf) > 0 {
		_, r.err = r.w.Write(r.buf)
	}
	r.buf = r.buf[:0]
	return r.err
}
