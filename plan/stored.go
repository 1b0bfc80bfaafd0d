package plan

import (
	"fmt"
	"strings"
	"time"
)

// Stored is the content of plan.json: the plan, and what it ran on.
type Stored struct {
	Plan    Plan      `json:"plan"`
	Run     string    `json:"run"`
	Started time.Time `json:"started"`
	Coup    string    `json:"coup"`           // version of coup
	Raft    string    `json:"raft,omitempty"` // the release of hashicorp/raft that the nodes say they run
	Go      string    `json:"go"`
	Engine  string    `json:"engine,omitempty"`
	API     string    `json:"api,omitempty"`
	Image   string    `json:"image,omitempty"`  // the id of the nodes' image
	Node    string    `json:"node,omitempty"`   // the file of the simulated nodes' program, unless it is the bundled one
	Module  string    `json:"module,omitempty"` // SHA-256 of the simulated nodes' program
	// Machines is the SHA-256 of all that the simulated machines held in the
	// end, in memory and on disk.
	Machines string `json:"machines,omitempty"`
	CPUs     int    `json:"cpus"`
}

// Title is what was run, in a few words.
func (s Stored) Title() string {
	p := s.Plan
	t := fmt.Sprintf("%s, %d nodes, %s for %s", p.System, p.Nodes, p.Workload, p.Time)
	if len(p.Nemesis) > 0 {
		t += " under " + strings.Join(p.Nemesis, ", ")
	}
	if p.Bug != "" {
		t += ", with the planted bug " + p.Bug
	}
	return t
}
