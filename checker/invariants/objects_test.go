package invariants

import (
	"strings"
	"testing"

	"coup/checker/linearizable"
	"coup/checker/model"
	"coup/harness"
)

// directory is the history of a directory: "process function arguments" begins an
// operation, "process = answer" ends it. A block is a number, "!" stands for bytes that
// are no block, "fail" and "info" for answers.
func directory(t *testing.T, text string) *harness.History {
	t.Helper()
	var ops []harness.Operation
	open := map[string]int{}
	blocks := func(words []string) []int64 {
		all := []int64{}
		for _, w := range words {
			n := int64(model.Damaged)
			if w != "!" {
				n = int64(w[0] - '0')
			}
			all = append(all, n)
		}
		return all
	}
	for at, line := range strings.Split(text, ",") {
		words := strings.Fields(line)
		i, ends := open[words[0]]
		if !ends {
			op := harness.Operation{Process: int(words[0][0] - '0'), F: words[1], Key: "d", Type: harness.Info, Call: at, Return: harness.Open}
			switch op.F {
			case "write", "append":
				op.Input = model.Stored{Name: words[2], Blocks: blocks(words[3:])}
			case "rename":
				op.Input = model.Renamed{From: words[2], To: words[3]}
			case "read":
				op.Input = words[2]
			}
			open[words[0]] = len(ops)
			ops = append(ops, op)
			continue
		}
		delete(open, words[0])
		op, answer := &ops[i], words[2:]
		op.Type, op.Return = harness.OK, at
		switch {
		case len(answer) == 1 && answer[0] == "fail":
			op.Type = harness.Fail
		case len(answer) == 1 && answer[0] == "info":
			op.Type, op.Return = harness.Info, harness.Open
		case op.F == "list":
			op.Output = append([]string{}, answer...)
		case op.F == "read":
			op.Output = model.Content{Found: len(answer) > 0, Blocks: blocks(answer)}
		}
	}
	return &harness.History{Operations: ops}
}

