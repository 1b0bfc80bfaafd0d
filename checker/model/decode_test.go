package model

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"coup/harness"
)

func TestDecoders(t *testing.T) {
	cases := []struct {
		decode harness.Decoder
		t      harness.Type
		f, raw string
		want   any
		err    string
	}{
		{DecodeRegister, harness.Invoke, "read", ``, nil, ""},
		{DecodeRegister, harness.Invoke, "read", `null`, nil, ""},
		{DecodeRegister, harness.Invoke, "read", `3`, nil, "expected no value"},
		{DecodeRegister, harness.OK, "read", `null`, Maybe{}, ""},
		{DecodeRegister, harness.OK, "read", ` 12`, Just(12), ""},
		{DecodeRegister, harness.OK, "read", ``, nil, "expected an integer or null, not nothing"},
		{DecodeRegister, harness.OK, "read", `1.5`, nil, "expected an integer or null"},
		{DecodeRegister, harness.Invoke, "write", `-9223372036854775808`, int64(-1 << 63), ""},
		{DecodeRegister, harness.Invoke, "write", `9223372036854775808`, nil, "expected an integer"},
		{DecodeRegister, harness.Invoke, "write", `01`, nil, "expected an integer"},
		{DecodeRegister, harness.Invoke, "write", `"1"`, nil, "expected an integer"},
		{DecodeRegister, harness.Invoke, "write", `null`, nil, "expected an integer"},
		{DecodeRegister, harness.OK, "write", ``, nil, ""},
		{DecodeRegister, harness.OK, "write", `1`, nil, "ok write: expected no value"},
		{DecodeRegister, harness.Invoke, "cas", `[null, 2]`, CAS{To: 2}, ""},
		{DecodeRegister, harness.Invoke, "cas", `[1,2]`, CAS{From: Just(1), To: 2}, ""},
		{DecodeRegister, harness.Invoke, "cas", `[1,2,3]`, nil, "expected a pair"},
		{DecodeRegister, harness.Invoke, "cas", `[1,null]`, nil, "to: expected an integer"},
		{DecodeRegister, harness.Invoke, "cas", `[true,1]`, nil, "from: expected an integer or null"},
		{DecodeRegister, harness.OK, "cas", `1`, Just(1), ""},
		{DecodeRegister, harness.Info, "cas", `[1,2]`, nil, ""},
		{DecodeRegister, harness.Fail, "write", `"whatever"`, nil, ""},
		{DecodeRegister, harness.Invoke, "add", `1`, nil, `a register has no function "add", only read, write, cas`},
		{DecodeSet, harness.Invoke, "add", `1`, int64(1), ""},
		{DecodeSet, harness.OK, "read", `[3, 1]`, []int64{3, 1}, ""},
		{DecodeSet, harness.OK, "read", `null`, []int64{}, ""},
		{DecodeSet, harness.OK, "read", `[1,null]`, nil, "element 1: expected an integer"},
		{DecodeSet, harness.OK, "read", `{}`, nil, "expected a list"},
		{DecodeSet, harness.Invoke, "write", `1`, nil, "a set has no function"},
		{DecodeQueue, harness.Invoke, "enqueue", `1`, int64(1), ""},
		{DecodeQueue, harness.OK, "dequeue", `null`, Maybe{}, ""},
		{DecodeQueue, harness.OK, "dequeue", `[]`, nil, "expected an integer or null"},
		{DecodeQueue, harness.Invoke, "pop", ``, nil, "a queue has no function"},
		{DecodeList, harness.OK, "read", `[2,1]`, []int64{2, 1}, ""},
		{DecodeList, harness.Invoke, "add", `1`, nil, "a list has no function"},
		{DecodeJobs, harness.Invoke, "submit", `4`, int64(4), ""},
		{DecodeJobs, harness.OK, "look", `{"jobs": [{"job": 4, "state": "failed", "effects": 1}], "busy": 2}`, JobsSeen{Jobs: []JobSeen{{4, "failed", 1}}, Busy: 2}, ""},
		{DecodeJobs, harness.OK, "look", `{"jobs": []}`, JobsSeen{Jobs: []JobSeen{}}, ""},
		{DecodeJobs, harness.OK, "look", `{}`, nil, "expected {"},
		{DecodeJobs, harness.OK, "look", ``, nil, "expected {"},
		{DecodeJobs, harness.OK, "look", `{"jobs": [{"job": 1}, {"job": 1}]}`, nil, "job 1 is there twice"},
		{DecodeJobs, harness.OK, "look", `{"jobs": [{"job": 1, "state": "odd"}]}`, nil, `job 1 is "odd"`},
		{DecodeCounter, harness.Invoke, "add", `-3`, int64(-3), ""},
		{DecodeCounter, harness.OK, "read", `4`, int64(4), ""},
		{DecodeCounter, harness.OK, "read", `null`, nil, "expected an integer"},
		{DecodeCounter, harness.Invoke, "inc", ``, nil, "a counter has no function"},
	}
	for _, c := range cases {
		got, err := c.decode(c.t, c.f, json.RawMessage(c.raw))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s %s %s: error %v, expected %q", c.t, c.f, c.raw, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s %s: got %#v, %v; expected %#v", c.t, c.f, c.raw, got, err, c.want)
		}
	}
}

