package histories

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/checker/model"
	"coup/harness"
)

// porcupineData is the directory of the histories that porcupine ships.
func porcupineData(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anishathalye/porcupine").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "test_data")
}

func judge(t *testing.T, path string, o Options) harness.Result {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := Read(f, o)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(h.Operations) < 10 {
		t.Fatalf("%s: only %d operations", path, len(h.Operations))
	}
	r, err := h.checker().Check(context.Background(), &h.History)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r
}

// Every history that porcupine ships gets the verdict that porcupine expects.
func TestPorcupineData(t *testing.T) {
	dir := porcupineData(t)
	valid := []int{2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102}
	judged := 0
	for n := 0; n <= 102; n++ {
		path := filepath.Join(dir, "jepsen", fmt.Sprintf("etcd_%03d.log", n))
		if n == 95 {
			continue // its cluster never started: there is nothing in it
		}
		judged++
		want := harness.Invalid
		if slices.Contains(valid, n) {
			want = harness.Valid
		}
		r := judge(t, path, Options{Model: "cas-register", FailedCASDiffers: true})
		if r.Valid != want {
			t.Errorf("%s: %v, expected %v: %s", path, r.Valid, want, r.Summary)
		}
		if want == harness.Invalid && (r.Counterexample == nil || len(r.Counterexample.Witness) == 0) {
			t.Errorf("%s: no counterexample", path)
		}
	}
	if judged != 102 {
		t.Errorf("%d logs, expected 102", judged)
	}
	for name, want := range map[string]harness.Validity{
		"c01-ok": harness.Valid, "c01-bad": harness.Invalid, "c10-ok": harness.Valid, "c10-bad": harness.Invalid,
		"c50-ok": harness.Valid, "c50-bad": harness.Invalid,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			if r := judge(t, filepath.Join(dir, "kv", name+".txt"), Options{Model: "kv"}); r.Valid != want {
				t.Errorf("%v, expected %v: %s", r.Valid, want, r.Summary)
			}
			t.Log(time.Since(start))
		})
	}
}

const registerMaps = `
; a comment
{:process :nemesis, :type :info, :f :start, :value nil, :index 0}
{:index 1, :process 0, :type :invoke, :f :write, :value 3, :time 1000}
#jepsen.history.Op{:index 2 :process 1 :type :invoke :f :read :value nil :time 2000}
{:process 0, :type :ok, :f :write, :value 3, :time 3000}
{:process 1, :type :ok, :f :read, :value 3, :time 4000 :node "n2"}
{:process 0, :type :invoke, :f :cas, :value [3 4]}, {:process 0, :type :fail, :f :cas, :value [3 4]}
#_{:process 7 :type :ok :f :read :value 1}
{:process 1, :type :invoke, :f :cas, :value [3 5]} {:process 1, :type :info, :f :cas, :value [3 5], :error :timeout}
{:process 2 :type :invoke :f :read} {:process 2 :type :ok :f :read :value nil}
`

func TestReadMaps(t *testing.T) {
	for name, text := range map[string]string{"one after the other": registerMaps, "in a vector": "[" + registerMaps + "]"} {
		t.Run(name, func(t *testing.T) {
			h, err := Read(strings.NewReader(text), Options{Model: "register"})
			if err != nil {
				t.Fatal(err)
			}
			want := []harness.Operation{
				{Process: 0, F: "write", Input: int64(3), Type: harness.OK, Call: 0, Return: 2, Start: 1000, End: 3000, Line: 4, Index: 1},
				{Process: 1, F: "read", Output: model.Just(3), Type: harness.OK, Call: 1, Return: 3, Start: 2000, End: 4000, Node: "n2", Line: 5, Index: 2},
				{Process: 0, F: "cas", Input: model.CAS{From: model.Just(3), To: 4}, Type: harness.Fail, Call: 4, Return: 5, Start: 4, End: 5, Line: 8, Index: -1},
				{Process: 1, F: "cas", Input: model.CAS{From: model.Just(3), To: 5}, Type: harness.Info, Call: 6, Return: harness.Open, Start: 6, End: 7, Error: "timeout", Line: 10, Index: -1},
				{Process: 2, F: "read", Output: model.Maybe{}, Type: harness.OK, Call: 8, Return: 9, Start: 8, End: 9, Line: 11, Index: -1},
			}
			if !reflect.DeepEqual(h.Operations, want) {
				t.Errorf("got\n%+v\nexpected\n%+v", h.Operations, want)
			}
		})
	}
}

