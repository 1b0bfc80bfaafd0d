package report

import (
	"encoding/json"
	"time"

	"coup/harness"
)

// The report reads the details of the checkers it knows in the form in which
// they are stored, whether they come from the checker or from verdict.json.

type failoverDetails struct {
	Failovers []failover `json:"failovers"`
}

// failover is one change of leader; the phases count from At and are -1 where they cannot be told.
type failover struct {
	Cause    string        `json:"cause"`
	FaultID  int           `json:"fault_id"`
	Fault    string        `json:"fault"`
	Target   string        `json:"target"`
	Old      string        `json:"old"`
	OldTerm  uint64        `json:"old_term"`
	New      string        `json:"new"`
	Term     uint64        `json:"term"`
	At       time.Duration `json:"at"`
	Held     time.Duration `json:"held"`
	Detected time.Duration `json:"detected"`
	Elected  time.Duration `json:"elected"`
	Served   time.Duration `json:"served"`
}

type availabilityDetails struct {
	Start      time.Duration       `json:"start"`
	End        time.Duration       `json:"end"`
	LongestGap gap                 `json:"longest_gap"`
	Faults     []faultAvailability `json:"faults"`
}

type gap struct {
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
}

func (g gap) Length() time.Duration { return g.To - g.From }

type faultAvailability struct {
	ID         int `json:"id"`
	OK         int `json:"ok"`
	Fail       int `json:"fail"`
	Info       int `json:"info"`
	LongestGap gap `json:"longest_gap"`
}

// details reads the details of the named checker into v and says whether they are there.
func details(results []harness.Result, checker string, v any) bool {
	for _, r := range results {
		if r.Checker != checker || r.Details == nil {
			continue
		}
		b, err := json.Marshal(r.Details)
		return err == nil && json.Unmarshal(b, v) == nil
	}
	return false
}

// prettyDetails are the details of a checker as text, at most limit bytes of it.
func prettyDetails(d any, limit int) string {
	if d == nil {
		return ""
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return "cannot be shown: " + err.Error()
	}
	if len(b) > limit {
		return string(b[:limit]) + "\n… " + count(len(b)-limit) + " more bytes in verdict.json"
	}
	return string(b)
}
