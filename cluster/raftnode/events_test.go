package raftnode

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestEventsRoundTrip(t *testing.T) {
	var buf bytes.Buffer
	em := newEmitter("n3", &buf)
	want := []Event{
		{Kind: EventBoot},
		{Kind: EventRole, Role: "leader", Term: 4},
		{Kind: EventElection, Term: 5},
		{Kind: EventLeader, Leader: "n1", Term: 5},
		{Kind: EventSnapshot, Index: 100, Term: 5, Hash: "00"},
		{Kind: EventRestore, Index: 100, Hash: "00"},
		{Kind: EventState, Index: 200, Hash: "01"},
		{Kind: EventShutdown, Message: "a \"quoted\"\nline"},
	}
	for _, e := range want {
		em.emit(e)
	}
	em.close()
	em.emit(Event{Kind: EventBoot}) // too late: goes nowhere
	lines := strings.Split(strings.TrimSuffix(buf.String(), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), buf.String())
	}
	var last int64
	for i, line := range lines {
		e, ok := ParseEvent([]byte(line + "\r\n"))
		if !ok {
			t.Fatalf("not an event: %s", line)
		}
		if e.Time < last || e.Node != "n3" {
			t.Errorf("event %d: time %d after %d, node %q", i, e.Time, last, e.Node)
		}
		last = e.Time
		e.Time, e.Node = 0, ""
		if e != want[i] {
			t.Errorf("event %d: %+v, want %+v", i, e, want[i])
		}
	}
}

func TestNotEvents(t *testing.T) {
	for _, line := range []string{
		"", "{}", "null", "[]",
		"2026-01-01T00:00:00.000Z [INFO]  n1.raft: entering follower state",
		`{"event":"role","time":5,"node":"n1"`,
		`{"event":"role","time":0,"node":"n1"}`,
		`{"event":"role","time":5}`,
		`{"event":"party","time":5,"node":"n1"}`,
		`{"event":7,"time":5,"node":"n1"}`,
		`{"event":"role","time":5,"node":"n1","term":-1}`,
	} {
		if e, ok := ParseEvent([]byte(line)); ok {
			t.Errorf("%q is taken for %+v", line, e)
		}
	}
}

// stuck is a reader of the output that does not read.
type stuck struct{ release chan struct{} }

func (s stuck) Write(b []byte) (int, error) {
	<-s.release
	return len(b), nil
}

func TestEmitNeverBlocks(t *testing.T) {
	w := stuck{make(chan struct{})}
	em := newEmitter("n1", w)
	for range 3 * maxQueuedEvents {
		em.emit(Event{Kind: EventState})
	}
	em.mu.Lock()
	n := len(em.queue)
	em.mu.Unlock()
	if n > maxQueuedEvents {
		t.Errorf("%d events are queued", n)
	}
	close(w.release)
	em.close()
}

func FuzzParseEvent(f *testing.F) {
	var buf bytes.Buffer
	em := newEmitter("n1", &buf)
	em.emit(Event{Kind: EventLeader, Leader: "n2", Term: 7})
	em.close()
	f.Add(buf.Bytes())
	f.Add([]byte(`{"event":"boot","time":1,"node":"n"}`))
	f.Add([]byte(`{"event":"heartbeats","time":9,"node":"n1","term":2,"leader":"n2","heartbeats":{"due":100,"from":40,"last":0,"intervals":{"20":2},"longest":20,"recent":[20,20]}}`))
	f.Add([]byte(`{"event":"heartbeats","time":9,"node":"n1","term":2,"leader":"n2"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := ParseEvent(line)
		if !ok {
			if !reflect.DeepEqual(e, Event{}) {
				t.Errorf("half an event: %+v", e)
			}
			return
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if again, ok := ParseEvent(b); !ok || !reflect.DeepEqual(again, e) {
			t.Errorf("%+v became %+v, %v", e, again, ok)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, s := range []string{`{"value":null}`, `{"value":5,"values":[1]}`, `{"error":"x","happened":"no","leader":"n1"}`, `{`, `{}`, `null`} {
		f.Add(200, s)
		f.Add(421, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		resp, failure := DecodeAnswer(status, strings.NewReader(body))
		switch {
		case failure == nil && status != 200:
			t.Errorf("status %d is taken for success", status)
		case failure == nil:
			var fields map[string]json.RawMessage
			if json.Unmarshal([]byte(body), &fields) != nil {
				t.Errorf("%q is taken for an answer", body)
			}
		case failure.Happened == DidNotHappen:
			if status == 200 || !strings.Contains(strings.ToLower(body), "happened") {
				t.Errorf("status %d %q is taken for certain", status, body)
			}
		case failure.Happened != Unknown:
			t.Errorf("happened %q", failure.Happened)
		case resp.Value != nil || resp.Values != nil:
			t.Error("a failure with a value")
		}
	})
}

func TestDecodeAnswer(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   string // happened, or "" for success
	}{
		{200, `{"value":5}`, ""},
		{200, `{"value":null}`, ""},
		{200, `{"value":null,"values":[1,2]}`, ""},
		{200, `{}`, Unknown},
		{200, `null`, Unknown},
		{200, `{"value":5`, Unknown},
		{200, `{"value":"5"}`, Unknown},
		{200, `{"value":5.5}`, Unknown},
		{200, ``, Unknown},
		{421, `{"error":"not the leader","happened":"no","leader":"n2"}`, DidNotHappen},
		{503, `{"error":"x","happened":"no"}`, DidNotHappen},
		{504, `{"error":"x","happened":"unknown"}`, Unknown},
		{503, `{"error":"x"}`, Unknown},
		{502, `Bad Gateway`, Unknown},
		{404, `404 page not found`, Unknown},
	} {
		_, f := DecodeAnswer(c.status, strings.NewReader(c.body))
		got := ""
		if f != nil {
			got = f.Happened
		}
		if got != c.want {
			t.Errorf("%d %s: %q, want %q", c.status, c.body, got, c.want)
		}
	}
	if _, f := DecodeAnswer(200, io.LimitReader(zeros{}, maxAnswer+5)); f == nil || f.Happened != Unknown {
		t.Errorf("an endless answer: %v", f)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
