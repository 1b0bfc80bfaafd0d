package story_test

import (
	"testing"
	"time"

	"coup/checker/model"
	"coup/checker/story"
	"coup/harness"
)

// What an operation did is told with what the history knows: times, places in its
// file, or neither.
func TestSentences(t *testing.T) {
	const ms = time.Millisecond
	write := harness.Operation{Process: 1, F: "write", Input: int64(3), Type: harness.OK, Call: 1, Return: 2}
	timed := write
	timed.Start, timed.End, timed.Line, timed.Index = 5*ms, 8*ms, 12, -1
	placed := write
	placed.Line, placed.Index = 12, 4
	open := harness.Operation{Process: 2, F: "read", Type: harness.Info, Call: 3, Return: harness.Open}
	begin := harness.Operation{Process: harness.Beginning, F: "write", Input: int64(3), Type: harness.OK, Call: 0, Return: 1}
	text := harness.Operation{Process: 1, Key: "x", F: "append", Input: "a b", Type: harness.OK, Call: 1, Return: 2}
	for _, c := range []struct {
		ops  []harness.Operation
		want string
	}{
		{[]harness.Operation{write}, "Process 1 wrote 3 to the register, acknowledged."},
		{[]harness.Operation{timed}, "At 0.005 s process 1 wrote 3 to the register, acknowledged at 0.008 s (line 12)."},
		{[]harness.Operation{placed}, "Process 1 wrote 3 to the register, acknowledged (line 12, :index 4)."},
		{[]harness.Operation{placed, open}, "After that, process 2 began to read the register, and never learned what became of it."},
		{[]harness.Operation{begin}, "At the beginning the register held 3."},
		{[]harness.Operation{begin, write}, "Process 1 wrote 3 to the register, acknowledged."},
		{[]harness.Operation{text}, `Process 1 appended "a b" to x, acknowledged.`},
	} {
		if got := story.Sentence(model.Register(), c.ops, len(c.ops)-1); got != c.want {
			t.Errorf("told %q, expected %q", got, c.want)
		}
	}
	read := harness.Operation{Process: 2, F: "read", Output: model.Just(9), Type: harness.OK, Call: 3, Return: 4, Line: 14, Index: -1}
	whole := []*harness.Operation{&placed, &read}
	teller := story.TellerOf(model.Register(), []harness.Operation{placed, read})
	claim := story.NotBegunBy(whole, 9, &read)
	if got, want := claim.Text(teller), "Nobody had begun to write 9 to the register by the end of the operation of line 14."; got != want || !claim.Holds(whole) {
		t.Errorf("told %q, expected %q", got, want)
	}
	if story.NotBegunBy(whole, 3, &read).Holds(whole) {
		t.Error("it is said to be true that nobody wrote 3")
	}
}

// A key that is a number is not taken for a value.
func TestNumbersAsKeys(t *testing.T) {
	for _, c := range []struct {
		m         model.Model
		key, want string
	}{
		{model.Register(), "", "the register"},
		{model.Register(), "x", "x"},
		{model.Register(), "1", "register 1"},
		{model.PriorityQueue(), "-3", "priority queue -3"},
		{model.KV(), "0", "key 0"},
	} {
		if got := story.NameOf(c.m, c.key); got != c.want {
			t.Errorf("key %q: %q, expected %q", c.key, got, c.want)
		}
	}
}
