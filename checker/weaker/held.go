package weaker

import (
	"context"
	"fmt"
	"strings"

	"coup/checker/story"
	"coup/harness"
)

// Held measures how old the values were that reads of registers showed, and tells which
// promises weaker than linearizability they kept all the same. It is for systems whose
// reads may be stale, and judges nothing: its result is valid, or unknown. Its Details
// are [HeldDetails].
type Held struct{}

// HeldDetails are the Details of [Held].
type HeldDetails struct {
	Staleness StalenessDetails `json:"staleness"`
	Kept      []string         `json:"kept"`      // sequential, and guarantees of [Sessions]
	Broken    []string         `json:"broken"`    // of them
	Undecided []string         `json:"undecided"` // of them
}

// Name implements [harness.Checker].
func (Held) Name() string { return "reads" }

// Judges implements [harness.Judging]: it measures, as those of service do.
func (Held) Judges() harness.Subject { return harness.Service }

// Check implements [harness.Checker].
func (c Held) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: c.Name(), Valid: harness.Unknown}
	old, err := Staleness{}.Check(ctx, h)
	if err != nil {
		return r, err
	}
	sequential, err := Sequential{}.Check(ctx, h)
	if err != nil {
		return r, err
	}
	sessions, err := Sessions{}.Check(ctx, h)
	if err != nil {
		return r, err
	}
	d := HeldDetails{Kept: []string{}, Broken: []string{}, Undecided: []string{}}
	d.Staleness, _ = old.Details.(StalenessDetails)
	told, _ := sessions.Details.(SessionDetails)
	put := func(name string, v harness.Validity) {
		switch v {
		case harness.Valid:
			d.Kept = append(d.Kept, name)
		case harness.Invalid:
			d.Broken = append(d.Broken, name)
		default:
			d.Undecided = append(d.Undecided, name)
		}
	}
	put("sequential consistency", sequential.Valid)
	for _, g := range Guarantees() {
		switch {
		case told.broke(g):
			put(g, harness.Invalid)
		case sessions.Valid == harness.Unknown || len(told.Left) > 0:
			put(g, harness.Unknown)
		default:
			put(g, harness.Valid)
		}
	}
	r.Details = d
	if old.Valid == harness.Unknown {
		r.Summary = old.Summary
		return r, nil
	}
	r.Valid = harness.Valid
	switch s := d.Staleness; {
	case s.Reads == 0:
		r.Summary = "No read succeeded."
	case s.Stale == 0:
		r.Summary = fmt.Sprintf("Of %s, none showed for certain what an earlier write had replaced.", story.Plural(s.Reads, "read"))
	default:
		r.Summary = fmt.Sprintf("%d of %s showed an old value: at most %s and %s old, half of them no more than %s.",
			s.Stale, story.Plural(s.Reads, "read"), story.Seconds(s.MaxTime), story.Plural(s.MaxVersions, "version"), story.Seconds(s.Half))
	}
	for _, part := range []struct {
		says string
		of   []string
	}{{"Kept", d.Kept}, {"Broken", d.Broken}, {"Not decided", d.Undecided}} {
		if len(part.of) > 0 {
			r.Summary += fmt.Sprintf(" %s: %s.", part.says, strings.Join(part.of, ", "))
		}
	}
	return r, nil
}
