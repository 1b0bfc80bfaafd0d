package histories

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"coup/checker"
	"coup/harness"
)

// entry is one of a made-up history of registers.
type entry struct {
	process int
	typ, f  string
	key     string // "": the history has no keys
	value   []any  // of write: [v], of cas: [from to], of read: [v] once it is done
}

// madeUp is a history of registers as a careless system may leave it behind.
func madeUp(r *rand.Rand, keys bool) (entries []entry) {
	open := map[int]entry{}
	state := map[string]any{"x": nil, "y": nil, "": nil}
	for range 30 {
		p := r.IntN(4)
		e, under := open[p]
		if !under {
			e = entry{process: p, typ: "invoke", f: []string{"read", "write", "cas"}[r.IntN(3)]}
			if keys {
				e.key = []string{"x", "y"}[r.IntN(2)]
			}
			switch e.f {
			case "write":
				e.value = []any{r.IntN(4)}
			case "cas":
				e.value = []any{r.IntN(4), r.IntN(4)}
			}
			open[p] = e
			entries = append(entries, e)
			continue
		}
		delete(open, p)
		e.typ = []string{"ok", "ok", "ok", "fail", "info"}[r.IntN(5)]
		now := state[e.key]
		switch {
		case e.f == "write" && e.typ != "fail":
			state[e.key] = e.value[0]
		case e.f == "cas" && e.value[0] == now && e.typ == "ok":
			state[e.key] = e.value[1]
		case e.f == "cas" && e.typ == "ok":
			e.typ = "fail"
		case e.f == "read":
			e.value = []any{now}
			if r.IntN(6) == 0 {
				e.value[0] = r.IntN(4)
			}
		}
		entries = append(entries, e)
	}
	return entries
}

// written is a value as EDN or JSON; of is how a number is written.
func (e entry) written(json bool, of func(any) string) string {
	null, comma := "nil", " "
	if json {
		null, comma = "null", ", "
	}
	v := null
	switch len(e.value) {
	case 1:
		v = null
		if e.value[0] != nil {
			v = of(e.value[0])
		}
	case 2:
		v = "[" + of(e.value[0]) + comma + of(e.value[1]) + "]"
	}
	if e.key != "" {
		v = `["` + e.key + `"` + comma + v + "]"
	}
	return v
}

// forms are the ways in which a history can be written down.
var forms = map[string]func(entries []entry, of func(any) string) string{
	"maps": func(entries []entry, of func(any) string) string {
		return each(entries, "\n", func(i int, e entry) string {
			return fmt.Sprintf("{:index %d, :process %d, :type :%s, :f :%s, :value %s}", i, e.process, e.typ, e.f, e.written(false, of))
		})
	},
	"records in a vector": func(entries []entry, of func(any) string) string {
		return "[" + each(entries, "\n ", func(_ int, e entry) string {
			return fmt.Sprintf("#jepsen.history.Op{:process %d, :type :%s, :f :%s, :value %s} {:process :nemesis :type :info :f :x :value 1/3}", e.process, e.typ, e.f, e.written(false, of))
		}) + "]"
	},
	"old vectors": func(entries []entry, of func(any) string) string {
		return "[" + each(entries, " ", func(_ int, e entry) string {
			return fmt.Sprintf("[%d :%s :%s %s]", e.process, e.typ, e.f, e.written(false, of))
		}) + "]"
	},
	"JSON array": func(entries []entry, of func(any) string) string {
		return "[" + each(entries, ",", func(i int, e entry) string {
			return fmt.Sprintf(`{"index": %d, "process": %d, "type": "%s", "f": "%s", "value": %s}`, i, e.process, e.typ, e.f, e.written(true, of))
		}) + "]"
	},
	"JSON lines": func(entries []entry, of func(any) string) string {
		return each(entries, "\n", func(_ int, e entry) string {
			return fmt.Sprintf(`{"value":%s,"f":"%s","process":%d,"type":"%s"}`, e.written(true, of), e.f, e.process, e.typ)
		})
	},
	"log": func(entries []entry, of func(any) string) string {
		return each(entries, "\n", func(i int, e entry) string {
			return fmt.Sprintf("2025-06-23 13:09:52,%03d{GMT}\tINFO\t[jepsen worker %d] jepsen.util: %d\t:%s\t:%s\t%s\t:why\nnoise {:type :ok}", i, e.process, e.process, e.typ, e.f, e.written(false, of))
		})
	},
}

func each(entries []entry, between string, write func(int, entry) string) string {
	var parts []string
	for i, e := range entries {
		parts = append(parts, write(i, e))
	}
	return strings.Join(parts, between)
}

func plainly(v any) string { return fmt.Sprint(v) }
func asString(v any) string {
	b, _ := json.Marshal(fmt.Sprintf("v%v", v)) // a string always marshals
	return string(b)
}

// However a history is written down, it is the same history; and values of
// another kind change no verdict.
func TestFormsAgree(t *testing.T) {
	verdicts := map[harness.Validity]int{}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		entries := madeUp(r, seed%2 == 0)
		var want []string
		var judged *harness.Validity
		for name, form := range forms {
			for _, of := range []func(any) string{plainly, asString} {
				text := form(entries, of)
				r, err := Read(strings.NewReader(text), Options{Model: "cas-register"})
				if err != nil {
					t.Fatalf("seed %d, %s: %v\n%s", seed, name, err, text)
				}
				var got []string
				for _, op := range r.Told() {
					b, err := json.Marshal([]any{op.Process, op.F, op.Key, op.Input, op.Output, op.Type, op.Call, op.Return})
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, strings.NewReplacer(`"v`, "", `v`, "", `"`, "").Replace(string(b)))
				}
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d, %s:\n%s\nelse\n%s", seed, name, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				v := checker.CheckAll(t.Context(), r.Checkers(), &r.History).Valid
				if judged == nil {
					judged = &v
					verdicts[v]++
				}
				if v != *judged {
					t.Fatalf("seed %d, %s: %v, else %v", seed, name, v, *judged)
				}
			}
		}
	}
	if verdicts[harness.Valid] < 20 || verdicts[harness.Invalid] < 20 {
		t.Errorf("verdicts %v: too much alike to tell anything", verdicts)
	}
}