func TestMeanings(t *testing.T) {
	cases := []struct {
		name, text string
		o          Options
		valid      harness.Validity
	}{
		{"nil means nothing", `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :read nil] [0 :ok :read nil]`, Options{Model: "register"}, harness.Invalid},
		{"nil says nothing", `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :read nil] [0 :ok :read nil]`, Options{Model: "register", NilReadsSayNothing: true}, harness.Valid},
		{"a cas may fail", `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :cas [1 2]] [0 :fail :cas [1 2]]`, Options{Model: "cas-register"}, harness.Valid},
		{"a cas fails for a reason", `[0 :invoke :write 1] [0 :ok :write 1] [0 :invoke :cas [1 2]] [0 :fail :cas [1 2]]`, Options{Model: "cas-register", FailedCASDiffers: true}, harness.Invalid},
		{"by key", `[0 :invoke :write [x 1]] [0 :ok :write [x 1]] [0 :invoke :read [y nil]] [0 :ok :read [y nil]]`, Options{Model: "register"}, harness.Valid},
		{"mutex", `[0 :invoke :acquire nil] [1 :invoke :acquire nil] [0 :ok :acquire nil] [1 :ok :acquire nil]`, Options{Model: "mutex"}, harness.Invalid},
		{"mutex in turn", `[0 :invoke :acquire nil] [1 :invoke :acquire nil] [0 :ok :acquire nil] [0 :invoke :release nil] [0 :ok :release nil] [1 :ok :acquire nil]`, Options{Model: "mutex"}, harness.Valid},
		{"lock of another", `[0 :invoke :acquire nil] [0 :ok :acquire 5] [1 :invoke :release nil] [1 :ok :release nil]`, Options{Model: "lock"}, harness.Invalid},
		{"lock in turn", `[0 :invoke :lock nil] [0 :ok :lock {:fence 5}] [0 :invoke :unlock nil] [0 :ok :unlock nil] [1 :invoke :lock nil] [1 :ok :lock {:fence 6}]`, Options{Model: "lock"}, harness.Valid},
		{"fences go back", `[0 :invoke :lock nil] [0 :ok :lock {:fence 5}] [0 :invoke :unlock nil] [0 :ok :unlock nil] [1 :invoke :lock nil] [1 :ok :lock {:fence 4}]`, Options{Model: "lock"}, harness.Invalid},
		{"a lease runs out", `{:process 0 :type :invoke :f :acquire :time 1} {:process 0 :type :ok :f :acquire :value {:token 1 :lease-ms 5} :time 2}
			{:process 1 :type :invoke :f :acquire :time 5000001} {:process 1 :type :ok :f :acquire :value {:token 2 :lease-ms 5} :time 5000002}`, Options{Model: "lock"}, harness.Valid},
		{"a lease has not run out", `{:process 0 :type :invoke :f :acquire :time 1} {:process 0 :type :ok :f :acquire :value {:token 1 :lease-ms 5} :time 2}
			{:process 1 :type :invoke :f :acquire :time 4000001} {:process 1 :type :ok :f :acquire :value {:token 2 :lease-ms 5} :time 5000000}`, Options{Model: "lock"}, harness.Invalid},
		{"set", `[0 :invoke :add 1] [0 :ok :add 1] [0 :invoke :read nil] [0 :ok :read #{1 2}]`, Options{Model: "set"}, harness.Invalid},
		{"queue", `[0 :invoke :enqueue 1] [0 :ok :enqueue 1] [0 :invoke :dequeue nil] [0 :ok :dequeue 1]`, Options{Model: "queue"}, harness.Valid},
		{"stack", `[0 :invoke :push 1] [0 :ok :push 1] [0 :invoke :push 2] [0 :ok :push 2] [0 :invoke :pop nil] [0 :ok :pop 2]`, Options{Model: "stack"}, harness.Valid},
		{"stack upside down", `[0 :invoke :push 1] [0 :ok :push 1] [0 :invoke :push 2] [0 :ok :push 2] [0 :invoke :pop nil] [0 :ok :pop 1]`, Options{Model: "stack"}, harness.Invalid},
		{"priority queue", `[0 :invoke :insert 2] [0 :ok :insert 2] [0 :invoke :insert 1] [0 :ok :insert 1] [0 :invoke :delete-min nil] [0 :ok :delete-min 1]`, Options{Model: "priority-queue"}, harness.Valid},
		{"priority queue by age", `[0 :invoke :insert 2] [0 :ok :insert 2] [0 :invoke :insert 1] [0 :ok :insert 1] [0 :invoke :delete-min nil] [0 :ok :delete-min 2]`, Options{Model: "priority-queue"}, harness.Invalid},
		{"counter", `[0 :invoke :inc nil] [0 :ok :inc nil] [0 :invoke :read nil] [0 :ok :read 2]`, Options{Model: "counter"}, harness.Invalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			// A vector of vectors is the same as the vectors one after the other.
			for _, text := range []string{c.text, strings.ReplaceAll(c.text, "[x 1]", `["x" 1]`)} {
				if c.name == "by key" {
					text = `[1 :invoke :read [x nil]] [1 :ok :read [x nil]] ` + text
				}
				h, err := Read(strings.NewReader(text), c.o)
				if err != nil {
					t.Fatal(err)
				}
				r, err := h.checker().Check(context.Background(), &h.History)
				if err != nil || r.Valid != c.valid {
					t.Errorf("%v, %v, expected %v: %s", r.Valid, err, c.valid, r.Summary)
				}
			}
		})
	}
}

