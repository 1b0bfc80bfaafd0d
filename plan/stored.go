package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/cluster/capture"
	"coup/harness"
)

// Stored is the content of plan.json: the plan, and what it ran on.
type Stored struct {
	Plan    Plan          `json:"plan"`
	Run     string        `json:"run"`
	Started time.Time     `json:"started"`
	Coup    string        `json:"coup"` // version of coup
	Go      string        `json:"go"`
	Release string        `json:"release,omitempty"` // the release that the nodes say they run
	Tells   harness.Facts `json:"tells"`             // what the system's nodes tell about themselves
	Lease   Duration      `json:"lease,omitempty"`   // of a leader; see cluster.Timing
	Shards  int           `json:"shards,omitempty"`  // how many logs the nodes hold, if more than one
	Engine  string        `json:"engine,omitempty"`
	API     string        `json:"api,omitempty"`
	Image   string        `json:"image,omitempty"`  // the id of the image of coup's own binary
	Images  []Image       `json:"images,omitempty"` // of the system's containers, beside that
	Node    string        `json:"node,omitempty"`   // the file of the simulated nodes' program, unless it is the bundled one
	Module  string        `json:"module,omitempty"` // SHA-256 of the simulated nodes' program
	// Machines is the SHA-256 of all that the simulated machines held in the
	// end, in memory and on disk.
	Machines string `json:"machines,omitempty"`
	CPUs     int    `json:"cpus"`

	Captured *capture.Set `json:"captured,omitempty"` // the packets of the nodes; nil: none were captured

	Names []string `json:"names,omitempty"` // of the nodes; none: n1, n2, ...

	// Raft is the former name of Release, from the time when there was one system. Such
	// files have no Tells and no Lease.
	Raft string `json:"raft,omitempty"`
}

// Image is an image that containers ran.
type Image struct {
	Name      string `json:"name"`      // what the system calls it
	Reference string `json:"reference"` // what the engine calls it
	Digest    string `json:"digest"`    // its id: the digest of what it holds
	How       string `json:"how"`       // how it came to be there
}

// Describe fills in what the system's nodes tell.
func (s *Stored) Describe(sys cluster.System) {
	s.Tells = append(harness.Facts{}, cluster.FactsOf(sys)...)
	if _, named := sys.(cluster.Named); named {
		for _, n := range cluster.NodesOf(sys, s.Plan.Nodes, s.Plan.Options()) {
			s.Names = append(s.Names, n.Name)
		}
	}
	if n := cluster.ShardsOf(sys, s.Plan.Options()); n > 1 {
		s.Shards = n
	}
	s.Lease = Duration(cluster.TimingOf(sys, s.Plan.Options()).Lease)
}

// Mend fills in fields that run directories of earlier releases lack.
func (s *Stored) Mend() error {
	s.Release, s.Raft = cmp.Or(s.Release, s.Raft), ""
	if s.Tells != nil {
		return nil
	}
	sys, err := s.Plan.FindSystem()
	if err != nil {
		return err
	}
	s.Describe(sys)
	return nil
}

// NodeNames are the names of the nodes, sorted.
func (s *Stored) NodeNames() []string {
	names := slices.Clone(s.Names)
	for i := range s.Plan.Nodes {
		if s.Names == nil {
			names = append(names, fmt.Sprintf("n%d", i+1))
		}
	}
	slices.Sort(names)
	return names
}

// Title is what was run, in a few words.
func (s Stored) Title() string {
	p := s.Plan
	system := p.System
	if p.Version != "" {
		system += " " + p.Version
	}
	t := fmt.Sprintf("%s, %d nodes, %s for %s", system, p.Nodes, strings.ReplaceAll(p.Workload, ",", " + "), p.Time)
	if len(p.Nemesis) > 0 {
		t += " under " + strings.Join(p.Nemesis, ", ")
	}
	if p.Consistency != "" {
		t += ", judged as " + p.Consistency
	}
	if p.Bug != "" {
		t += ", with the planted bug " + p.Bug
	}
	return t
}
