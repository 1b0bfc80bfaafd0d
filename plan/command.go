package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Command is the command line that runs the plan again. Values that are the
// defaults are left out.
func (p Plan) Command() string {
	d := Default()
	args := []string{"coup", "run"}
	if p.Own == nil {
		args = append(args, "--system", p.System)
	}
	add := func(differs bool, name string, value any) {
		if differs {
			args = append(args, "--"+name, shellQuote(fmt.Sprint(value)))
		}
	}
	add(p.Own != nil, "compose", p.Compose)
	add(p.Own != nil, "client", p.Client)
	add(p.Leader != "", "leader", p.Leader)
	add(true, "workload", p.Workload)
	add(p.Backend != d.Backend, "backend", p.Backend)
	add(p.Version != "", "system-version", p.Version)
	add(p.Image != "", "image", p.Image)
	add(p.Consistency != "", "consistency", p.Consistency)
	add(p.Bug != "", "bug", p.Bug)
	add(p.Reads != d.Reads, "reads", p.Reads)
	for _, k := range slices.Sorted(maps.Keys(p.Settings)) {
		add(true, "set", k+"="+p.Settings[k])
	}
	add(true, "nemesis", strings.Join(p.Nemesis, ","))
	add(p.Interval != 0, "interval", p.Interval)
	add(p.Own == nil, "nodes", p.Nodes)
	add(true, "time", p.Time)
	add(true, "concurrency", p.Concurrency)
	add(p.Arrivals == "", "rate", p.Rate)
	add(p.Arrivals != "", "arrivals", p.Arrivals)
	add(p.Timeout != d.Timeout, "timeout", p.Timeout)
	add(p.Keys != d.Keys, "keys", p.Keys)
	add(p.OpsPerKey != d.OpsPerKey, "ops-per-key", p.OpsPerKey)
	add(p.PauseEvery != 0, "pause-every", p.PauseEvery)
	add(p.PauseFor != 0, "pause-for", p.PauseFor)
	for _, promise := range p.Promises {
		add(true, "promise", promise)
	}
	if p.FailFast {
		args = append(args, "--fail-fast")
	}
	if p.Capture > 0 {
		args = append(args, fmt.Sprintf("--capture=%d", p.Capture))
	}
	add(p.ServeWithin != d.ServeWithin, "serve-within", p.ServeWithin)
	add(p.CheckTime != d.CheckTime, "check-time", p.CheckTime)
	add(p.CheckMemory != d.CheckMemory, "check-memory", p.CheckMemory)
	add(true, "seed", p.Seed)
	return strings.Join(args, " ")
}

// Again is the command that runs again what was run and is in the directory dir.
func (s Stored) Again(dir string) string { return s.withNode(s.Plan.again(dir)) }

// TraceCommand is the command that runs it again and traces it.
func (s Stored) TraceCommand(dir string) string {
	return s.withNode("coup replay " + shellQuote(dir) + " --trace")
}

// withNode is a command with the program that the nodes ran, if it was named.
func (s Stored) withNode(command string) string {
	if s.Node != "" {
		command += " --node " + shellQuote(s.Node)
	}
	return command
}

// again is the command that runs the plan of a run again: with flags, if these draw the
// same schedule and operations; otherwise with the stored plan, because the schedule or
// the operations were shrunk or written by hand.
func (p Plan) again(dir string) string {
	if !p.Drawn() {
		return "coup replay " + shellQuote(dir)
	}
	return p.Command()
}

// Drawn reports whether the schedule and the operations of a plan are those that its
// flags draw, and were not shrunk or written by hand.
func (p Plan) Drawn() bool {
	if p.Operations != nil || p.Own != nil && p.Compose == "" {
		return false
	}
	drawn := p
	drawn.Schedule, drawn.Nemesis = nil, slices.Clone(p.Nemesis)
	return drawn.Resolve() == nil && (p.Schedule == nil || slices.Equal(drawn.Schedule, p.Schedule))
}

// shellQuote quotes s for a shell if it needs it.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=:,./+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
