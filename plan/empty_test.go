package plan

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// A plan file that says nothing changes nothing.
func TestEmptyPlanFile(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing yet\n", "---\n", "{}\n"} {
		name := filepath.Join(t.TempDir(), "plan.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := Default()
		if err := p.ReadPlan(name); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if !reflect.DeepEqual(p, Default()) {
			t.Errorf("%q: the plan is %+v", text, p)
		}
	}
}
