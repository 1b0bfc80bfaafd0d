package report

import (
	"encoding/json"

	"coup/harness"
)

// details reads the details of the named checker into v, of the checker's own type, and
// says whether they are there. They may come from the checker or from verdict.json.
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
