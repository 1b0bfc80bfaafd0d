package nightly

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coup/checker/conduct"
	"coup/harness"
	"coup/judge"
	"coup/plan"
	"coup/results"
	"coup/search"
)

// Record is what one run of a cell came to. Each is a file of its own in the folder of the night.
type Record struct {
	Cell     string    `json:"cell"`
	Run      int       `json:"run"` // from 1
	Seed     uint64    `json:"seed"`
	Began    time.Time `json:"began"`
	Seconds  float64   `json:"seconds"`          // that it took, with all attempts
	Attempts int       `json:"attempts"`         // of which the last one counts
	Missed   int       `json:"missed,omitempty"` // of them, those that were valid and should not have been

	Valid       harness.Validity `json:"valid"`
	Error       string           `json:"error,omitempty"` // why there is no verdict: coup itself or its environment failed
	Sentence    string           `json:"sentence,omitempty"`
	Found       float64          `json:"found,omitempty"` // seconds of the load until a violation was seen, or all of it
	Fingerprint string           `json:"fingerprint,omitempty"`
	Dir         string           `json:"dir,omitempty"`     // of the run, from the folder of the night; "" if it was not kept
	Command     string           `json:"command,omitempty"` // that runs it again
	Figures     Figures          `json:"figures"`
	Triage      *Triage          `json:"triage,omitempty"`
}

// Figures are what runs did. Times are seconds.
type Figures struct {
	OK        int       `json:"ok"` // operations
	Fail      int       `json:"fail"`
	Info      int       `json:"info"`   // of which nobody knows how they ended
	Faults    int       `json:"faults"` // that were tried
	Bit       int       `json:"bit"`    // that had an effect
	Load      float64   `json:"load"`   // how long the load lasted
	Changes   int       `json:"changes"`
	Failovers []float64 `json:"failovers,omitempty"` // from a fault that hit the leader to the first success with the next one; sorted
	Outage    float64   `json:"outage"`              // the longest time without a success
}

// Triage is what looking closely at a new failure came to.
type Triage struct {
	// On simulated machines: did a replay give the same to the byte, and if not, what differed?
	Replayed bool   `json:"replayed"`
	Differs  string `json:"differs,omitempty"`
	Smallest string `json:"smallest,omitempty"` // the directory of the smallest plan that fails the same way
	Traced   string `json:"traced,omitempty"`   // the directory of a run that was traced: of that plan, or of the failure itself
	// In containers: how many of so many runs of the same schedule failed.
	Again  *search.Share `json:"again,omitempty"`
	InSim  string        `json:"in_sim,omitempty"` // what the same schedule showed on simulated machines
	Failed string        `json:"failed,omitempty"` // what could not be done, and why
}

// flaky says whether the failure did not show each time.
func (t *Triage) flaky() bool {
	return t != nil && (t.Differs != "" || t.Again != nil && t.Again.Failed < t.Again.Runs)
}

func (t *Triage) String() string {
	if t == nil {
		return ""
	}
	var said []string
	switch {
	case t.Differs != "":
		said = append(said, "its replay differs: "+t.Differs)
	case t.Replayed:
		said = append(said, "its replay is the same to the byte")
	}
	if t.Again != nil {
		said = append(said, fmt.Sprintf("run again: %s", t.Again))
	}
	if t.InSim != "" {
		said = append(said, "the same schedule on simulated machines is "+t.InSim)
	}
	if t.Failed != "" {
		said = append(said, t.Failed)
	}
	return strings.Join(said, "; ")
}

// median and p99 are of the failovers, by the nearest rank; -1 if there was none.
func (f Figures) median() float64 { return rank(f.Failovers, 0.5) }
func (f Figures) p99() float64    { return rank(f.Failovers, 0.99) }
func (f Figures) worst() float64  { return rank(f.Failovers, 1) }

// rank is the smallest value of sorted that a share of all values does not exceed.
func rank(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return -1
	}
	i := int(share*float64(len(sorted))+0.999999) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}

// throughput is successes in a second of the load.
func (f Figures) throughput() float64 {
	if f.Load <= 0 {
		return 0
	}
	return float64(f.OK) / f.Load
}

// doubt is the share of operations of which nobody knows how they ended.
func (f Figures) doubt() float64 {
	if all := f.OK + f.Fail + f.Info; all > 0 {
		return float64(f.Info) / float64(all)
	}
	return 0
}

// with are the figures of two runs together.
func (f Figures) with(g Figures) Figures {
	all := append(slices.Clone(f.Failovers), g.Failovers...)
	slices.Sort(all)
	return Figures{f.OK + g.OK, f.Fail + g.Fail, f.Info + g.Info, f.Faults + g.Faults, f.Bit + g.Bit, f.Load + g.Load,
		f.Changes + g.Changes, all, max(f.Outage, g.Outage)}
}

// figuresOf reads them from the details of a verdict.
func figuresOf(v judge.Verdict) (f Figures) {
	for _, r := range v.Results {
		b, err := json.Marshal(r.Details)
		if err != nil || r.Details == nil {
			continue
		}
		switch r.Checker {
		case conduct.Ran{}.Name():
			var d conduct.RanDetails
			if json.Unmarshal(b, &d) == nil {
				f.OK, f.Fail, f.Info, f.Faults, f.Bit = d.OK, d.Fail, d.Info, d.Faults, d.Bit
			}
		case conduct.Availability{}.Name():
			var d conduct.AvailabilityDetails
			if json.Unmarshal(b, &d) == nil {
				f.Load, f.Outage = millis(d.End-d.Start), millis(d.LongestGap.Length())
			}
		case conduct.Failovers{}.Name():
			var d conduct.FailoverDetails
			if json.Unmarshal(b, &d) == nil {
				f.Changes = len(d.Failovers)
				for _, o := range d.Failovers {
					if o.Cause == conduct.CauseFault && o.Served >= 0 {
						f.Failovers = append(f.Failovers, millis(o.Served))
					}
				}
				slices.Sort(f.Failovers)
			}
		}
	}
	return f
}

// millis are seconds, exact to the millisecond.
func millis(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// keyOf names a run of a cell in files: readable, and unique.
func keyOf(cell string, run int) string {
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, cell)
	return fmt.Sprintf("%.60s-%08x.%d", readable, uint32(drawn("key", cell, 0)), run)
}

// look fills a record in from what is in a run directory below folder. It is false if there
// is no verdict.
func (r *Record) look(night, folder string) bool {
	dir := runIn(folder)
	if dir == "" {
		return false
	}
	if rel, err := filepath.Rel(night, dir); err == nil {
		r.Dir = filepath.ToSlash(rel)
	}
	var v judge.Verdict
	if results.ReadJSON(dir, results.VerdictFile, &v) != nil {
		return false
	}
	r.Valid, r.Sentence, r.Fingerprint, r.Figures = v.Valid, v.Sentence(), search.Fingerprint(v, dir), figuresOf(v)
	if v.Valid == harness.Invalid {
		if found, _, err := search.TillFound(dir); err == nil {
			r.Found = millis(found)
		}
	}
	var stored plan.Stored
	if results.ReadJSON(dir, results.PlanFile, &stored) == nil {
		r.Command = stored.Again(dir)
	}
	return true
}

// runIn is the newest run directory in a folder; "" if there is none.
func runIn(folder string) string {
	plans, _ := filepath.Glob(filepath.Join(folder, "[0-9]*", results.PlanFile)) // the pattern is well formed
	if len(plans) == 0 {
		return ""
	}
	return filepath.Dir(slices.Max(plans))
}
