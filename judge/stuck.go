package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"coup/harness"
	"coup/results"
)

// Stuck judges what was recorded of a run until the program of a simulated node was found
// to be in an endless loop.
func Stuck(ctx context.Context, dir, node string, after time.Duration) (Verdict, error) {
	name := filepath.Join(dir, results.EventsFile)
	events, err := os.ReadFile(name)
	if err != nil {
		return Verdict{}, err
	}
	// A line that was not finished is cut off: another one follows it.
	events = events[:bytes.LastIndexByte(events, '\n')+1]
	at := time.Duration(0)
	for line := range bytes.Lines(events) {
		var e harness.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return Verdict{}, fmt.Errorf("%s: %w", name, err)
		}
		at = max(at, e.Time)
	}
	stuck, err := json.Marshal(harness.Event{Time: at, Kind: harness.StuckEvent, Node: node,
		Message: fmt.Sprintf("The program of %s computed for %v and waited for nothing: it loops for ever", node, after)})
	if err != nil {
		return Verdict{}, err
	}
	if err := os.WriteFile(name, append(append(events, stuck...), '\n'), 0o644); err != nil {
		return Verdict{}, err
	}
	return Judge(ctx, dir)
}
