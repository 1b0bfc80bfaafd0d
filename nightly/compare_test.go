package nightly

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"coup/harness"
	"coup/plan"
	"coup/results"
)

func TestCompare(t *testing.T) {
	var runs []RunFolder
	f := &pretender{runs: map[string]int{}}
	for i, valid := range []harness.Validity{harness.Valid, harness.Invalid} {
		f.shows = all(valid, "<script>")
		out := t.TempDir()
		p := plan.Default()
		p.Backend, p.Nodes, p.Workload = "sim", 3+2*i, "set"
		if err := p.Resolve(); err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := p.WritePlan(&text); err != nil {
			t.Fatal(err)
		}
		if _, err := f.command(context.Background(), context.Background(), "run", "--plan", inFolder(t, "p.yaml", text.String()), "--out", out); err != nil {
			t.Fatal(err)
		}
		files, err := results.OpenFolder(runIn(out))
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		runs = append(runs, RunFolder{Name: runIn(out), Files: files})
	}
	c, err := Compare(context.Background(), runs)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, r := range slices.Concat(c.Words, c.Figures) {
		rows[r[0]] = strings.Join(r[1:], " ")
	}
	if rows["nodes"] != "3 5" || rows["verdict"] != "valid invalid" || rows["failover, median"] != "1.00 s 1.00 s" || rows["acknowledged"] != "100 100" {
		t.Errorf("%v", rows)
	}
	if _, ok := rows["system"]; ok {
		t.Errorf("what is the same is told as different: %v", rows)
	}
	var page bytes.Buffer
	if err := c.WritePage(&page); err != nil || strings.Contains(page.String(), "<script>\"") || !strings.Contains(page.String(), "&lt;script&gt;") {
		t.Errorf("%v: %s", err, page.String())
	}
	nowhere, err := results.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	var input *InputError
	if _, err := Compare(context.Background(), []RunFolder{runs[0], {Name: "nowhere", Files: nowhere}}); !errors.As(err, &input) {
		t.Errorf("a run that is not there: %v", err)
	}
}
