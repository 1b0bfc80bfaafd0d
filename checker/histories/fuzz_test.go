package histories

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// understood makes sure that what was read as a history is one, and that the
// model's checker understands it.
func understood(t *testing.T, h *Recording) {
	t.Helper()
	for i, op := range h.Operations {
		if op.Return <= op.Call || i > 0 && op.Call <= h.Operations[i-1].Call {
			t.Fatalf("operation %d: call %d, return %d", i, op.Call, op.Return)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := h.checker().Check(ctx, &h.History); err != nil && !strings.Contains(err.Error(), "must be unique") && !strings.Contains(err.Error(), "the same steps") {
		t.Fatal(err)
	}
}

// FuzzEDN reads forms until the end or an error: they are made of the types
// that the reader promises, however they are nested.
func FuzzEDN(f *testing.F) {
	f.Add(registerMaps)
	f.Add(`[1 -2N 3.5M "a\n\u0041" \newline :k/w sym nil true #{} #_ 1 #inst "2020" {:a (1 2)}]`)
	f.Add(`##Inf #a #_#_ 1 2 3 ; comment`)
	f.Fuzz(func(t *testing.T, text string) {
		r := newReader(strings.NewReader(text), false)
		forms := 0
		for {
			v, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if !strings.Contains(err.Error(), "line ") {
					t.Fatalf("an error that does not say where: %v", err)
				}
				break
			}
			if forms++; forms > len(text) {
				t.Fatal("more forms than characters")
			}
			promised(t, v)
		}
		if lines := strings.Count(text, "\n") + 1; r.line < 1 || r.line > lines {
			t.Fatalf("line %d of %d", r.line, lines)
		}
	})
}

func promised(t *testing.T, v any) {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, keyword, symbol, other, ints:
	case set:
		promised(t, v.of)
	case []any:
		for _, e := range v {
			promised(t, e)
		}
	case ednMap:
		if len(v)%2 != 0 {
			t.Fatal("half a pair in a map")
		}
		for _, e := range v {
			promised(t, e)
		}
	default:
		t.Fatalf("%T", v)
	}
}

// FuzzLog reads the lines that Jepsen prints.
func FuzzLog(f *testing.F) {
	f.Add("INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0\t:info\t:cas\t:timed-out\n", "cas-register")
	f.Add("x - 0 :invoke :read nil\nsomething else\nx - :nemesis :info :start nil\nx - 0 :ok :read 1", "register")
	f.Add("x - 0 :invoke :lock nil\nx - 0 :ok :lock {:fence 3}", "lock")
	f.Fuzz(func(t *testing.T, text, model string) {
		c, err := newConversion(Options{Model: model})
		if err != nil {
			return
		}
		p := newPairing(c.model)
		if readLog(bufio.NewReader(strings.NewReader(text)), p.add) != nil || p.finish() != nil {
			return
		}
		r := &Recording{model: model, values: c.values}
		if r.Operations, err = c.operations(p); err == nil {
			understood(t, r)
		}
	})
}

// FuzzElle reads histories of transactions.
func FuzzElle(f *testing.F) {
	f.Add(`{:process 0 :type :invoke :f :txn :value [[:append 5 1] [:r 5 nil]]} {:process 0 :type :ok :f :txn :value [[:append 5 1] [:r 5 [1]]]}`, true)
	f.Add(`{:process 0 :type :invoke :value [[:w 5 1] [:r 5 nil]]} {:process 0 :type :ok :value [[:w 5 1] [:r 5 1]]}`, false)
	f.Add(`{:process 0 :type :invoke :value [[:r 0 nil]]} {:process 0 :type :ok :value []}`, false)
	f.Add(`{"time":1,"process":0,"type":"invoke","f":"txn","value":[["append","5",1],["r","5",null]]}`, true)
	f.Fuzz(func(t *testing.T, text string, lists bool) {
		model := "rw-register"
		if lists {
			model = "list-append"
		}
		if h, err := Read(strings.NewReader(text), Options{Model: model}); err == nil {
			understood(t, h)
		}
	})
}

// FuzzCompressed reads what claims to be compressed; and what is compressed
// must read as it does plain.
func FuzzCompressed(f *testing.F) {
	f.Add([]byte(`[0 :invoke :write 1] [0 :ok :write 1]`))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("BZh9\x17rE8P\x90\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := Options{Model: "cas-register"}
		h, err := Read(bytes.NewReader(data), o)
		if bytes.HasPrefix(data, []byte("\x1f\x8b")) || bytes.HasPrefix(data, []byte("BZh")) {
			return // compressed already
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		again, errAgain := Read(&b, o)
		if (err == nil) != (errAgain == nil) || err == nil && !reflect.DeepEqual(h, again) {
			t.Fatalf("plain %v, %v; compressed %v, %v", h, err, again, errAgain)
		}
	})
}