// fuzzDecoder feeds a decoder anything. It must not panic, and what it accepts
// must survive being written and read again.
func fuzzDecoder(f *testing.F, decode harness.Decoder, functions ...string) {
	for _, fn := range functions {
		for _, raw := range []string{``, `null`, `1`, `-0`, `[1,2]`, `[null,3]`, `[]`, ` [ 1 , 2 ] `, `1e3`, `{}`, `"x"`, `[[1]]`, `99999999999999999999`} {
			f.Add(uint8(0), fn, raw)
			f.Add(uint8(1), fn, raw)
		}
	}
	f.Fuzz(func(t *testing.T, typ uint8, fn, raw string) {
		kind := harness.Type(typ % 4)
		v, err := decode(kind, fn, json.RawMessage(raw))
		if err != nil || v == nil {
			return
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%#v cannot be written: %v", v, err)
		}
		again, err := decode(kind, fn, b)
		if err != nil || !reflect.DeepEqual(v, again) {
			t.Fatalf("%s became %#v, then %s, then %#v, %v", raw, v, b, again, err)
		}
	})
}

func FuzzDecodeRegister(f *testing.F) { fuzzDecoder(f, DecodeRegister, "read", "write", "cas") }
func FuzzDecodeSet(f *testing.F)      { fuzzDecoder(f, DecodeSet, "add", "read") }
func FuzzDecodeQueue(f *testing.F)    { fuzzDecoder(f, DecodeQueue, "enqueue", "dequeue") }
func FuzzDecodeCounter(f *testing.F)  { fuzzDecoder(f, DecodeCounter, "add", "read") }
func FuzzDecodeListTxn(f *testing.F)  { fuzzDecoder(f, DecodeListTxn, "txn") }
func FuzzDecodeRegisterTxn(f *testing.F) {
	f.Add(uint8(1), "txn", `[["w","x",1],["r",2,null]]`)
	fuzzDecoder(f, DecodeRegisterTxn, "txn")
}
func FuzzDecodeJobs(f *testing.F) {
	f.Add(uint8(1), "look", `{"jobs": [{"job": 4, "state": "failed", "effects": 1}], "busy": 2}`)
	fuzzDecoder(f, DecodeJobs, "submit", "look")
}
func FuzzDecodeMutex(f *testing.F) { fuzzDecoder(f, DecodeMutex, "acquire", "release") }
func FuzzDecodeLock(f *testing.F)  { fuzzDecoder(f, DecodeLock, "acquire", "renew", "release") }
func FuzzDecodeStack(f *testing.F) { fuzzDecoder(f, DecodeStack, "push", "pop") }
func FuzzDecodePriorityQueue(f *testing.F) {
	fuzzDecoder(f, DecodePriorityQueue, "insert", "delete-min")
}
func FuzzDecodeList(f *testing.F) { fuzzDecoder(f, DecodeList, "append", "read") }
