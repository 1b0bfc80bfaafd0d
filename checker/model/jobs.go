package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"coup/harness"
)

// JobSeen is what a look shows of a job.
type JobSeen struct {
	Job     int64  `json:"job"`
	State   string `json:"state,omitempty"` // waiting, running, finished or failed, as the system says; "": it says nothing
	Effects int    `json:"effects"`         // how often it had its effect
}

// JobsSeen is the output of a look at jobs.
type JobsSeen struct {
	Jobs []JobSeen `json:"jobs"` // each once
	Busy int       `json:"busy"` // jobs that wait or run
}

// Of is what is shown of a job; ok is false if nothing is.
func (s JobsSeen) Of(job int64) (seen JobSeen, ok bool) {
	for _, j := range s.Jobs {
		if j.Job == job {
			return j, true
		}
	}
	return JobSeen{Job: job}, false
}

// String writes the jobs for people.
func (s JobsSeen) String() string {
	const most = 6
	var words []string
	for i, j := range s.Jobs {
		if i == most {
			words = append(words, fmt.Sprintf("... (%d jobs)", len(s.Jobs)))
			break
		}
		text := fmt.Sprintf("%d: %d×", j.Job, j.Effects)
		if j.State != "" {
			text += " " + j.State
		}
		words = append(words, text)
	}
	return strings.Join(append(words, fmt.Sprintf("%d busy", s.Busy)), ", ")
}

// DecodeJobs is the [harness.Decoder] of jobs: submit takes the number of a job, look
// returns [JobsSeen].
func DecodeJobs(t harness.Type, f string, raw json.RawMessage) (any, error) {
	seen := func(raw json.RawMessage) (any, error) {
		var s JobsSeen
		if err := json.Unmarshal(raw, &s); err != nil || s.Jobs == nil || s.Busy < 0 {
			return nil, fmt.Errorf(`expected {"jobs": [{"job": number, "effects": number}, ...], "busy": number}, not %s`, short(raw))
		}
		there := map[int64]bool{}
		for _, j := range s.Jobs {
			if there[j.Job] || j.Effects < 0 {
				return nil, fmt.Errorf("job %d is there twice, or had less than no effect", j.Job)
			}
			if !slices.Contains([]string{"", "waiting", "running", "finished", "failed"}, j.State) {
				return nil, fmt.Errorf("job %d is %q, which is neither waiting, running, finished nor failed", j.Job, j.State)
			}
			there[j.Job] = true
		}
		return s, nil
	}
	return decode(t, f, raw, "a system that runs jobs", function{"submit", anInt, nothing}, function{"look", nothing, seen})
}

// Jobs is how operations on jobs are told; it has no Step, since jobs are judged one by one.
func Jobs() Model {
	return Model{Name: "jobs", Decode: DecodeJobs, ReadOnly: func(op *harness.Operation) bool { return op.F == "look" }}
}
