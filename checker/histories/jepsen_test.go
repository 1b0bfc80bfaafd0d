package histories

import (
	"strings"
	"testing"

	"coup/checker"
	"coup/checker/catalogue"
	"coup/harness"
)

// Histories in the shapes of Jepsen's own tests, each beside one that must fail.
func TestModelsOfJepsen(t *testing.T) {
	op := func(process, f, value string) string {
		return "{:process " + process + " :type :invoke :f :" + f + " :value " + value + "}\n"
	}
	ok := func(process, f, value string) string {
		return "{:process " + process + " :type :ok :f :" + f + " :value " + value + "}\n"
	}
	both := func(process, f, asked, answered string) string {
		return op(process, f, asked) + ok(process, f, answered)
	}
	for _, c := range []struct {
		model, consistency, name, text string
		want                           harness.Validity
	}{
		{"bank", "", "constant", both("0", "read", "nil", "{0 10, 1 20}") + both("1", "transfer", "{:from 0 :to 1 :amount 3}", "{:from 0 :to 1 :amount 3}") + both("0", "read", "nil", "{0 7, 1 23}"), harness.Valid},
		{"bank", "", "lost", both("0", "read", "nil", "{0 10, 1 20}") + both("0", "read", "nil", "{0 7, 1 20}"), harness.Invalid},
		{"long-fork", "", "fork", both("0", "txn", "[[:w 0 1]]", "[[:w 0 1]]") + both("0", "txn", "[[:w 1 1]]", "[[:w 1 1]]") + both("1", "txn", "[[:r 0 nil] [:r 1 nil]]", "[[:r 0 1] [:r 1 nil]]") + both("2", "txn", "[[:r 0 nil] [:r 1 nil]]", "[[:r 0 nil] [:r 1 1]]"), harness.Invalid},
		{"long-fork", "", "no fork", both("0", "txn", "[[:w 0 1]]", "[[:w 0 1]]") + both("1", "txn", "[[:r 0 nil] [:r 1 nil]]", "[[:r 0 1] [:r 1 nil]]"), harness.Valid},
		{"set-full", "", "stale", both("0", "add", "1", "1") + both("1", "read", "nil", "#{}") + both("1", "read", "nil", "#{1}"), harness.Valid},
		{"set-full", "linearizable", "stale", both("0", "add", "1", "1") + both("1", "read", "nil", "#{}") + both("1", "read", "nil", "#{1}"), harness.Invalid},
		{"total-queue", "", "drained", both("0", "enqueue", "1", "1") + both("0", "enqueue", "2", "2") + both("1", "drain", "nil", "[2 1]"), harness.Valid},
		{"total-queue", "", "lost", both("0", "enqueue", "1", "1") + both("0", "enqueue", "2", "2") + both("1", "drain", "nil", "[2]"), harness.Invalid},
		{"unordered-queue", "", "any order", both("0", "enqueue", "1", "1") + both("0", "enqueue", "2", "2") + both("1", "dequeue", "nil", "2"), harness.Valid},
		{"unordered-queue", "", "from nowhere", both("0", "enqueue", "1", "1") + both("1", "dequeue", "nil", "2"), harness.Invalid},
		{"jepsen-counter", "", "goes back", op("0", "add", "1") + both("1", "read", "nil", "1") + both("1", "read", "nil", "0"), harness.Valid},
		{"counter", "", "goes back", op("0", "add", "1") + both("1", "read", "nil", "1") + both("1", "read", "nil", "0"), harness.Invalid},
		{"jepsen-counter", "", "too much", both("0", "add", "1", "1") + both("1", "read", "nil", "2"), harness.Invalid},
		{"unique-ids", "", "twice", both("0", "generate", "nil", `"a"`) + both("1", "generate", "nil", `"a"`), harness.Invalid},
		{"unique-ids", "", "once", both("0", "generate", "nil", `"a"`) + both("1", "generate", "nil", `"b"`), harness.Valid},
		{"multi-register", "", "at once", both("0", "txn", "[[:w :x 1] [:w :y 2]]", "[[:w :x 1] [:w :y 2]]") + both("1", "txn", "[[:r :x nil] [:r :y nil]]", "[[:r :x 1] [:r :y 2]]"), harness.Valid},
		{"multi-register", "", "torn", both("0", "txn", "[[:w :x 1] [:w :y 2]]", "[[:w :x 1] [:w :y 2]]") + both("1", "txn", "[[:r :x nil] [:r :y nil]]", "[[:r :x 1] [:r :y nil]]"), harness.Invalid},
		{"semaphore", "", "two", both("0", "acquire", "nil", "nil") + both("1", "acquire", "nil", "nil"), harness.Valid},
		{"semaphore", "", "three", both("0", "acquire", "nil", "nil") + both("1", "acquire", "nil", "nil") + both("2", "acquire", "nil", "nil"), harness.Invalid},
		{"fenced-mutex", "", "tokens grow", both("0", "acquire", "nil", "3") + both("0", "release", "nil", "nil") + both("1", "acquire", "nil", "4"), harness.Valid},
		{"fenced-mutex", "", "tokens shrink", both("0", "acquire", "nil", "3") + both("0", "release", "nil", "nil") + both("1", "acquire", "nil", "2"), harness.Invalid},
		{"reentrant-mutex", "", "again", both("0", "acquire", "nil", "nil") + both("0", "acquire", "nil", "nil"), harness.Valid},
		{"reentrant-mutex", "", "by another", both("0", "acquire", "nil", "nil") + both("1", "acquire", "nil", "nil"), harness.Invalid},
		{"log", "", "in order", both("0", "send", "[[:send 1 :a]]", "[[:send 1 [0 :a]]]") + both("0", "send", "[[:send 1 :b]]", "[[:send 1 [1 :b]]]") + both("1", "poll", "[[:poll]]", "[[:poll {1 [[0 :a] [1 :b]]}]]"), harness.Valid},
		{"log", "", "lost", both("0", "send", "[[:send 1 :a]]", "[[:send 1 [0 :a]]]") + both("0", "send", "[[:send 1 :b]]", "[[:send 1 [1 :b]]]") + both("1", "poll", "[[:poll]]", "[[:poll {1 [[1 :b]]}]]"), harness.Invalid},
		{"log", "", "assigned", both("1", "assign", "[1 2]", "[1 2]") + op("2", "crash", "nil") + both("0", "send", "[[:send 1 :a]]", "[[:send 1 [0 :a]]]") + both("1", "poll", "[[:poll]]", "[[:poll {1 [[0 :a]]}]]"), harness.Valid},
		{"register", "sequential", "stale", both("0", "write", "1", "1") + both("0", "write", "2", "2") + both("1", "read", "nil", "1"), harness.Valid},
		{"register", "linearizable", "stale", both("0", "write", "1", "1") + both("0", "write", "2", "2") + both("1", "read", "nil", "1"), harness.Invalid},
		{"register", "sequential", "goes back", both("0", "write", "1", "1") + both("0", "write", "2", "2") + both("0", "read", "nil", "1"), harness.Invalid},
		{"register", "sessions", "its own write", both("0", "write", "1", "1") + both("0", "write", "2", "2") + both("0", "read", "nil", "1"), harness.Invalid},
		{"register", "", "a nil read", both("0", "write", "1", "1") + both("0", "read", "nil", "nil"), harness.Invalid},
		{"cas-register", "", "a nil read", both("0", "write", "1", "1") + both("0", "read", "nil", "nil"), harness.Valid},
	} {
		t.Run(c.model+" "+c.consistency+" "+c.name, func(t *testing.T) {
			r, err := Read(strings.NewReader(c.text), Options{Model: c.model, Consistency: c.consistency})
			if err != nil {
				t.Fatal(err)
			}
			v := checker.CheckAll(t.Context(), r.Checkers(), &r.History)
			if v.Valid != c.want {
				t.Errorf("%v, expected %v: %+v", v.Valid, c.want, v.Results[0].Summary)
			}
			r.Restore(v.Results)
		})
	}
}

// Every model that a file can be one of is in the catalogue, and the other way round.
func TestEveryModelIsInTheCatalogue(t *testing.T) {
	var listed []string
	for _, e := range catalogue.All() {
		listed = append(listed, e.Name)
	}
	if got, want := strings.Join(Models(), " "), strings.Join(listed, " "); got != want {
		t.Errorf("files can be read of %s\nthe catalogue has      %s", got, want)
	}
}
