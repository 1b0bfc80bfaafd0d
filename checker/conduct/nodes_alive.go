package conduct

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"coup/checker/story"
	"coup/harness"
)

// Alive checks that no node's process ended by itself. If one did, the run is unknown:
// the reason may be the system, or the machine that it ran on.
type Alive struct{}

// Name implements [harness.Checker].
func (Alive) Name() string { return "alive" }

// Judges implements [harness.Judging].
func (Alive) Judges() harness.Subject { return harness.Conduct }

// Check implements [harness.Checker].
func (Alive) Check(ctx context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: "alive", Valid: harness.Valid, Summary: "No node ended by itself."}
	ends := map[string]int{}
	var first *harness.Event
	for i, e := range h.Events {
		if e.Kind == harness.ExitEvent {
			ends[e.Node]++
			if first == nil {
				first = &h.Events[i]
			}
		}
	}
	if first == nil {
		return r, nil
	}
	var each []string
	for _, node := range slices.Sorted(maps.Keys(ends)) {
		each = append(each, fmt.Sprintf("%s %s", node, story.Times(ends[node])))
	}
	r.Valid = harness.Unknown
	r.Summary = fmt.Sprintf("Nodes ended by themselves: %s; the first was %s at %s: %s.",
		strings.Join(each, ", "), first.Node, story.Seconds(first.Time), first.Message)
	return r, nil
}
