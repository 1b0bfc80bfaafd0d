package timeline

import (
	"maps"
	"slices"

	"coup/harness"
)

// Shard is the part of a run that is about one log.
type Shard struct {
	Number           int // from 1 on; 0: nodes hold one log, and this is the whole run
	*harness.History     // its operations, and its events beside those that are about all logs
}

// Shards returns a run in which nodes hold several logs, each with leaders, terms and
// positions of its own, as one history for each log, by number. Any other run comes back
// as it is. Operations on no object belong to no shard, and none does where nobody knows
// which one holds what.
func Shards(h *harness.History) []Shard {
	numbers := map[int]bool{}
	for _, e := range h.Events {
		if e.Shard > 0 && e.Node != "" {
			numbers[e.Shard] = true
		}
	}
	if len(numbers) == 0 {
		return []Shard{{0, h}}
	}
	var all []Shard
	for _, number := range slices.Sorted(maps.Keys(numbers)) {
		one := &harness.History{Nodes: h.Nodes, Tells: h.Tells}
		for _, e := range h.Events {
			// A fault hits a node whatever it was aimed at.
			if e.Shard == 0 || e.Shard == number || e.Node == "" {
				one.Events = append(one.Events, e)
			}
		}
		for _, op := range h.Operations {
			if op.Key != "" && h.ShardOf != nil && h.ShardOf(op.Key) == number {
				one.Operations = append(one.Operations, op)
			}
		}
		all = append(all, Shard{number, one})
	}
	return all
}
