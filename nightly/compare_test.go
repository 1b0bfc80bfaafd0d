package nightly

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"coup/harness"
	"coup/plan"
)

func TestCompare(t *testing.T) {
	var dirs []string
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
		dirs = append(dirs, runIn(out))
	}
	c, err := Compare(dirs)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, r := range c.Rows {
		rows[r[0]] = strings.Join(r[1:], " ")
	}
	if rows["nodes"] != "3 5" || rows["verdict"] != "valid invalid" || rows["failover, median"] != "1.00 s 1.00 s" || rows["acknowledged"] != "100 100" {
		t.Errorf("%v", rows)
	}
	if _, ok := rows["system"]; ok {
		t.Errorf("what is the same is told as different: %v", rows)
	}
	var page bytes.Buffer
	if err := c.WritePage(&page); err != nil || strings.Contains(page.String(), "<script>") || !strings.Contains(page.String(), "&lt;script&gt;") {
		t.Errorf("%v: %s", err, page.String())
	}
	if _, err := Compare([]string{dirs[0], filepath.Join(dirs[0], "nowhere")}); err == nil {
		t.Error("no error for a run that is not there")
	}
}
