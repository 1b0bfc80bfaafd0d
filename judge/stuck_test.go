package judge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coup/harness"
	"coup/plan"
	"coup/results"
)

func TestJudgeStuck(t *testing.T) {
	dir := t.TempDir()
	p := plan.Default()
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	if err := results.WriteJSON(dir, results.PlanFile, plan.Stored{Plan: p}); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		results.HistoryFile: "",
		results.EventsFile:  `{"time":5,"kind":"phase","message":"load"}` + "\n" + `{"time":9,"kin`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v, err := Stuck(t.Context(), dir, "n2", 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if v.Valid != harness.Unknown || !strings.Contains(v.Sentence(), "The run could not go on") {
		t.Errorf("%s: %s", v.Valid, v.Sentence())
	}
	found := false
	for _, r := range v.Results {
		found = found || strings.Contains(r.Summary, "The program of n2 computed for 20s")
	}
	if !found {
		t.Errorf("nobody names the node: %s", v.Sentence())
	}
}