func TestTransactions(t *testing.T) {
	cases := []struct {
		model, text string
		valid       harness.Validity
	}{
		{"list-append", `
			{:type :invoke, :f :txn, :value [[:append 9 1] [:r 9 nil]], :process 0, :index 0}
			{:type :ok, :f :txn, :value [[:append 9 1] [:r 9 [1]]], :process 0, :index 1}
			{:type :invoke, :f :txn, :value [[:r 9 nil]], :process 1, :index 2}
			{:type :ok, :f :txn, :value [[:r 9 [1]]], :process 1, :index 3}`, harness.Valid},
		{"list-append", `
			{:type :invoke, :value [[:append 9 1]], :process 0, :index 0}
			{:type :ok, :value [[:append 9 1]], :process 0, :index 1}
			{:type :invoke, :value [[:r 9 nil]], :process 1, :index 2}
			{:type :ok, :value [[:r 9 nil]], :process 1, :index 3}`, harness.Invalid},
		{"rw-register", `
			{:type :invoke, :f :txn, :value [[:w :x 1] [:r :y nil]], :process 0}
			{:type :invoke, :f :txn, :value [[:w :y 1] [:r :x nil]], :process 1}
			{:type :ok, :f :txn, :value [[:w :x 1] [:r :y nil]], :process 0}
			{:type :ok, :f :txn, :value [[:w :y 1] [:r :x nil]], :process 1}`, harness.Invalid},
		// As Jepsen's histories stand in history.edn, with and without records, and
		// what its workers log, then and now.
		{"list-append", `
			#jepsen.history.Op{:index 0, :time 3291485317, :type :invoke, :process 0, :f :txn, :value [[:r 9 nil] [:append 8 1]]}
			#jepsen.history.Op{:index 1, :time 3295209422, :type :invoke, :process 1, :f :txn, :value [[:append 9 1] [:r 8 nil]]}
			#jepsen.history.Op{:index 2, :time 3296209422, :type :info, :process :nemesis, :f :start, :value nil}
			#jepsen.history.Op{:index 3, :time 3296309422, :type :ok, :process 0, :f :txn, :value [[:r 9 [1]] [:append 8 1]]}
			#jepsen.history.Op{:index 4, :time 3297209422, :type :ok, :process 1, :f :txn, :value [[:append 9 1] [:r 8 [1]]]}`, harness.Invalid},
		{"list-append", `[{:type :invoke, :value [[:append 9 1]], :process 0, :index 0}
			{:type :info, :value [[:append 9 1]], :process 0, :index 1, :error :timeout}
			{:type :invoke, :value [[:r 9 nil] [:append 9 2]], :process 1, :index 2}
			{:type :fail, :value [[:r 9 nil] [:append 9 2]], :process 1, :index 3, :error [:conflict "no"]}
			{:type :invoke, :value [[:r 9 nil]], :process 1, :index 4}
			{:type :ok, :value [[:r 9 [1]]], :process 1, :index 5}]`, harness.Valid},
		{"list-append", "INFO [2019-11-08 06:38:56,868] jepsen worker 4-n5 - jepsen.util 4\t:invoke\t:txn\t[[:append 9 1]]\n" +
			"INFO [2019-11-08 06:38:56,869] jepsen nemesis - jepsen.util :nemesis\t:info\t:start\tnil\n" +
			"INFO [2019-11-08 06:38:56,870] jepsen worker 4-n5 - jepsen.util 4\t:ok\t:txn\t[[:append 9 1]]\n" +
			"INFO [2019-11-08 06:38:56,871] jepsen worker 4-n5 - jepsen.core Opening\n" +
			"INFO [2019-11-08 06:38:56,872] jepsen worker 3-n4 - jepsen.util 3\t:invoke\t:txn\t[[:r 9 nil]]\n" +
			"INFO [2019-11-08 06:38:56,880] jepsen worker 3-n4 - jepsen.util 3\t:ok\t:txn\t[[:r 9 nil]]\n", harness.Invalid},
		{"list-append", "2020-09-11 15:37:05,049{GMT}\tINFO\t[jepsen worker 6-172.28.1.2] jepsen.util: 6\t:invoke\t:txn\t[[:append 9 1]]\n" +
			"2020-09-11 15:37:05,050{GMT}\tINFO\t[jepsen worker 6-172.28.1.2] jepsen.util: 6\t:ok\t:txn\t[[:append 9 1]]\t{\"start_ts\" 419}\n" +
			"2020-09-11 15:37:05,051{GMT}\tINFO\t[jepsen worker 6-172.28.1.2] jepsen.util: 6\t:invoke\t:txn\t[[:r 9 nil]]\n" +
			"2020-09-11 15:37:05,052{GMT}\tINFO\t[jepsen worker 6-172.28.1.2] jepsen.util: 6\t:ok\t:txn\t[[:r 9 nil]]\n", harness.Invalid},
		{"rw-register", "0\t:invoke\t:txn\t[[:w 9 1]]\n:nemesis\t:info\t:start\tnil\n0\t:ok\t:txn\t[[:w 9 1]]\n" +
			"0\t:invoke\t:txn\t[[:r 9 nil]]\n0\t:ok\t:txn\t[[:r 9 nil]]\n", harness.Invalid},
	}
	for _, c := range cases {
		h, err := Read(strings.NewReader(c.text), Options{Model: c.model})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := h.checker().Check(context.Background(), &h.History); err != nil || r.Valid != c.valid {
			t.Errorf("%v, %v, expected %v of %s", r, err, c.valid, c.text)
		}
	}
	for text, want := range map[string]string{
		`{:type :invoke, :f :txn, :value [[:w 9 1]], :process 0}`:              "expected :append or :r",
		`{:type :invoke, :f :txn, :value [[:append 9]], :process 0}`:           "expected a value to write, not nil",
		`{:type :invoke, :f :txn, :value [[:append]], :process 0}`:             "expected a step [function key value]",
		`{:type :invoke, :f :txn, :value [[:append 9 #<Object>]], :process 0}`: "expected a value, not #<Object>",
		`{:type :invoke, :f :txn, :value 3, :process 0}`:                       "expected a transaction",
	} {
		if _, err := Read(strings.NewReader(text), Options{Model: "list-append"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}

func TestCompressed(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprint(z, registerMaps)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := Read(&b, Options{Model: "register"})
	if err != nil || len(h.Operations) != 5 {
		t.Errorf("%v, %v", h, err)
	}
}

func TestErrors(t *testing.T) {
	cases := []struct{ name, text, model, want string }{
		{"model", ``, "registre", `there is no model "registre" (there are bank, cas-register`},
		{"type", "{:process 0 :type :invoke :f :read}\n{:process 0 :type :okay :f :read}", "register", "line 2: expected :invoke, :ok, :fail or :info as :type, not :okay"},
		{"process", `{:process [0] :type :invoke :f :read}`, "register", "line 1: expected a number or a name as :process, not [0]"},
		{"function", `{:process 0 :type :invoke :f :incr}`, "register", `line 1: this model has no function "incr", only cas, read, write`},
		{"value", `{:process 0 :type :invoke :f :write :value #object[x 0x1 "x"]} {:process 0 :type :invoke}`, "counter", "line 1: process 0 begins an operation, and its write of line 1 has not ended"},
		{"no invocation", `[1 :invoke :read nil] {:process 0 :type :ok :f :read}`, "register", "line 1: process 0 ends read, and had not begun it"},
		{"two invocations", `[0 :invoke :read nil] [0 :invoke :read nil]`, "register", "line 1: process 0 begins read, and its read of line 1 has not ended"},
		{"another function", `[0 :invoke :read nil] [0 :ok :write nil]`, "register", "line 1: process 0 ends write, and had begun read"},
		{"cut off", "{:process 0\n :type", "register", "line 2: the text ends within the '{' of line 1"},
		{"bracket", "{:process 0]", "register", `expected '}', which closes the '{' of line 1, not ']'`},
		{"loose bracket", "\n)", "register", "line 2: a closing bracket closes nothing"},
		{"half a map", "{:process}", "register", "line 1: a map has a key without a value"},
		{"number", "[0 :invoke :write 1x]", "register", `line 1: write: expected a value, not 1x`},
		{"no operation", "[1 2]", "register", "expected an operation"},
		{"deep", strings.Repeat("[", 2000), "register", "nested deeper"},
		{"gzip", "\x1f\x8b\x00", "register", "gzip"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.text), Options{Model: c.model})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, expected %q", err, c.want)
			}
		})
	}
}

