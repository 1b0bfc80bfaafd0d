package nightly

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/plan"
)

// inFolder writes files into a folder and returns the path of the first one.
func inFolder(t *testing.T, nameAndText ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(nameAndText); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, nameAndText[i]), []byte(nameAndText[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, nameAndText[0])
}

func TestMatrix(t *testing.T) {
	spec, err := Read("night", inFolder(t, "m.yaml", `
plan: {nodes: 3, time: 5s}
matrix:
  name: m
  axes:
    backend: [sim, docker]
    workload: [register, set]
    nemesis: [[kill:leader], ["partition:leader", pause:leader]]
    settings: [{}, {heartbeat: 200ms}]
  seeds: 1-3
  exclude:
    - {backend: docker, workload: set}
  include:
    - {system: etcd, workload: lock, nemesis: [pause:leader]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Cells) != 2*2*2*2-4+1 {
		t.Fatalf("%d cells: %v", len(spec.Cells), names(spec.Cells))
	}
	for _, c := range spec.Cells {
		if c.Problem != "" || c.Plan.Nodes != 3 || c.Plan.Time != plan.Duration(5*time.Second) || !slices.Equal(c.Seeds, []uint64{1, 2, 3}) {
			t.Errorf("%+v", c)
		}
	}
	second := spec.Cells[1]
	if second.Name != "m/sim/register/kill:leader/heartbeat=200ms" || second.Plan.Settings["heartbeat"] != "200ms" {
		t.Errorf("%q: %v", second.Name, second.Plan.Settings)
	}
	last := spec.Cells[len(spec.Cells)-1]
	if last.Name != "m/etcd/lock/pause:leader" || last.Plan.System != "etcd" || !slices.Equal(last.Plan.Nemesis, []string{"pause:leader"}) {
		t.Errorf("%q: %+v", last.Name, last.Plan)
	}
}

// One cell that makes no sense is the matter of that cell.
func TestCellsWithProblems(t *testing.T) {
	spec, err := Read("night", inFolder(t, "a.yaml", `
budget: 1h
must: {cells: 90%, operations: 100, faults: 3, run: ["good*"]}
keep: {size: 200MB, failures: 48h}
cells:
  - name: good
    plan: {backend: sim, nodes: 3, nemesis: [kill:leader, partition:leader], time: 60s}
  - {name: typo, plan: {nodez: 3}}
  - {name: typo outside, expct: invalid}
  - {name: no such workload, plan: {workload: bank of coup}}
  - {name: no such expectation, expect: perhaps}
  - {name: no map, plan: [1]}
  - {name: good, plan: {backend: sim}}
include: [b.yaml, missing.yaml, "c*.yaml"]
`, "b.yaml", `
plan: {backend: sim}
budget: 3h
include: [a.yaml]
cells:
  - {name: b, expect: invalid, why: a contrast, plan: {bug: early-ack, workload: set, nemesis: [partition:leader]}, fresh: 2}
`, "c1.yaml", "cells: {no: list}", "c2.yaml", ""))
	if err != nil {
		t.Fatal(err)
	}
	problems := map[string]string{}
	for _, c := range spec.Cells {
		problems[filepath.Base(c.Name)] = c.Problem
	}
	for name, want := range map[string]string{
		"good": "", "b": "", "typo": `unknown field "nodez"`, "typo outside": `unknown field "expct"`, "no such workload": "there is no workload",
		"no such expectation": `not "perhaps"`, "no map": "plan", "good (2)": "same name", "missing.yaml": "no such file", "c1.yaml": "c1.yaml",
	} {
		if got, ok := problems[name]; !ok || (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		delete(problems, name)
	}
	if len(problems) > 0 {
		t.Errorf("left over: %v", problems)
	}
	if spec.Budget != time.Hour || spec.Must.Cells != 90 || spec.Must.Faults != 3 || spec.Keep.Size != 200e6 || spec.Keep.Nights != 90 || spec.Name != "a" {
		t.Errorf("%+v", spec)
	}
}

// Not to try again what should have failed is not the same as to say nothing of it.
func TestLookGone(t *testing.T) {
	for text, want := range map[string]int{"": 2, "look: {again: 3}\n": 2, "look: {gone:}\n": 2, "look: {gone: 0}\n": 0, "look: {gone: 7}\n": 7} {
		spec, err := Read("night", inFolder(t, "a.yaml", text+"cells: [{name: a}]"))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := *spec.Look.Gone; got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                         "there are no cells",
		"cels: []":                                 "unknown field",
		"cells: [{name: a}]\nbudget: -1h":          "budget can't be less than 0",
		"cells: [{name: a}]\nlook: {gone: -1}":     "look: gone can't be less than 0",
		"budget: soon\ncells: [{name: a}]":         "not a duration",
		"matrix: {axes: {nodes: 3}}":               "needs a list",
		"must: {cells: 300%}":                      "no share",
		"keep: {size: much}":                       "no size",
		"matrix: {axes: {nodes: [1]}, seeds: 9-1}": "seeds are written",
		"\x00{[":                                   "",
	} {
		_, err := Read("night", inFolder(t, "a.yaml", text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read("night", "nowhere.yaml"); err == nil {
		t.Error("no error for a file that is not there")
	}
}

func TestSeeds(t *testing.T) {
	read := func(night, draws string) [][]uint64 {
		spec, err := Read(night, inFolder(t, "a.yaml", `
cells:
  - {name: docker, plan: {backend: docker}, `+draws+`}
  - {name: sim, plan: {backend: sim}, `+draws+`}
`))
		if err != nil {
			t.Fatal(err)
		}
		return [][]uint64{spec.Cells[0].Seeds, spec.Cells[1].Seeds}
	}
	if got := read("x", "seeds: [7, 9], repeat: 2"); !slices.Equal(got[0], []uint64{7, 7, 9, 9}) || len(got[1]) != 4 || got[1][0] != 7 || got[1][1] == 7 {
		t.Errorf("%v", got)
	}
	a, again, b := read("x", "fresh: 2"), read("x", "fresh: 2"), read("y", "fresh: 2")
	if len(a[1]) != 2 || !slices.Equal(a[1], again[1]) || slices.Equal(a[1], b[1]) || a[1][0] == a[1][1] || slices.Equal(a[0], a[1]) {
		t.Errorf("fresh seeds: %v %v %v", a, again, b)
	}
	if got := read("x", "seeds: 1-5"); len(got[0]) != 5 {
		t.Errorf("%v", got)
	}
	if got := read("x", "repeat: 3"); len(got[0]) != 3 || got[0][0] != got[0][2] || got[1][0] == got[1][2] {
		t.Errorf("%v", got)
	}
}

func TestKnown(t *testing.T) {
	path := inFolder(t, "known.yaml", `
- {fingerprint: "transactions: G1*", link: "https://example.com/1", where: ["raft/*"], until: 2030-01-01}
- {fingerprint: set: lost (a+b)? in quiet, link: x}
`)
	os.WriteFile(path, []byte(`
- fingerprint: "transactions: G1*"
  link: https://example.com/1
  where: [raft/*]
  until: 2030-01-01
- fingerprint: "set: lost (a+b)? in quiet"
  link: x
`), 0o644)
	all, err := ReadKnown(path)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	before, after := time.Date(2029, 12, 31, 23, 0, 0, 0, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		k    Known
		cell string
		fp   string
		at   time.Time
		want bool
	}{
		{all[0], "raft/a/b", "transactions: G1a", before, true},
		{all[0], "raft/a/b", "transactions: G1a", after, false},
		{all[0], "etcd/a", "transactions: G1a", before, false},
		{all[0], "raft/a", "transactions: G2", before, false},
		{all[1], "anywhere", "set: lost (a+b)? in quiet", after, true},
		{all[1], "anywhere", "set: lost aab in quiet", after, false},
	} {
		if got := c.k.allows(c.cell, c.fp, c.at); got != c.want {
			t.Errorf("%q in %s at %v: %t", c.fp, c.cell, c.at, got)
		}
	}
	for _, text := range []string{"- {fingerprint: x}", "- {link: x}", "- {fingerprint: '*', link: x}", "- {fingerprint: x, link: y, until: soon}", "a: b"} {
		if _, err := ReadKnown(inFolder(t, "k.yaml", text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("cells:\n  - {name: a, plan: {nemesis: [kill:leader]}, seeds: 1-3}\nmatrix: {axes: {nodes: [1, 3]}, exclude: [{nodes: 1}]}"))
	f.Add([]byte("include: ['*']\nknown: a\nplan: {a: {b: [c:d]}}"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(dir, "f.yaml")
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Skip(err)
		}
		spec, err := Read("n", name)
		for _, c := range spec.Cells {
			if err == nil && (c.Name == "" && c.Problem == "" && c.Plan.System == "" || len(c.Seeds) == 0) {
				t.Errorf("%+v", c)
			}
		}
	})
}
