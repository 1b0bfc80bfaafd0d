package trace

import (
	"bytes"
	"compress/gzip"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func written(t testing.TB, events ...Event) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for i := range events {
		w.Write(&events[i])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte, wanted func(time.Duration) bool) (events []Event, err error) {
	for e, err := range Read(bytes.NewReader(b), wanted) {
		if err != nil {
			return events, err
		}
		events = append(events, *e)
	}
	return events, nil
}

var someEvents = []Event{
	{Time: 5, Kind: Boot, Node: "n1", ID: 1},
	{Time: 7, Kind: Send, Node: "n1", To: "n2", ID: 2, Conn: 3, Bytes: 40, Messages: []Message{
		{Kind: "AppendEntries", Text: "term 2", Keys: []string{"k"}, Sender: &Belief{Role: "leader", Term: 2, Commit: 9}},
		{Kind: "read", Reply: true, Idle: true},
	}},
	{Time: 6, Kind: Log, Node: "n1", Text: "</script>\n\u2028" + strings.Repeat("x", 600<<10)},
	{Time: 9, Kind: Write, Node: "n2", Path: "data/raft.wal", Offset: 1 << 40, Bytes: 1},
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	b := written(t, someEvents...)
	got, err := read(b, nil)
	if err != nil || !reflect.DeepEqual(got, someEvents) {
		t.Errorf("read %v, %v", got, err)
	}
	got, err = read(b, func(t time.Duration) bool { return t > 6 })
	if err != nil || !reflect.DeepEqual(got, []Event{someEvents[1], someEvents[3]}) {
		t.Errorf("of those wanted: %v, %v", got, err)
	}
	if !bytes.Equal(b, written(t, someEvents...)) {
		t.Error("written twice, the bytes differ")
	}
	if got, err := read(written(t), nil); len(got) != 0 || err != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

// A trace that breaks off anywhere is read as far as it goes, and never ends
// as if it were whole.
func TestTorn(t *testing.T) {
	whole := written(t, someEvents[0], someEvents[1], someEvents[3])
	for n := range len(whole) {
		if got, err := read(whole[:n], nil); !errors.Is(err, ErrTorn) || len(got) > 3 {
			t.Fatalf("of %d of %d bytes: %v, %v", n, len(whole), got, err)
		}
	}
	var half bytes.Buffer // a killed writer may leave a proper stream without a proper last line
	gz := gzip.NewWriter(&half)
	gz.Write([]byte(`{"t":1,"kind":"wake"}` + "\n" + `{"t":2,"ki`))
	gz.Close()
	if got, err := read(half.Bytes(), nil); !errors.Is(err, ErrTorn) || len(got) != 1 {
		t.Errorf("half a line: %v, %v", got, err)
	}
}

func TestNoTrace(t *testing.T) {
	if _, err := read([]byte("history of something"), nil); err == nil || errors.Is(err, ErrTorn) {
		t.Errorf("plain text: %v", err)
	}
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	gz.Write([]byte("{\"t\":1,\"kind\":\"wake\"}\nnonsense\n"))
	gz.Close()
	if got, err := read(b.Bytes(), nil); len(got) != 1 || err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("nonsense: %v, %v", got, err)
	}
}

func TestErrorsAreKept(t *testing.T) {
	w := NewWriter(full{})
	for range 100_000 {
		w.Write(&someEvents[1])
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("error %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"t":1,"kind":"wake"}` + "\n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		var b bytes.Buffer
		gz := gzip.NewWriter(&b)
		gz.Write(lines)
		gz.Close()
		all, err := read(b.Bytes(), nil)
		if err != nil {
			return
		}
		once := written(t, all...)
		if again, err := read(once, nil); err != nil || !bytes.Equal(written(t, again...), once) {
			t.Errorf("%v became %v, %v", all, again, err)
		}
	})
}

func TestLogEnd(t *testing.T) {
	for _, c := range []struct {
		last uint64
		text string
		want uint64
	}{
		{2, "#10 of term 3: write k13 1", 10}, {2, "#3 of term 1: set-add k5 7, #4 of term 1: set-add k5 8", 4},
		{9, "CurrentTerm 4", 9}, {9, "begin, CurrentTerm 4", 9}, {9, "", 9}, {9, "12 bytes", 9},
		{9, "drops #5 to #9", 4}, {9, "drops #5 to #9, #5 of term 6: no-op", 5}, {9, "drops #1 to #7", 9}, // the second makes room at the front
		{0, "drops #1 to #7", 0}, {9, "drops #x to #", 9}, {9, "#x of term 3", 9}, {9, "#12", 9},
	} {
		if got := LogEnd(c.last, c.text); got != c.want {
			t.Errorf("after %q a log that ended at %d ends at %d, not %d", c.text, c.last, got, c.want)
		}
	}
}
