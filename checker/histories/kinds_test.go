package histories

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coup/checker"
	"coup/harness"
)

// verdict reads and judges a text.
func verdict(t *testing.T, text string, o Options) (checker.Verdict, error) {
	t.Helper()
	r, err := Read(strings.NewReader(text), o)
	if err != nil {
		return checker.Verdict{}, err
	}
	v := checker.CheckAll(context.Background(), r.Checkers(), &r.History)
	v.Results = r.Restore(v.Results)
	return v, nil
}

const (
	valid   = harness.Valid
	invalid = harness.Invalid
	unknown = harness.Unknown
)

func TestEveryKindOfFile(t *testing.T) {
	register, txns, lists := Options{Model: "register"}, Options{Model: "rw-register"}, Options{Model: "list-append"}
	with := func(model string, change func(*Options)) Options {
		o := Options{Model: model}
		change(&o)
		return o
	}
	withKeys := func(o *Options) { o.Keys = WithKeys }
	noKeys := func(o *Options) { o.Keys = NoKeys }
	initial := func(text string) func(*Options) { return func(o *Options) { o.Initial = text } }
	mutex := Options{Model: "mutex"}
	stale := "0 :invoke :write 1\n0 :ok :write 1\n0 :invoke :read nil\n0 :ok :read nil\n"
	logged := func(before string) string {
		var b strings.Builder
		for line := range strings.Lines(stale) {
			b.WriteString("something else: {:type :ok, :f :read, :value 7}\n [3 :ok :read 2]\n")
			b.WriteString(before + strings.ReplaceAll(line, " ", "\t"))
		}
		return b.String()
	}
	cases := []struct {
		name, text string
		o          Options
		valid      harness.Validity
		err        string // in place of a verdict
	}{
		// Keys are found in the whole file, whatever the function.
		{"key, writes only", `[0 :invoke :write [0 3]] [0 :ok :write [0 3]]`, register, valid, ""},
		{"key, the read after the writes", `[0 :invoke :write [0 3]] [0 :ok :write [0 3]] [1 :invoke :write [1 4]] [1 :ok :write [1 4]] [0 :invoke :read [0 nil]] [0 :ok :read [0 3]]`, register, valid, ""},
		{"key, stale", `[0 :invoke :write [0 3]] [0 :ok :write [0 3]] [0 :invoke :write [0 4]] [0 :ok :write [0 4]] [0 :invoke :read [0 nil]] [0 :ok :read [0 3]]`, register, invalid, ""},
		{"key, cas only", `[0 :invoke :write [:a 3]] [0 :ok :write [:a 3]] [0 :invoke :cas [:b [3 4]]] [0 :ok :cas [:b [3 4]]]`, register, invalid, ""},
		{"key, the answer leaves it out", `[0 :invoke :write [0 3]] [0 :ok :write nil] [0 :invoke :read [0 nil]] [0 :ok :read 3]`, register, valid, ""},
		{"key, info says why", `[0 :invoke :write [0 3]] [0 :info :write :timeout] [1 :invoke :read [0 nil]] [1 :ok :read [0 3]]`, register, valid, ""},
		{"keys that look alike", `[0 :invoke :write ["1" 3]] [0 :ok :write ["1" 3]] [0 :invoke :write [1 4]] [0 :ok :write [1 4]] [0 :invoke :write [:1 5]] [0 :ok :write [:1 5]] [0 :invoke :read ["1" nil]] [0 :ok :read ["1" 3]] [0 :invoke :read [1 nil]] [0 :ok :read [1 4]]`, register, valid, ""},
		{"key of its own", `{:process 0 :type :invoke :f :write :key "a" :value 1} {:process 0 :type :ok :f :write :key "a" :value 1} {:process 0 :type :invoke :f :read :key "b"} {:process 0 :type :ok :f :read :key "b" :value nil}`, register, valid, ""},
		{"pairs without a read that tells", `[0 :invoke :write [0 3]] [0 :ok :write [0 3]] [0 :invoke :read [0 3]] [0 :ok :read [0 3]]`, register, 0,
			"line 1: write [0 3] may be of the key 0, or the value may be a pair: say --independent or --independent=false"},
		{"pairs, said to have keys", `[0 :invoke :write [0 3]] [0 :ok :write [0 3]] [0 :invoke :write [1 4]] [0 :ok :write [1 4]] [0 :invoke :read [0 3]] [0 :ok :read [0 3]]`, with("register", withKeys), valid, ""},
		{"pairs, said to be values", `[0 :invoke :write [0 3]] [0 :ok :write [0 3]] [0 :invoke :write [1 4]] [0 :ok :write [1 4]] [0 :invoke :read [0 3]] [0 :ok :read [0 3]]`, with("register", noKeys), invalid, ""},
		{"pairs are values", `[0 :invoke :write [0 3]] [0 :ok :write [0 3]] [0 :invoke :read nil] [0 :ok :read [0 3]]`, register, valid, ""},
		{"pairs are values, stale", `[0 :invoke :write [0 3]] [0 :ok :write [0 3]] [0 :invoke :write [0 4]] [0 :ok :write [0 4]] [0 :invoke :read nil] [0 :ok :read [0 3]]`, register, invalid, ""},
		{"some have keys", "[0 :invoke :write 3] [0 :ok :write 3]\n[0 :invoke :read [0 nil]] [0 :ok :read [0 3]]", register, 0,
			"line 1: write 3 names no key, and read [0 nil] of line 2 does: say --independent=false if [a b] is a value there"},
		{"a cas of pairs", `[0 :invoke :write [1 2]] [0 :ok :write [1 2]] [0 :invoke :cas [[1 2] [3 4]]] [0 :ok :cas [[1 2] [3 4]]] [0 :invoke :read nil] [0 :ok :read [3 4]]`, register, valid, ""},
		{"keys of a counter", `[0 :invoke :add [:a 1]] [0 :ok :add [:a 1]] [0 :invoke :read [:a nil]] [0 :ok :read [:a 1]] [0 :invoke :read [:b nil]] [0 :ok :read [:b 0]]`, Options{Model: "counter"}, valid, ""},
		{"keys of a set", `[0 :invoke :add [:a 1]] [0 :ok :add [:a 1]] [0 :invoke :add [:b 1]] [0 :ok :add [:b 1]] [0 :invoke :read [:a nil]] [0 :ok :read [:a #{1}]]`, Options{Model: "set"}, valid, ""},
		{"a set of pairs", `[0 :invoke :add [0 1]] [0 :ok :add [0 1]] [0 :invoke :add [0 2]] [0 :ok :add [0 2]] [0 :invoke :read nil] [0 :ok :read [[0 2] [0 1]]]`, Options{Model: "set"}, valid, ""},
		{"a set of pairs, one lost", `[0 :invoke :add [0 1]] [0 :ok :add [0 1]] [0 :invoke :add [0 2]] [0 :ok :add [0 2]] [0 :invoke :read nil] [0 :ok :read [[0 2]]]`, Options{Model: "set"}, invalid, ""},
		{"keys of a queue", `[0 :invoke :enqueue [0 1]] [0 :ok :enqueue [0 1]] [0 :invoke :enqueue [1 2]] [0 :ok :enqueue [1 2]] [0 :invoke :dequeue [1 nil]] [0 :ok :dequeue [1 2]]`, Options{Model: "queue"}, valid, ""},
		{"keys of transactions", `[0 :invoke :txn [0 [[:append 1 1]]]] [0 :ok :txn [0 [[:append 1 1]]]] [0 :invoke :txn [1 [[:r 1 nil]]]] [0 :ok :txn [1 [[:r 1 nil]]]]`, lists, valid, ""},
		{"keys of transactions, stale", `[0 :invoke :txn [0 [[:append 1 1]]]] [0 :ok :txn [0 [[:append 1 1]]]] [0 :invoke :txn [0 [[:r 1 nil]]]] [0 :ok :txn [0 [[:r 1 nil]]]]`, lists, invalid, ""},

		// Locks are told apart.
		{"two locks", `[0 :invoke :acquire ["lock-a" nil]] [0 :ok :acquire ["lock-a" nil]] [1 :invoke :acquire ["lock-b" nil]] [1 :ok :acquire ["lock-b" nil]]`, mutex, valid, ""},
		{"two locks by name", `[0 :invoke :acquire "lock-a"] [0 :ok :acquire "lock-a"] [1 :invoke :acquire "lock-b"] [1 :ok :acquire "lock-b"]`, mutex, valid, ""},
		{"two locks by keyword", `[0 :invoke :acquire :a] [0 :ok :acquire nil] [1 :invoke :acquire :b] [1 :ok :acquire nil]`, mutex, valid, ""},
		{"one lock by name", `[0 :invoke :acquire "lock-a"] [0 :ok :acquire "lock-a"] [1 :invoke :acquire "lock-a"] [1 :ok :acquire "lock-a"]`, mutex, invalid, ""},
		{"two locks that know their holder", `[0 :invoke :acquire ["a" nil]] [0 :ok :acquire ["a" 3]] [1 :invoke :acquire ["b" nil]] [1 :ok :acquire ["b" 2]]`, Options{Model: "lock"}, valid, ""},
		{"a lock without a name", "[0 :invoke :acquire :a] [0 :ok :acquire :a]\n[0 :invoke :release nil] [0 :ok :release nil]", mutex, 0,
			"line 2: release nil names no lock, and acquire :a of line 1 does: say --independent=false if there is one lock"},
		{"a process for a name", "[0 :invoke :acquire 0] [0 :ok :acquire 0] [1 :invoke :acquire 1] [1 :ok :acquire 1]", mutex, 0,
			"line 1: acquire 1 by process 1: the value is the process, and says nothing of the lock: say --independent=false if there is one lock"},
		{"names that say nothing", `[0 :invoke :acquire :a] [0 :ok :acquire :a] [1 :invoke :acquire :b] [1 :ok :acquire :b]`, with("mutex", noKeys), invalid, ""},

		// A run in which nothing succeeded proves nothing.
		{"all failed", `[0 :invoke :write 1] [0 :fail :write 1] [0 :invoke :read nil] [0 :info :read nil]`, register, unknown, ""},
		{"none committed", `[0 :invoke :txn [[:append 1 1]]] [0 :fail :txn [[:append 1 1]]]`, lists, unknown, ""},
		{"an empty vector", `[]`, register, unknown, ""},
		{"an empty array", "\n[ ]\n", txns, unknown, ""},
		{"nothing", ``, register, unknown, ""},
		{"the nemesis alone", `{:process :nemesis :type :info :f :start :value nil}`, register, unknown, ""},
		{"reads that say nothing", `[0 :invoke :read nil] [0 :ok :read nil]`, Options{Model: "register", NilReadsSayNothing: true}, unknown, ""},

		// Logs of any age, between other lines.
		{"log of today", logged("2025-06-23 13:09:52,409{GMT}\tINFO\t[jepsen worker 0] jepsen.util: "), register, invalid, ""},
		{"log of 2019", logged("INFO [2019-11-08 06:38:56,868] jepsen worker 4-n5 - jepsen.util "), register, invalid, ""},
		{"log of 2015", logged("INFO  jepsen.util - "), register, invalid, ""},
		{"log of Knossos", logged("INFO  knossos.core - "), register, invalid, ""},
		{"history.txt", stale, register, invalid, ""},
		{"log in brackets", "[main] INFO jepsen.cli - Test\n" + logged("[jepsen worker 0] INFO jepsen.util - "), register, invalid, ""},
		{"log that begins with a date", "[2019-11-08 06:38:56,868] x\n" + logged("INFO jepsen.util - "), register, invalid, ""},
		{"log with Windows line ends", strings.ReplaceAll(logged("INFO jepsen.util - "), "\n", "\r\n"), register, invalid, ""},
		{"log with values of any kind", "x - 0\t:invoke\t:write\t\"a  b\"\nx - 0\t:ok\t:write\t\"a  b\"\nx - :nemesis\t:info\t:start\t#object[a 0x1 \"]\"] {\nx - 0\t:invoke\t:read\tnil\nx - 0\t:ok\t:read\t\"a b\"", register, invalid, ""},
		{"log with nothing in it", "2025-06-23 13:09:52,409{GMT}\tINFO\t[main] jepsen.cli: Test options\n {:a 1}\n", register, 0, "no operation is in it: expected EDN, as Jepsen, Knossos and Elle write it, or lines such as 0\\t:invoke\\t:write\\t1"},

		// What an object holds at the beginning.
		{"a read before all writes", `[0 :invoke :read nil] [0 :ok :read 0]`, register, invalid, ""},
		{"initial 0", `[0 :invoke :read nil] [0 :ok :read 0]`, with("register", initial("0")), valid, ""},
		{"initial 0, nothing read", `[0 :invoke :read nil] [0 :ok :read nil]`, with("register", initial("0")), invalid, ""},
		{"initial 0, again", `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :read nil] [0 :ok :read 0]`, with("cas-register", initial("0")), invalid, ""},
		{"initial 0 of each key", `[0 :invoke :read [:a nil]] [0 :ok :read [:a 0]] [0 :invoke :cas [:b [0 1]]] [0 :ok :cas [:b [0 1]]]`, with("cas-register", initial("0")), valid, ""},
		{"initial word", `[0 :invoke :read nil] [0 :ok :read "abc"]`, with("register", initial("abc")), valid, ""},
		{"initial set", `[0 :invoke :add 3] [0 :ok :add 3] [0 :invoke :read nil] [0 :ok :read #{1 2 3}]`, with("set", initial("#{1 2}")), valid, ""},
		{"initial set, lost", `[0 :invoke :read nil] [0 :ok :read #{1}]`, with("set", initial("[1 2]")), invalid, ""},
		{"initial queue", `[0 :invoke :dequeue nil] [0 :ok :dequeue 1]`, with("queue", initial("[1 2]")), valid, ""},
		{"initial queue, in another order", `[0 :invoke :dequeue nil] [0 :ok :dequeue 2]`, with("queue", initial("[1 2]")), invalid, ""},
		{"initial stack", `[0 :invoke :pop nil] [0 :ok :pop 2]`, with("stack", initial("[1 2]")), valid, ""},
		{"initial priority queue", `[0 :invoke :delete-min nil] [0 :ok :delete-min 1]`, with("priority-queue", initial("[2 1]")), valid, ""},
		{"initial counter", `[0 :invoke :add 1] [0 :ok :add 1] [0 :invoke :read nil] [0 :ok :read 6]`, with("counter", initial("5")), valid, ""},
		{"initial mutex", `[0 :invoke :acquire nil] [0 :ok :acquire nil]`, with("mutex", initial("held")), invalid, ""},
		{"initial mutex, released", `[0 :invoke :release nil] [0 :ok :release nil]`, with("mutex", initial("held")), valid, ""},
		{"initial string", `{:process 0 :type :invoke :f :get :key "k"} {:process 0 :type :ok :f :get :key "k" :value "ab"}`, with("kv", initial(`"ab"`)), valid, ""},
		{"initial transactions", `[0 :invoke :txn [[:r :x nil] [:w :y 1]]] [0 :ok :txn [[:r :x 0] [:w :y 1]]]`, with("rw-register", initial("0")), valid, ""},
		{"initial transactions, stale", `[0 :invoke :txn [[:w :x 1]]] [0 :ok :txn [[:w :x 1]]] [0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x 0]]]`, with("rw-register", initial("0")), invalid, ""},
		{"initial transactions, nothing read", `[0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x nil]]]`, with("rw-register", initial("0")), invalid, ""},
		{"initial by key", `[0 :invoke :read [:a nil]] [0 :ok :read [:a 0]] [0 :invoke :read [:b nil]] [0 :ok :read [:b 1]] [0 :invoke :read [:c nil]] [0 :ok :read [:c nil]]`, with("register", initial("{:a 0 :b 1}")), valid, ""},
		{"initial by key, another", `[0 :invoke :read [:a nil]] [0 :ok :read [:a 1]]`, with("register", initial("{:a 0 :b 1}")), invalid, ""},
		{"initial transactions by key", `[0 :invoke :txn [[:read :x nil] [:read :y nil]]] [0 :ok :txn [[:read :x 0] [:read :y 1]]]`, with("rw-register", initial("{:x 0 :y 1}")), valid, ""},
		{"initial transactions by key, another", `[0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x 1]]]`, with("rw-register", initial("{:x 0 :y 1}")), invalid, ""},
		{"initial transactions, written", "[0 :invoke :txn [[:w :x 0]]] [0 :ok :txn [[:w :x 0]]]", with("rw-register", initial("0")), 0, "line 1: what x holds at the beginning is written to it: nobody can tell these two apart"},
		{"initial registers at once", `[0 :invoke :txn [[:r :x nil] [:r :y nil]]] [0 :ok :txn [[:r :x 0] [:r :y 0]]]`, with("multi-register", initial("0")), valid, ""},
		{"initial registers at once by key", `[0 :invoke :txn [[:r :x nil] [:r :y nil] [:r :z nil]]] [0 :ok :txn [[:r :x 0] [:r :y 1] [:r :z nil]]]`, with("multi-register", initial("{:x 0 :y 1}")), valid, ""},
		{"initial registers at once, overwritten", `[0 :invoke :txn [[:w :x 1]]] [0 :ok :txn [[:w :x 1]]] [0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x 0]]]`, with("multi-register", initial("{:x 0}")), invalid, ""},
		{"initial registers at once, another", `[0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x 3]]]`, with("multi-register", initial("0")), invalid, ""},
		{"initial lists", `[0 :invoke :txn [[:append :x 3]]] [0 :ok :txn [[:append :x 3]]] [0 :invoke :txn [[:r :x nil] [:r :y nil]]] [0 :ok :txn [[:r :x [1 2 3]] [:r :y [1 2]]]]`, with("list-append", initial("[1 2]")), valid, ""},
		{"initial lists, lost", `[0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x nil]]]`, with("list-append", initial("[1 2]")), invalid, ""},
		{"initial lists by key", `[0 :invoke :txn [[:r :x nil] [:r :y nil]]] [0 :ok :txn [[:r :x [1 2]] [:r :y []]]]`, with("list-append", initial("{:x [1 2]}")), valid, ""},
		{"initial lists, no list", `[0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x nil]]]`, with("list-append", initial("0")), 0, "--initial 0: expected a list of elements, not 0"},
		{"initial lock", `[]`, with("lock", initial("held")), 0, "--initial does not go with the model lock"},
		{"initial nonsense", `[]`, with("counter", initial("a")), 0, "--initial a: expected an integer, not \"a\""},
		{"initial half a value", `[]`, with("register", initial("[1")), 0, "--initial [1: line 1: the text ends within the '[' of line 1"},

		// What an operation did is what its completion says.
		{"ok writes something else", `[0 :invoke :write 1] [0 :ok :write 2] [0 :invoke :read nil] [0 :ok :read 2]`, register, valid, ""},
		{"ok writes something else, and that is lost", `[0 :invoke :write 1] [0 :ok :write 2] [0 :invoke :read nil] [0 :ok :read 1]`, register, invalid, ""},
		{"ok writes what was not told before", `[0 :invoke :write nil] [0 :ok :write 2] [0 :invoke :read nil] [0 :ok :read 2]`, register, valid, ""},
		{"ok enqueues something else", `[0 :invoke :enqueue 1] [0 :ok :enqueue 2] [0 :invoke :dequeue nil] [0 :ok :dequeue 2]`, Options{Model: "queue"}, valid, ""},
		{"ok says that it is done", "[0 :invoke :write 1]\n[0 :ok :write :done]", register, 0, "line 2: write: asked for 1 and done with :done: expected the same value, or none"},
		{"ok cas of something else", `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :cas [3 4]] [0 :ok :cas [1 2]] [0 :invoke :read nil] [0 :ok :read 2]`, register, valid, ""},
		{"ok cas says true", `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :cas [1 4]] [0 :ok :cas true] [0 :invoke :read nil] [0 :ok :read 4]`, register, valid, ""},
		{"ok cas says false", "[0 :invoke :cas [1 4]]\n[0 :ok :cas false]", register, 0, "line 2: cas: expected [from to] again or nothing, not false: a compare-and-set that did not happen ends with fail"},
		{"nil is written", `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :write nil] [0 :ok :write nil] [0 :invoke :read nil] [0 :ok :read nil]`, register, valid, ""},
		{"nil is written, and lost", `[0 :invoke :read nil] [0 :ok :read nil] [0 :invoke :write nil] [0 :ok :write nil] [0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :read nil] [0 :ok :read nil]`, register, invalid, ""},

		// Values of any kind.
		{"strings", `[0 :invoke :write "a"] [0 :ok :write "a"] [0 :invoke :read nil] [0 :ok :read "a"]`, register, valid, ""},
		{"a string is no keyword", `[0 :invoke :write "a"] [0 :ok :write "a"] [0 :invoke :read nil] [0 :ok :read :a]`, register, invalid, ""},
		{"maps in any order", `[0 :invoke :write {:a 1 :b #{2 3}}] [0 :ok :write nil] [0 :invoke :read nil] [0 :ok :read {:b #{3 2} :a 1}]`, register, valid, ""},
		{"a list is a vector", `[0 :invoke :write [1 2 :c]] [0 :ok :write nil] [0 :invoke :read nil] [0 :ok :read (1 2 :c)]`, register, valid, ""},
		{"ratios and large numbers", `[0 :invoke :write 1/3] [0 :ok :write 1/3] [0 :invoke :read nil] [0 :ok :read 1/3] [0 :invoke :cas [1/3 123456789012345678901234567890]] [0 :ok :cas nil] [0 :invoke :read nil] [0 :ok :read 123456789012345678901234567890N]`, register, invalid, ""},
		{"booleans and floats", `[0 :invoke :write true] [0 :ok :write true] [0 :invoke :cas [true 1.5]] [0 :ok :cas nil] [0 :invoke :read nil] [0 :ok :read 1.5]`, register, valid, ""},
		{"an integer that looks like one of a value", `[0 :invoke :write 4611686010000000000] [0 :ok :write nil] [0 :invoke :write "a"] [0 :ok :write nil] [0 :invoke :read nil] [0 :ok :read "a"]`, register, valid, ""},
		{"elements", `[0 :invoke :enqueue :a] [0 :ok :enqueue :a] [0 :invoke :dequeue nil] [0 :ok :dequeue :a]`, Options{Model: "queue"}, valid, ""},
		{"lists of strings", `[0 :invoke :txn [[:append :x "a"]]] [0 :ok :txn [[:append :x "a"]]] [0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x ["a"]]]]`, lists, valid, ""},
		{"priorities are numbers", "[0 :invoke :insert :a]", Options{Model: "priority-queue"}, 0, "line 1: insert: expected an integer, not :a"},
		{"counters count", "[0 :invoke :add 1/2]", Options{Model: "counter"}, 0, "line 1: add: expected an integer, not 1/2"},

		// Elle's examples.
		{"completions alone", `{:type :ok, :value [[:append :x 1] [:r :y [1]]]} {:type :ok, :value [[:append :x 2] [:append :y 1]]} {:type :ok, :value [[:r :x [1 2]]]}`, lists, invalid, ""},
		{"completions alone, in any order", `{:type :ok, :process 0, :value [[:r :x [1]]]} {:type :ok, :process 1, :value [[:append :x 1]]}`, lists, valid, ""},
		{"completions alone, one process", `{:type :ok, :process 0, :value [[:r :x [1]]]} {:type :ok, :process 0, :value [[:append :x 1]]}`, lists, invalid, ""},
		{"completions alone, aborted read", `{:type :fail, :process 0, :value [[:append :x 1]]} {:type :ok, :process 1, :value [[:r :x [1]]]}`, lists, invalid, ""},
		{"completions alone, of registers", `{:type :ok :f :write :value 1 :process 0} {:type :ok :f :write :value 2 :process 0} {:type :ok :f :read :value 1 :process 0}`, register, invalid, ""},
		{"completions alone, after a remark", `{:type :info :f :start :value nil} {:type :info :process 0 :value [[:append :x 1]]} {:type :ok, :process 1, :value [[:r :x [1]]]}`, lists, valid, ""},
		{"a remark before all", `{:type :info :f :start :value nil} {:process 0 :type :info :f :setup} [0 :invoke :read nil] {:type :info :f :stop} [0 :ok :read nil]`, register, valid, ""},
		{"completions alone, later", "[0 :ok :read nil]\n[0 :invoke :read nil] [0 :ok :read nil]", register, 0, "line 1: process 0 ends read, and had not begun it"},
		{"no process", "{:index 2 :type :invoke, :value [[:append 255 8] [:r 253]]}\n{:index 3 :type :ok, :value [[:append 255 8] [:r 253]]}", lists, valid, ""},
		{"no process, two at once", "{:type :invoke, :f :read}\n{:type :invoke, :f :read}", register, 0, "line 2: read begins and the read of line 1 has not ended: without :process nobody can tell which of them ends when"},
		{"some without process", "[0 :invoke :read nil]\n{:type :ok :f :read}", register, 0, "line 2: read has no :process, and others of this history have one"},
		{"processes with names", `{:process "a" :type :invoke :f :write :value 1} {:process "b" :type :invoke :f :read} {:process "b" :type :ok :f :read :value nil} {:process "a" :type :ok :f :write :value 1}`, register, valid, ""},
		{"processes with names and numbers", "{:process 0 :type :invoke :f :write :value 1}\n{:process \"b\" :type :invoke :f :read}", register, 0, "line 2: process \"b\": some processes of this history are numbers and others are names or not told"},
		{"transactions with another :f", `{:type :invoke, :f :transfer, :value [[:w 1 1]], :process 0} {:type :ok, :f :transfer, :value [[:w 1 1]], :process 0}`, txns, valid, ""},
		{"transactions with another :f, twice", `{:type :invoke, :f :a, :value [[:w 1 1]], :process 0} {:type :ok, :f :b, :value [[:w 1 1]], :process 0}`, txns, 0, "line 1: process 0 ends b, and had begun a in line 1"},
		{"steps that the invocation did not tell", `{:type :invoke, :f :txn, :value nil, :process 0} {:type :ok, :f :txn, :value [[:w 1 1] [:r 1 1]], :process 0}`, txns, valid, ""},

		{"numbers in a store of strings", `[0 :invoke :put 5] [0 :ok :put nil] [0 :invoke :get nil] [0 :ok :get 6]`, Options{Model: "kv"}, invalid, ""},

		// JSON.
		{"JSON with colons", `[{":type":":invoke",":f":":txn",":value":[[":append",1,1]],":process":0},{":type":":ok",":f":":txn",":value":[[":append",1,1]],":process":0}]`, lists, valid, ""},
		{"JSON array", `[{"type":"invoke","f":"txn","value":[["w","x",2]],"process":0,"index":1}, {"type":"ok","f":"txn","value":[["w","x",2]],"process":0,"index":2},
			{"type":"invoke","f":"txn","value":[["r","x",null]],"process":0,"index":3}, {"type":"ok","f":"txn","value":[["r","x",3]],"process":0,"index":4}]`, txns, invalid, ""},
		{"JSON lines", "{\"process\": 1, \"type\": \"invoke\", \"f\": \"write\", \"value\": 1}\n{ \"process\": \"nemesis\", \"type\": \"info\", \"f\": \"x\"}\n{\"process\": 1, \"type\": \"ok\", \"f\": \"write\", \"value\": 1.0}\n{\"process\": 1, \"type\": \"invoke\", \"f\": \"read\", \"value\": null}\n{\"process\": 1, \"type\": \"ok\", \"f\": \"read\", \"value\": 1}", register, valid, ""},
		{"JSON without :f", `[{"index":0,"process":1,"type":"invoke","value":[["append",253,1]]}, {"index":1,"process":1,"type":"ok","value":[["append",253,1]]}]`, lists, valid, ""},
		{"JSON of a mutex", `[{"type":"invoke","f":"acquire","process":1,"time":341187643,"index":0},{"type":"ok","f":"acquire","process":1,"time":342667129,"error":"not-held","index":1},{"type":"invoke","f":"acquire","process":2,"index":2},{"type":"ok","f":"acquire","process":2,"index":3}]`, mutex, invalid, ""},
		{"JSON of entries that are arrays", `[[0,"invoke","write",1],[0,"ok","write",1],[0,"invoke","read",null],[0,"ok","read",1]]`, register, valid, ""},
		{"JSON with strings", `[{"type":"invoke","f":"write","value":"a\ud83d\ude00","process":0},{"type":"ok","f":"write","value":"a😀","process":0},{"type":"invoke","f":"read","process":0},{"type":"ok","f":"read","value":"a😀","process":0}]`, register, valid, ""},
		{"coup's own", `{"time":1,"process":0,"type":"invoke","f":"cas","key":"x","value":[null,1]}` + "\n" + `{"time":2,"process":0,"type":"ok","f":"cas","key":"x","value":null}` + "\n" +
			`{"time":3,"process":0,"type":"invoke","f":"cas","key":"x","value":[2,3]}` + "\n" + `{"time":4,"process":0,"type":"ok","f":"cas","key":"x","value":1}` + "\n", register, valid, ""},
		{"coup's own, cut off", `{"time":1,"process":0,"type":"invoke","f":"write","key":"x","value":1}` + "\n" + `{"time":2,"process":0,"type":"ok","f":"write","key":"x","value":null}` + "\n" + `{"time":3,"process":1,"type":"invo`, register, valid, ""},
		{"JSON array, cut off", "[{\"type\":\"invoke\",\"f\":\"write\",\"value\":1,\"process\":0},\n{\"type\":\"ok\"", register, 0, "line 2: the text ends within the '{' of line 2"},

		// Jepsen's queues are drained at the end.
		{"drain", `[0 :invoke :enqueue 1] [0 :ok :enqueue 1] [0 :invoke :enqueue 2] [0 :ok :enqueue 2] [0 :invoke :dequeue nil] [1 :invoke :drain nil] [1 :ok :drain [2]] [0 :ok :dequeue 1]`, Options{Model: "queue"}, valid, ""},
		{"drain of what nobody put in", `[0 :invoke :enqueue 1] [0 :ok :enqueue 1] [1 :invoke :drain nil] [1 :ok :drain [1 2]]`, Options{Model: "queue"}, invalid, ""},
		{"drain of what is out", `[0 :invoke :enqueue :a] [0 :ok :enqueue :a] [0 :invoke :dequeue nil] [0 :ok :dequeue :a] [1 :invoke :drain nil] [1 :ok :drain [:a]]`, Options{Model: "queue"}, invalid, ""},
		{"drain of nothing", `[1 :invoke :drain nil] [1 :ok :drain []] [1 :invoke :enqueue 1] [1 :ok :enqueue 1]`, Options{Model: "queue"}, valid, ""},
		{"drain that did not end", "[1 :invoke :enqueue 1] [1 :ok :enqueue 1]\n[1 :invoke :drain nil]", Options{Model: "queue"}, 0, "line 2: drain did not end, and so many dequeues as it may have made cannot be judged"},

		// What does not matter does not matter.
		{"a nemesis with any value", `[[:nemesis :info :start #object[a.B 0x12 "a.B@12"]] [:nemesis :info :stop 1/3] [:nemesis :info :x #<Object a<b>>] [:nemesis :info :y \o12] [:nemesis :info :z "\q"] [:nemesis :info :v #inst "2020"]
			[:nemesis :info :w 0x1G] [:nemesis :info :u #"a.*"] [:nemesis :info :t ##Inf] [70 :invoke :write 1] [70 :ok :write 1]]`, register, valid, ""},
		{"vectors of five", `[[70 :invoke :cas [1 1]] [70 :info :cas [1 1] :timed-out] [71 :invoke :write 1] [71 :ok :write 1 nil]]`, register, valid, ""},
		{"vectors of three", `[70 :invoke :read] [70 :ok :read]`, register, valid, ""},
		{"maps in a list", `({:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :read})`, register, valid, ""},
		{"a byte-order mark", "\xef\xbb\xbf[0 :invoke :read nil] [0 :ok :read nil]", register, valid, ""},
		{"other keys", `{:process 0 :type :invoke :f :read "a" 1 [1] 2 :op-index 3} {:process 0 :type :ok :f :read :clock-offsets {"n1" 0.1}}`, register, valid, ""},

		// The order of :index.
		{":index out of order", "{:index 3 :process 0 :type :invoke :f :read}\n{:index 1 :process 0 :type :ok :f :read}", register, 0, "line 2: :index 1 comes after the 3 of line 1: sort the history by :index, or leave it out"},
		{":index twice", "{:index 3 :process 0 :type :invoke :f :read}\n{:index 4 :process 0 :type :ok :f :read}\n{:index 4 :process 0 :type :invoke :f :read}", register, 0, "line 3: :index 4 stands in line 2 as well: number each entry once, or leave :index out"},
		{":index with gaps", "{:index 3 :process 0 :type :invoke :f :read}\n{:index 7 :process 0 :type :ok :f :read}", register, valid, ""},
		{":index -1", "{:index -1 :process 0 :type :invoke :f :read}\n{:index -1 :process 0 :type :ok :f :read}", register, valid, ""},
		{":index of operations", "{:index 0 :process 0 :type :invoke :f :read}\n{:index 1 :process 1 :type :invoke :f :read}\n{:index 0 :process 0 :type :ok :f :read}\n{:index 1 :process 1 :type :ok :f :read}", register, valid, ""},

		// Every error says where.
		{"an error in a vector", "[{:process 0 :type :invoke :f :read}\n {:process 0 :type :ok :f :red}\n {:process 1 :type :invoke :f :read}]\n", register, 0, "line 2, entry 2: process 0 ends red, and had begun read in line 1"},
		{"an error with :index", "{:process 0 :type :invoke :f :read :index 4}\n{:process 0 :type :what :f :read :index 5}", register, 0, "line 2 (:index 5): expected :invoke, :ok, :fail or :info as :type, not :what"},
		{"an error of a value with :index", "{:process 0 :type :invoke :f :add :value 1 :index 4}\n{:process 0 :type :ok :f :add :value [1] :index 5}", Options{Model: "counter"}, 0, "line 2 (:index 5): add: asked for 1 and done with [1]: expected the same value, or none"},
		{"no :f", `{:type :invoke, :value 3, :process 0}`, register, 0, "line 1: an operation needs an :f, the name of its function (of this model cas, read, write)"},
		{"no :type", `{:f :read, :value 3, :process 0}`, register, 0, "line 1: expected :invoke, :ok, :fail or :info as :type, not nil"},
		{"UTF-16", "\xff\xfe[\x00", register, 0, "this text is UTF-16: save it as UTF-8"},
		{"test.jepsen", "JEPSEN\x00\x00\x00\x01", register, 0, "this is Jepsen's own binary file, test.jepsen: give the history.edn that stands beside it"},
		{"zstd", "\x28\xb5\x2f\xfd\x04", register, 0, "this is compressed by zstd: unpack it first (gzip and bzip2 are read as they are)"},
		{"binary", "abc\x00def", register, 0, "this is a binary file and no history that is understood: of Jepsen's files, give history.edn"},
		{"words", "hello world", register, 0, "no operation is in it: expected EDN, as Jepsen, Knossos and Elle write it, or lines such as 0\\t:invoke\\t:write\\t1"},
		{"gzip, cut off", string(packed(t, strings.Repeat(stale, 1000))[:100]), register, 0, "line 1: gzip: the file was cut off: what is compressed ends too early"},
		{"gzip, cut off at once", "\x1f\x8b\x08", register, 0, "gzip: the file was cut off: what is compressed ends too early"},

		// Transactions session by session.
		{"PolySI", "w(1,1,0,0)\nr(1,1,1,1)\nr(2,0,1,1)\n", txns, valid, ""},
		{"PolySI, lost update", "w(1,1,0,0)\nr(1,1,1,1)\nw(1,2,1,1)\nr(1,1,2,2)\nw(1,3,2,2)\n", txns, invalid, ""},
		{"PolySI, read of 0 after a write", "w(1,1,0,0)\nr(1,1,0,1)\nw(2,5,0,1)\nr(2,5,1,2)\nr(1,0,1,2)\n", txns, invalid, ""},
		{"Plume, aborted read", "w(1,1,0,-1)\nr(1,1,1,1)\n", txns, invalid, ""},
		{"PolySI, transaction of two sessions", "w(1,1,0,0)\nr(1,1,1,0)\n", txns, 0, "line 2: transaction 0 belongs to another session since line 1"},
		{"PolySI, garbage", "w(1,1,0,0)\nr(1,1,1)\n", txns, 0, `line 2: expected r(key,value,session,transaction) or w(...), not "r(1,1,1)"`},
		{"PolySI, 0 written", "w(1,1,0,0)\nw(1,0,0,1)\n", txns, 0, "line 2: 0 is written to 1, and is what everything holds at the beginning: nobody can tell these two apart"},
		{"PolySI, another model", "w(1,1,0,0)\n", register, 0, "PolySI's or Plume's text tells of transactions over registers: --model rw-register"},
		{"AWDIT", "w 0 0\n=====\nr 0 0\nw 0 1\n-----\nr 0 1\n=====\nr 0 1\n", txns, valid, ""},
		{"AWDIT, lost update", "w 0 0\n=====\nr 0 0\nw 0 1\n=====\nr 0 0\nw 0 2", txns, invalid, ""},
		{"DBCop", "// session 1\n[x:=1 y:=1] [z==? z:=3]\n[y:=3]\n---\n// session 2\n[x==1 b:=3] [c:=3]!\n[y==3]\n", txns, valid, ""},
		{"DBCop, without a comment", "[x:=1]\n---\n[x==? y==1]\n", txns, invalid, ""},
		{"DBCop, write skew", "[x==? y:=1]\n---\n[y==? x:=1]\n", txns, invalid, ""},
		{"DBCop, aborted read", "[x:=1]!\n---\n[x==1]\n", txns, invalid, ""},
		{"DBCop, garbage", "[x:=1]\n---\n[x=1]\n", txns, 0, `line 3: expected x:=1, x==1 or x==?, not "x=1"`},
		{"DBCop's JSON", `[[{"events":[{"Write":{"variable":0,"version":1}}],"committed":true}],[{"events":[{"Read":{"variable":0,"version":1}}],"committed":true}]]`, txns, valid, ""},
		{"DBCop's JSON with what it is", `{"params":{"id":0},"info":"x","data":[[{"events":[["w",0,1]],"committed":false}],[{"events":[["r",0,1],["r",1,null]],"committed":true}]]}`, txns, invalid, ""},
		{"DBCop's JSON of 2019", `{"params":{"id":0},"info":"x","data":[[{"events":[{"write":true,"variable":0,"value":1,"success":true}],"success":true}],[{"events":[{"write":false,"variable":0,"value":0,"success":true},{"write":false,"variable":1,"value":0,"success":false}],"success":true}]]}`, txns, valid, ""},
		{"DBCop's JSON with a session without transactions", `[ [], [{"events":[{"Write":{"variable":0,"version":1}}],"committed":true}], [] ]`, txns, valid, ""},
		// The examples of DBCop's docs/history-format.md, and what PolySI writes: the
		// transactions of all sessions, numbered, in the order in which they committed.
		{"DBCop's documentation, write and read", "// Session 1: writes x\n[x:=1]\n---\n// Session 2: reads x\n[x==1]\n", txns, valid, ""},
		{"DBCop's documentation, write skew", "// Session 1\n[x:=1 y:=2] [y==2 x:=3]\n---\n// Session 2\n[x==1 y:=4]\n", txns, invalid, ""},
		{"DBCop's documentation, JSON", `{"params": {"id": 0, "n_node": 2, "n_variable": 3, "n_transaction": 2, "n_event": 2}, "info": "generated", "start": "2025-01-01T00:00:00.000000000+00:00", "end": "2025-01-01T00:00:00.001000000+00:00", "data": [[{"events": [{"Write": {"variable": 0, "version": 1}}], "committed": true}], [{"events": [{"Read": {"variable": 0, "version": 1}}, {"Read": {"variable": 1, "version": null}}], "committed": true}]]}`, txns, valid, ""},
		{"PolySI, steps of transactions in turns", "w(1,1,0,0)\nr(2,0,1,1)\nw(2,2,0,0)\nr(1,1,1,1)\n", txns, invalid, ""},
		{"PolySI, a snapshot", "w(1,1,0,0)\nw(2,2,0,0)\nr(1,1,1,1)\nr(2,2,1,1)\n", txns, valid, ""},
		{"DBCop's JSON, garbage", `[[{"events":[{"Wrote":{"variable":0,"version":1}}]}]]`, txns, 0, `session 1, transaction 1: expected an event such as {"Write": {"variable": 1, "version": 2}}, not {:Wrote {:variable 0, :version 1}}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v, err := verdict(t, c.text, c.o)
			switch {
			case c.err != "" && (err == nil || err.Error() != c.err):
				t.Errorf("error %v, expected %s (%+v)", err, c.err, v)
			case c.err == "" && err != nil:
				t.Errorf("error %v, expected %v", err, c.valid)
			case c.err == "" && v.Valid != c.valid:
				t.Errorf("%v, expected %v: %+v", v.Valid, c.valid, v.Results)
			}
		})
	}
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is said of values says what stands in the file.
func TestValuesAreToldAsTheyStand(t *testing.T) {
	v, err := verdict(t, `[0 :invoke :write "a"] [0 :ok :write "a"] [0 :invoke :write [1 :b]] [0 :ok :write [1 :b]] [0 :invoke :read nil] [0 :ok :read "a"]`, Options{Model: "register"})
	if err != nil || v.Valid != invalid {
		t.Fatal(v, err)
	}
	c := v.Results[0].Counterexample
	story := strings.Join(c.Story, "\n")
	for _, want := range []string{`wrote "a" to`, "wrote [1 :b] to", `got "a"`, `"a" was gone: [1 :b] was there`} {
		if !strings.Contains(story, want) {
			t.Errorf("no %q in\n%s", want, story)
		}
	}
	if got := string(c.Witness[0].Input) + string(c.Witness[1].Input) + string(c.Witness[2].Output); got != `"a""[1 :b]""a"` {
		t.Errorf("witnesses with %s", got)
	}
	all, err := json.Marshal(v)
	if err != nil || idDigits.Match(all) {
		t.Errorf("a number of a value shows: %s, %v", all, err)
	}

	v, err = verdict(t, `[0 :invoke :txn [[:append :x "a"]]] [0 :ok :txn [[:append :x "a"]]] [0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x ["b"]]]]`, Options{Model: "list-append"})
	if err != nil || v.Valid != invalid {
		t.Fatal(v, err)
	}
	all, err = json.Marshal(v)
	if err != nil || idDigits.Match(all) || !strings.Contains(string(all), `Nobody appended \"b\" to x`) {
		t.Errorf("%s, %v", all, err)
	}
}

