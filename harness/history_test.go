package harness_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"coup/harness"
)

func TestAppendOpIsReadBack(t *testing.T) {
	for _, op := range []harness.Op{
		{Time: 1, Process: 2, Type: harness.Invoke, F: "write", Key: "k1", Value: int64(-5)},
		{Time: 1 << 60, Process: 0, Type: harness.OK, F: "read", Value: []int64{1, 2, 3}, Node: "n1"},
		{Type: harness.Fail, F: "read", Key: `a"b\c` + "\n\x00</script>\xff", Error: "größer als 💥"},
		{Type: harness.Info, F: "x", Value: map[string]int{"a": 1}},
		{Type: harness.Info, F: "x", Value: json.RawMessage(`[null,1.5]`)},
	} {
		line, err := harness.AppendOp(nil, &op)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' {
			t.Fatalf("not one line: %q", line)
		}
		got, err := harness.ParseOp(line[:len(line)-1])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		value, _ := json.Marshal(op.Value)
		if string(got.Value.(json.RawMessage)) != string(value) {
			t.Errorf("value %s, want %s", got.Value, value)
		}
		got.Value, op.Value = nil, nil
		op.Key = strings.ToValidUTF8(op.Key, "\ufffd") // JSON is UTF-8
		if got != op {
			t.Errorf("read back %+v, want %+v", got, op)
		}
	}
}

const (
	invoke = `{"time":1,"process":0,"type":"invoke","f":"read","key":"k","value":null}` + "\n"
	ok     = `{"time":2,"process":0,"type":"ok","f":"read","key":"k","value":3}` + "\n"
	info   = `{"time":2,"process":0,"type":"info","f":"read","key":"k","value":null}` + "\n"
)

func TestReadOperationsRefusesNonsense(t *testing.T) {
	for _, c := range []struct{ name, history, want string }{
		{"not JSON", invoke + "garbage\n", "line 2: not an operation"},
		{"no process", `{"time":1,"type":"ok","f":"read"}` + "\n", `line 1: an operation needs a "process"`},
		{"no type", `{"time":1,"process":1,"f":"read"}` + "\n", `line 1: an operation needs a "type"`},
		{"a wrong type", `{"time":1,"process":1,"type":"maybe","f":"read"}` + "\n", `"maybe" is none of invoke, ok, fail, info`},
		{"no function", `{"time":1,"process":1,"type":"ok"}` + "\n", `line 1: an operation needs an "f"`},
		{"a negative time", `{"time":-1,"process":1,"type":"ok","f":"read"}` + "\n", `line 1: an operation needs a "time"`},
		{"completed but never invoked", ok, "line 1: process 0 completes read, which it never invoked"},
		{"completed twice", invoke + ok + ok, "line 3: process 0 completes read, which it never invoked"},
		{"two at once", invoke + invoke, "line 2: process 0 invokes read while its read of line 1 is open"},
		{"speaks after an info", invoke + info + invoke, "line 3: process 0 invokes read although its operation ended info in line 2"},
		{"completes another", invoke + strings.Replace(ok, `"key":"k"`, `"key":"j"`, 1), `line 2: process 0 completes read of key "j"`},
		{"cut off in the middle", invoke[:20] + "\n" + ok, "line 1: not an operation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := harness.ReadOperations(strings.NewReader(c.history), anything)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			var at *harness.LineError
			if !errors.As(err, &at) {
				t.Errorf("%T has no line", err)
			}
		})
	}
}

func TestReadOperationsOfAKilledRun(t *testing.T) {
	ops, torn, err := harness.ReadOperations(strings.NewReader(invoke+ok+invoke[:len(invoke)-9]), anything)
	if err != nil || !torn {
		t.Fatalf("torn=%t, %v: a line that was cut off must be left out", torn, err)
	}
	if len(ops) != 1 || ops[0].Type != harness.OK || ops[0].Call != 1 || ops[0].Return != 2 {
		t.Errorf("operations %+v", ops)
	}
	ops, torn, err = harness.ReadOperations(strings.NewReader(invoke+ok+invoke), anything)
	if err != nil || torn || len(ops) != 2 {
		t.Fatalf("%d operations, torn=%t, %v", len(ops), torn, err)
	}
	if open := ops[1]; open.Type != harness.Info || open.Return != harness.Open || open.End != 2 {
		t.Errorf("what never ended must be info, until the end of the history: %+v", open)
	}
}

// failingWriter fails after n bytes.
type failingWriter struct{ n int }

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestRecorderKeepsItsFirstError(t *testing.T) {
	r := harness.NewRecorder(&failingWriter{n: 100})
	op := harness.Op{F: "read", Key: strings.Repeat("k", 60)}
	for range 3 {
		if err := r.Record(&op); err != nil {
			t.Fatal(err) // nothing was written yet
		}
	}
	if err := r.Flush(); err == nil {
		t.Fatal("the failed write was not reported")
	}
	if err := r.Record(&op); err == nil {
		t.Error("a later record did not return the error")
	}
}

func FuzzParseOp(f *testing.F) {
	f.Add([]byte(strings.TrimSpace(invoke)))
	f.Add([]byte(strings.TrimSpace(ok)))
	f.Add([]byte(`{"time":1e3,"process":0,"type":"ok","f":"\u0000","value":{"a":[1,"\ud800"]}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		op, err := harness.ParseOp(line)
		if err != nil {
			return
		}
		again, err := harness.AppendOp(nil, &op)
		if err != nil {
			t.Fatalf("%q was read but can't be written: %v", line, err)
		}
		if _, err := harness.ParseOp(bytes.TrimSpace(again)); err != nil {
			t.Fatalf("%q was written as %q, which can't be read: %v", line, again, err)
		}
	})
}

func FuzzReadOperations(f *testing.F) {
	f.Add([]byte(invoke + ok + invoke + info))
	f.Fuzz(func(t *testing.T, history []byte) {
		ops, _, err := harness.ReadOperations(bytes.NewReader(history), anything)
		if err != nil {
			return
		}
		for i, op := range ops {
			if op.Return <= op.Call || i > 0 && op.Call <= ops[i-1].Call {
				t.Fatalf("operation %d: call %d, return %d", i, op.Call, op.Return)
			}
		}
	})
}