func TestObjects(t *testing.T) {
	const valid, invalid, unknown = harness.Valid, harness.Invalid, harness.Unknown
	for _, c := range []struct {
		name, history string
		objects       harness.Validity
		kind          string
		whole         harness.Validity // of the directory as one object
	}{
		{"written and read", "0 write a 1 2, 0 =, 1 read a, 1 = 1 2", valid, "", valid},
		{"nothing was read", "0 write a 1 2, 0 =", unknown, "", valid},
		{"a part of a write", "0 write a 1 2, 0 =, 1 read a, 1 = 1", invalid, "torn", invalid},
		{"a part of a write of which nobody knows", "0 write a 1 2, 1 read a, 1 = 1", invalid, "torn", invalid},
		{"bytes that are no block", "0 write a 1 2, 0 =, 1 read a, 1 = 1 !", invalid, "damaged", invalid},
		{"what nobody wrote", "0 write a 1, 0 =, 1 read a, 1 = 7", invalid, "invented", invalid},
		{"what is written later", "0 read a, 0 = 1, 1 write a 1, 1 =", invalid, "invented", invalid},
		{"what failed", "0 write a 1, 0 = fail, 1 read a, 1 = 1", invalid, "failed", invalid},
		{"two writes in one", "0 write a 1 2, 1 write a 3 4, 0 =, 1 =, 2 read a, 2 = 1 4", invalid, "mixed", invalid},
		{"one write behind another", "0 write a 1, 0 =, 1 write a 3, 1 =, 2 read a, 2 = 1 3", invalid, "mixed", invalid},
		{"appended to", "0 write a 1, 0 =, 0 append a 2, 1 append a 3 4, 0 =, 1 =, 2 read a, 2 = 1 3 4 2", valid, "", valid},
		{"a part of an append", "0 write a 1, 0 =, 1 append a 3 4, 1 =, 2 read a, 2 = 1 3", invalid, "torn", invalid},
		{"appended twice", "0 write a 1, 0 =, 1 append a 3, 1 =, 2 read a, 2 = 1 3 3", invalid, "twice", invalid},
		{"an append over another", "0 write a 1, 0 =, 0 append a 2, 1 append a 3, 0 =, 1 =, 2 read a, 2 = 1 3", valid, "", invalid},
		{"an append without an object", "0 append a 1, 0 = info, 1 read a, 1 = 1", invalid, "torn", invalid},
		{"an object without blocks", "0 write a, 0 =, 1 append a 1, 1 =, 2 read a, 2 = 1", valid, "", valid},
		{"lost", "0 write a 1, 0 =, 1 read a, 1 =", invalid, "lost", invalid},
		{"not yet written", "0 write a 1, 1 read a, 1 =, 0 =", valid, "", valid},
		{"renamed", "0 write a 1, 0 =, 0 rename a b, 0 =, 1 read a, 1 =, 1 read b, 1 = 1, 1 list, 1 = b", valid, "", valid},
		{"a rename that nobody saw", "0 write a 1, 0 =, 0 rename a b, 0 = info, 1 read a, 1 = 1, 1 read a, 1 =, 1 read b, 1 = 1", valid, "", valid},
		{"a rename that failed", "0 write a 1, 0 =, 0 rename a b, 0 = fail, 1 read a, 1 =", invalid, "lost", invalid},
		{"renamed before it was written", "0 rename a b, 0 = fail, 0 write a 1, 0 =, 1 read a, 1 =", invalid, "lost", invalid},
		{"under both names", "0 write a 1, 0 =, 1 rename a b, 2 read b, 2 = 1, 2 read a, 2 = 1, 1 =", valid, "", invalid},
		{"both names in a list", "0 write a 1, 0 =, 1 rename a b, 2 list, 2 = a b, 1 =", unknown, "", invalid},
		{"no name in a list", "0 write a 1, 0 =, 1 rename a b, 2 list, 2 =, 1 =", unknown, "", invalid},
		{"an old list", "0 write a 1, 0 =, 0 write b 2, 0 =, 1 list, 1 = a", unknown, "", invalid},
		{"a list in any order of writes", "0 write b 1, 2 write a 2, 1 list, 1 = b", unknown, "", valid},
		{"replaced", "0 write a 1, 0 =, 0 write a 2, 0 =, 1 read a, 1 = 2", valid, "", valid},
		{"stale", "0 write a 1, 0 =, 0 write a 2, 0 =, 1 read a, 1 = 1", invalid, "stale", invalid},
		{"replaced by a rename", "0 write a 1, 0 =, 0 write b 2, 0 =, 1 rename b a, 1 =, 2 read a, 2 = 2", valid, "", valid},
		{"stale behind a rename", "0 write a 1, 0 =, 0 write b 2, 0 =, 1 rename b a, 1 =, 2 read a, 2 = 1", valid, "", invalid},
		{"it may have come back", "0 write a 1, 0 =, 1 rename a b, 0 write a 2, 0 =, 1 =, 1 rename b a, 2 read a, 2 = 1", valid, "", valid},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := directory(t, c.history)
			r, err := Objects{}.Check(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			kind := ""
			for k := range r.Details.(Details).Numbers {
				kind += k
			}
			if r.Valid != c.objects || kind != c.kind {
				t.Errorf("objects: %v %q, want %v %q: %s", r.Valid, kind, c.objects, c.kind, r.Summary)
			}
			if r.Valid == invalid && (r.Counterexample == nil || len(r.Counterexample.Story) < 2) {
				t.Errorf("no proof: %+v", r.Counterexample)
			}
			l, err := linearizable.Checker{Model: model.Directory()}.Check(t.Context(), h)
			if err != nil || l.Valid != c.whole {
				t.Errorf("as a whole: %v, want %v (%v)", l.Valid, c.whole, err)
			}
		})
	}
	if _, err := (Objects{}).Check(t.Context(), directory(t, "0 write a 1, 0 =, 0 write b 1, 0 =")); err == nil {
		t.Error("a block that is written twice tells nothing")
	}
}