func TestEDN(t *testing.T) {
	cases := map[string]any{
		`nil`: nil, `true`: true, `-12`: int64(-12), `3N`: int64(3), `1.5`: 1.5, `2M`: 2.0, `"a\n\u0041"`: "a\nA", `\newline`: "\n", `\x`: "x",
		`:a/b`: keyword("a/b"), `foo-bar`: symbol("foo-bar"), `-`: symbol("-"), `(1, 2)`: ints{1, 2}, `#{1}`: set{ints{1}}, `[1 :a]`: []any{int64(1), keyword("a")},
		`{:a 1}`: ednMap{keyword("a"), int64(1)}, `#inst "2020"`: "2020", `[#_ 1 2]`: []any{int64(2)}, `#_ 1 #_#_ 2 3 4`: int64(4), `0x1F`: int64(31), `2r101`: int64(5), `1/3`: other("1/3"), `#object[a.B 0x12 "x"]`: []any{symbol("a.B"), int64(18), "x"}, `#<Object x<y> z>`: other("#<Object x<y> z>"), `"\ud83d\ude00\q"`: "😀q", `\o101`: "o101", `#"a.*"`: "a.*", `'a`: symbol("a"), `^{:m 1} [2 :b]`: []any{int64(2), keyword("b")}, `[]`: []any{},
	}
	for text, want := range cases {
		v, err := parse(text)
		if err != nil || !reflect.DeepEqual(v, want) {
			t.Errorf("%s: %#v, %v; expected %#v", text, v, err, want)
		}
	}
}

