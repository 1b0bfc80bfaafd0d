package plan

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ownCompose = "name: mine\nservices:\n  db1: {image: i, ports: [\"1\"]}\n  db2: {image: i, ports: [\"1\"], scale: 2}\n"

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A plan speaks of the files beside it, and once it is resolved, it holds them.
func TestOwnSystem(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "plan.yaml")
	write(t, filepath.Join(dir, "compose.yaml"), ownCompose)
	write(t, file, "compose: compose.yaml\nclient: sh client.sh\nnemesis: [kill:db1, 'partition:db2', 'pause:db2-1']\nseed: 3\n")
	p := Default()
	if err := p.ReadPlan(file); err != nil {
		t.Fatal(err)
	}
	if err := p.Resolve(); err != nil {
		t.Fatal(err)
	}
	if p.System != "mine" || p.Nodes != 3 || p.Dir != dir || p.Own == nil || len(p.Schedule) == 0 || !p.Drawn() {
		t.Errorf("%+v", p)
	}
	if c := p.Command(); !strings.Contains(c, "--compose "+filepath.Join(dir, "compose.yaml")+" --client 'sh client.sh'") || strings.Contains(c, "--system") || strings.Contains(c, "--nodes") {
		t.Error(c)
	}
	// By plan.json alone, and by the plan as YAML, when the compose file has changed.
	write(t, filepath.Join(dir, "compose.yaml"), "services: {}\n")
	var stored Stored
	stored.Plan = p
	text, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	var again Stored
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	sys, err := again.Plan.FindSystem()
	if err != nil || sys.Name() != "mine" {
		t.Fatal(err)
	}
	if again.Describe(sys); strings.Join(again.Names, " ") != "db1 db2-1 db2-2" {
		t.Errorf("names %q", again.Names)
	}
	var out bytes.Buffer
	if err := p.WritePlan(&out); err != nil {
		t.Fatal(err)
	}
	printed := filepath.Join(t.TempDir(), "printed.yaml")
	write(t, printed, out.String())
	q := Default()
	if err := q.ReadPlan(printed); err != nil {
		t.Fatal(err)
	}
	if err := q.Resolve(); err != nil || q.Nodes != 3 || q.Dir != dir {
		t.Errorf("%v, %+v", err, q)
	}
}

func TestOwnSystemsThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	compose := filepath.Join(dir, "compose.yaml")
	write(t, compose, ownCompose)
	named := filepath.Join(dir, "named.yaml")
	write(t, named, "services: {leader: {image: i, ports: [\"1\"]}}\n")
	for want, change := range map[string]func(*Plan){
		"needs a client":            func(p *Plan) { p.Client = "" },
		"can't be found":            func(p *Plan) { p.Client = "coup-no-such-program" },
		"is not there":              func(p *Plan) { p.Compose = "none.yaml" },
		"is for a system of a comp": func(p *Plan) { p.Compose = "" },
		`aimed at "db3"`:            func(p *Plan) { p.Nemesis = []string{"kill:db3"} },
		"can't be asked who leads":  func(p *Plan) { p.Nemesis = []string{"kill:leader"} },
		`can't be called "leader"`:  func(p *Plan) { p.Compose = named },
		"simulated machines":        func(p *Plan) { p.Backend = Simulated },
		"quotes that do not end":    func(p *Plan) { p.Leader = "'a" },
	} {
		p := Default()
		p.Compose, p.Client, p.Nemesis = compose, "sh", []string{"kill:db1"}
		change(&p)
		if err := p.Resolve(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want one line with %q", err, want)
		}
	}
}