// What an object held at the beginning is told, and is no operation of anybody.
func TestInitialIsTold(t *testing.T) {
	v, err := verdict(t, `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :read nil] [0 :ok :read 0]`, Options{Model: "register", Initial: "0"})
	if err != nil || v.Valid != invalid {
		t.Fatal(v, err)
	}
	if story := v.Results[0].Counterexample.Story; story[0] != "At the beginning the register held 0." {
		t.Errorf("%q", story)
	}
	if s := v.Results[1].Summary; s != "2 of 2 operations succeeded." {
		t.Error(s)
	}
}

// Operations know where they stand, and in what order they began.
func TestPlaces(t *testing.T) {
	r, err := Read(strings.NewReader("[{:process 0 :type :invoke :f :read :index 7}\n\n{:process 1 :type :invoke :f :read}\n{:process 1 :type :ok :f :read} {:process 0 :type :ok :f :read}]"), Options{Model: "register"})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := r.Operations[0], r.Operations[1]; a.Line != 1 || a.Index != 7 || b.Line != 3 || b.Index != -1 {
		t.Errorf("%+v", r.Operations)
	}
	// So do those of a counterexample.
	v, err := verdict(t, "{:process 0 :type :invoke :f :read :index 7}\n{:process 0 :type :ok :f :read :value 5 :index 8}", Options{Model: "register"})
	if err != nil || v.Valid != invalid {
		t.Fatal(v, err)
	}
	if w := v.Results[0].Counterexample.Witness[0]; w.Line != 1 || w.Index == nil || *w.Index != 7 {
		t.Errorf("%+v", w)
	}
	// Completions alone: the first of each process may have begun before all.
	r, err = Read(strings.NewReader("[0 :ok :write 1] [1 :ok :write 2] [0 :ok :write 3] [1 :info :write 4]"), Options{Model: "register"})
	if err != nil {
		t.Fatal(err)
	}
	want := []harness.Operation{{Input: int64(1), Call: 0, Return: 2}, {Input: int64(2), Call: 1, Return: 4}, {Input: int64(3), Call: 3, Return: 6}, {Input: int64(4), Call: 5, Return: harness.Open}}
	for i, w := range want {
		if got := r.Operations[i]; got.Input != w.Input || got.Call != w.Call || got.Return != w.Return {
			t.Errorf("operation %d: %+v, expected %+v", i, got, w)
		}
	}
	if len(r.Notes) != 1 {
		t.Errorf("notes %q", r.Notes)
	}
	// A log tells the time.
	r, err = Read(strings.NewReader("2025-06-23 13:09:52,409{GMT}\tINFO\t[jepsen worker 0] jepsen.util: 0\t:invoke\t:read\tnil\n2025-06-23 13:09:53,500{GMT}\tINFO\t[jepsen worker 0] jepsen.util: 0\t:ok\t:read\tnil\n"), Options{Model: "register"})
	if err != nil || r.Operations[0].End-r.Operations[0].Start != 1091e6 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What is binary: a history of DBCop's, and the directories of Jepsen and Cobra.
func TestBinaryAndDirectories(t *testing.T) {
	var b bytes.Buffer
	put := func(order binary.ByteOrder, values ...any) {
		for _, v := range values {
			switch v := v.(type) {
			case int:
				_ = binary.Write(&b, order, uint64(v)) // to memory
			case string:
				b.WriteString(v)
			default:
				_ = binary.Write(&b, order, v)
			}
		}
	}
	dbcop := func(seen int) string {
		b.Reset()
		put(binary.LittleEndian, 0, 2, 1, 2, 2, 4, "info", 1, "a", 1, "b", 2,
			1, 1, true, 7, 1, true, true, // a session of one transaction that writes 1 to 7
			1, 2, false, 7, seen, true, false, 8, 0, true, true)
		return b.String()
	}
	o := Options{Model: "rw-register"}
	for seen, want := range map[int]harness.Validity{0: valid, 1: valid, 2: invalid} {
		if v, err := verdict(t, dbcop(seen), o); err != nil || v.Valid != want {
			t.Errorf("DBCop, saw %d: %v, %v, expected %v", seen, v, err, want)
		}
	}
	if _, err := verdict(t, dbcop(1)[:len(dbcop(1))-3], o); err == nil || !strings.Contains(err.Error(), "ends within transaction 1 of session 2") {
		t.Errorf("DBCop, cut off: %v", err)
	}

	dir := t.TempDir()
	cobra := func(name string, values ...any) {
		b.Reset()
		put(binary.BigEndian, values...)
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cobra("T1.log", "S", 1, "W", 100, 7, 5, "C", 1)
	cobra("T2.log", "S", 2, "R", 1, 100, 7, 5, "R", cobraInitial, cobraInitial, 8, 0, "C", 2)
	judged := func() (checker.Verdict, error) {
		r, err := Open(dir, o)
		if err != nil {
			return checker.Verdict{}, err
		}
		return checker.CheckAll(context.Background(), r.Checkers(), &r.History), nil
	}
	if v, err := judged(); err != nil || v.Valid != valid {
		t.Errorf("Cobra: %v, %v", v, err)
	}
	cobra("T3.log", "S", 3, "R", 1, 101, 7, 5, "C", 3)
	if v, err := judged(); err != nil || v.Valid != invalid {
		t.Errorf("Cobra, a read of what nobody wrote: %v, %v", v, err)
	}
	cobra("T3.log", "S", 3, "R", 1, 101, 7)
	if _, err := judged(); err == nil || !strings.Contains(err.Error(), "T3.log: a log of Cobra's that ends within entry 2") {
		t.Errorf("Cobra, cut off: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "history.edn"), []byte(`{:process 0 :type :ok :value [[:w 1 1]]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := judged(); err != nil || v.Valid != valid {
		t.Errorf("Jepsen's directory: %v, %v", v, err)
	}
	if _, err := Open(t.TempDir(), o); err == nil || !strings.Contains(err.Error(), "holds no history (history.edn, ") {
		t.Errorf("an empty directory: %v", err)
	}
}

func FuzzSessions(f *testing.F) {
	f.Add("w(1,1,0,0)\nr(1,1,1,1)\nr(2,0,1,1)\nw(3,1,0,-1)\n")
	f.Add("w 0 0\n=====\nr 0 0\nw 0 1\n-----\nr 0 1\n")
	f.Add("// session 1\n[x:=1 y:=1] [z==? z:=3]!\n---\n[x==1 b:=3]\n")
	f.Add(`[[{"events":[{"Write":{"variable":0,"version":1}},["r",0,null]],"committed":true}]]`)
	f.Add(`{"data":[[{"events":[{"write":true,"variable":0,"value":1,"success":true}],"success":true}]]}`)
	f.Add("S\x00\x00\x00\x00\x00\x00\x00\x01W\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01C\x00\x00\x00\x00\x00\x00\x00\x01")
	f.Add(strings.Repeat("\x00", 64) + "\x01\x00\x00\x00\x00\x00\x00\x00")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := Read(strings.NewReader(text), Options{Model: "rw-register"}); err == nil {
			understood(t, r)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add(`[{"type":"invoke","f":"write","value":"a\ud83d\ude00","process":0},{"type":"ok","f":"write","process":0, "time": 1e3}]`, "register")
	f.Add("{\"process\": 1, \"type\": \"invoke\", \"f\": \"add\", \"value\": 1}\n{\"process\": \"nemesis\"", "counter")
	f.Add(`[[0,"invoke","write",1],[0,"ok","write",null]]`, "cas-register")
	f.Fuzz(func(t *testing.T, text, model string) {
		c, err := newConversion(Options{Model: model})
		if err != nil {
			return
		}
		c.json = true
		p := newPairing(c.model)
		if readEntries(newReader(strings.NewReader(text), true), p.add) != nil || p.finish() != nil {
			return
		}
		r := &Recording{model: model, values: c.values}
		if r.Operations, err = c.operations(p); err == nil {
			understood(t, r)
		}
	})
}

func FuzzInitial(f *testing.F) {
	f.Add(`[0 :invoke :read nil] [0 :ok :read 0]`, "register", "0")
	f.Add(`[0 :invoke :dequeue nil] [0 :ok :dequeue :a]`, "queue", "[:a 1 nil]")
	f.Add(`[0 :invoke :txn [[:r :x nil]]] [0 :ok :txn [[:r :x 0]]]`, "rw-register", "0")
	f.Add(`[0 :invoke :acquire :a] [0 :ok :acquire nil]`, "mutex", "held")
	f.Fuzz(func(t *testing.T, text, model, initial string) {
		for _, keys := range []Keys{FindKeys, WithKeys, NoKeys} {
			if r, err := Read(strings.NewReader(text), Options{Model: model, Initial: initial, Keys: keys}); err == nil {
				understood(t, r)
			}
		}
	})
}