func parse(text string) (any, error) {
	return newReader(strings.NewReader(text), false).next()
}

func FuzzRead(f *testing.F) {
	f.Add(registerMaps, "cas-register")
	f.Add("INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0\t:info\t:cas\t:timed-out\n", "cas-register")
	f.Add(`[[0 :invoke :add 1] [0 :ok :add 1] [0 :invoke :read nil] [0 :ok :read #{1}]]`, "set")
	f.Add(`{:process 2, :type :invoke, :f :append, :key "1", :value "x 2 0 y"}`, "kv")
	f.Add(`{:process 0 :type :invoke :f :txn :value [[:append 5 1] [:r 5 nil]]} {:process 0 :type :ok :f :txn :value [[:append 5 1] [:r 5 [1]]]}`, "list-append")
	f.Add("2020-09-11 15:37:05,049{GMT}\tINFO\t[jepsen worker 6] jepsen.util: 6\t:invoke\t:txn\t[[:append 9 1] [:r 9 nil]]\n", "list-append")
	f.Add("0\t:invoke\t:txn\t[[:w 9 1] [:r 9 nil]]\n0\t:ok\t:txn\t[[:w 9 1] [:r 9 1]]\n", "rw-register")
	f.Add(`{"time":1,"process":0,"type":"invoke","f":"txn","value":[["append","x",1]]}`, "list-append")
	f.Add(`[[0 :invoke :push 1] [1 :invoke :pop nil] [1 :ok :pop 1] [0 :info :push 1]]`, "stack")
	f.Add(`[[0 :invoke :insert 1] [1 :invoke :delete-min nil] [1 :info :delete-min nil]]`, "priority-queue")
	f.Add(`{"time":1,"process":0,"type":"invoke","f":"read","key":"x","value":null}`, "register")
	f.Add("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00", "register")
	f.Add("BZh9\x17rE8P\x90\x00\x00\x00\x00", "register")
	f.Add(`{:process 0 :type :invoke :f :acquire} {:process 0 :type :ok :f :acquire :value {:token 1 :lease-ms 5}}`, "lock")
	f.Add(`#a#b{"\u0000" \u0041 ##Inf}`, "queue")
	f.Fuzz(func(t *testing.T, text, model string) {
		h, err := Read(strings.NewReader(text), Options{Model: model, FailedCASDiffers: true})
		if err != nil {
			return
		}
		understood(t, h)
	})
}
