// Package promise judges runs by promises in figures that a person states: that outages
// are short, that operations are fast, that there are no needless elections. Start with
// [Parse].
//
//	p, err := promise.Parse("gap<5s")
//	result, err := p.Check(ctx, history)
//
// A promise is written as METRIC OPERATOR BOUND. "/fault" behind the bound means: for each
// fault. "after healing" means: only while nothing is broken.
//
//	gap<5s                       the longest time in which clients asked and no operation succeeded
//	p99<200ms, max<2s            the latency of operations that succeeded; any percentile
//	read p99.9<1s                the same of one function
//	ok>=99%, read ok>=90%        the share of operations that succeeded
//	throughput>=100/s            operations that succeeded in a second, on average
//	handout p99<8s               from a fault that hit the leader until a task or message that was there before is given to a client again
//	failover max<3s              from a fault that hit the leader to the next success elsewhere; any percentile
//	elections<=2/fault           calls for an election, from a fault to the next one
//	leaders<=1/fault             changes of leader, likewise
//	leaderless<5s after healing  how long a node knew of no leader
//	heartbeat p99<300ms          from one heartbeat of a leader to its next, as followers received them; any percentile
//	missed heartbeats<=0         how many were missed in these intervals: go doc coup/harness MissedHeartbeats
//	lag<2s after healing         how long a node was behind the newest position of the log
package promise

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"coup/checker/story"
	"coup/harness"
	"coup/harness/timeline"
)

// Promise is a bound on something that is measured in a run. It is a [harness.Checker].
type Promise struct {
	text     string
	function string // of operations: only this one; "": all
	metric   *metric
	quantile float64 // of a distribution
	operator string
	bound    float64 // in the metric's unit
	perFault bool
	healed   bool
}

// metric is something that can be promised.
type metric struct {
	name     string
	unit     unit
	quantile bool          // it is a distribution
	function bool          // it is of operations
	perFault bool          // it can be for each fault
	healed   bool          // it can be for the time in which nothing is broken
	needs    harness.Facts // what nodes must tell
	measure  func(p Promise, h *harness.History) (measured, error)
}

// measured is what came out: the worst value, in the metric's unit, and sentences that
// tell where it was. text describes all of it when the promise was kept.
type measured struct {
	value float64
	text  string
	story []string
}

// errNothing says that there was nothing to measure.
var errNothing = errors.New("nothing to measure")

// metrics are all that can be promised, those with the longest names first.
func metrics() []metric {
	return []metric{
		{name: "missed heartbeats", unit: number, healed: true, needs: harness.Facts{harness.HeartbeatFact}, measure: missedHeartbeats},
		{name: "heartbeat", unit: seconds, quantile: true, healed: true, needs: harness.Facts{harness.HeartbeatFact}, measure: heartbeat},
		{name: "lag", unit: seconds, healed: true, needs: harness.Facts{harness.Position}, measure: lag},
		{name: "leaderless", unit: seconds, healed: true, needs: harness.Facts{harness.Leader}, measure: leaderless},
		{name: "throughput", unit: perSecond, function: true, measure: throughput},
		{name: "elections", unit: number, perFault: true, needs: harness.Facts{harness.Events}, measure: elections},
		{name: "failover", unit: seconds, quantile: true, needs: harness.Facts{harness.Leader}, measure: failover},
		{name: "handout", unit: seconds, quantile: true, needs: harness.Facts{harness.Leader}, measure: handout},
		{name: "leaders", unit: number, perFault: true, needs: harness.Facts{harness.Leader}, measure: leaders},
		{name: "gap", unit: seconds, function: true, measure: gap},
		{name: "ok", unit: percent, function: true, measure: share},
		{name: "", unit: seconds, quantile: true, function: true, measure: latency},
	}
}

var form = regexp.MustCompile(`^\s*([^<>=]*?)\s*(<=|>=|<|>)\s*([0-9][^ /]*)(/fault|/s)?(\s+after healing)?\s*$`)

var quantiles = regexp.MustCompile(`^(?:p([0-9]+(?:\.[0-9]+)?)|max|median)$`)

// Parse reads a promise. Its error says what there is.
func Parse(text string) (Promise, error) {
	p := Promise{text: strings.Join(strings.Fields(text), " ")}
	fail := func(format string, args ...any) (Promise, error) {
		return Promise{}, fmt.Errorf("promise %q: %s", text, fmt.Sprintf(format, args...))
	}
	m := form.FindStringSubmatch(text)
	if m == nil {
		return fail("it must be METRIC, one of < <= > >=, and a bound, e.g. gap<5s, p99<200ms, elections<=1/fault")
	}
	words := strings.Fields(m[1])
	p.operator, p.perFault, p.healed = m[2], m[4] == "/fault", m[5] != ""
	// The words are [FUNCTION] [NAME] [QUANTILE].
	named := ""
	if n := len(words); n > 0 {
		if q := quantiles.FindStringSubmatch(words[n-1]); q != nil {
			named = words[n-1]
			switch {
			case named == "max":
				p.quantile = 1
			case named == "median":
				p.quantile = 0.5
			default:
				f, err := strconv.ParseFloat(q[1], 64)
				if err != nil || f <= 0 || f > 100 {
					return fail("a percentile is between p0 and p100, not %s", named)
				}
				p.quantile = f / 100
			}
			words = words[:n-1]
		}
	}
	all := metrics()
	for i := range all {
		name := strings.Fields(all[i].name)
		if n := len(words) - len(name); n >= 0 && slices.Equal(words[n:], name) {
			p.metric, words = &all[i], words[:n]
			break
		}
	}
	if len(words) == 1 && p.metric.function {
		p.function, words = words[0], nil
	}
	switch {
	case len(words) > 0 || p.metric.name == "" && named == "":
		return fail("there is no metric %q; there are gap, p99 (any percentile, median, max), ok, throughput, failover p99, handout p99, elections, leaders, leaderless, heartbeat p99, missed heartbeats, lag", m[1])
	case p.metric.quantile && named == "":
		return fail("say which: %s max, %s median, %s p99", p.metric.name, p.metric.name, p.metric.name)
	case !p.metric.quantile && named != "":
		return fail("%s has no percentiles", p.metric.name)
	case p.perFault && !p.metric.perFault:
		return fail("%s is not for each fault", m[1])
	case p.healed && !p.metric.healed:
		return fail("%s is not for the time after healing alone", m[1])
	case p.metric.unit == perSecond && m[4] != "/s":
		return fail("say how many a second: %s%s%s/s", m[1], m[2], m[3])
	case p.metric.unit != perSecond && m[4] == "/s":
		return fail("%s is no number for each second", m[1])
	}
	bound, err := p.metric.unit.parse(m[3])
	if err != nil {
		return fail("%v", err)
	}
	p.bound = bound
	return p, nil
}

func (p Promise) String() string { return p.text }

// Name implements [harness.Checker].
func (p Promise) Name() string { return "promise " + p.text }

// Judges implements [harness.Judging].
func (Promise) Judges() harness.Subject { return harness.Service }

// Needs are the facts that nodes must tell.
func (p Promise) Needs() harness.Facts { return p.metric.needs }

// Details are what [Promise.Check] tells beside the verdict.
type Details struct {
	Promise  string  `json:"promise"`
	Measured float64 `json:"measured"` // seconds, a share from 0 to 1, or a number
	Bound    float64 `json:"bound"`    // in the same unit
}

// Check implements [harness.Checker]. A run in which there was nothing to measure is
// not judged. On a machine that was overloaded ([timeline.Overloaded]), a promise that was
// not kept is unknown.
func (p Promise) Check(_ context.Context, h *harness.History) (harness.Result, error) {
	r := harness.Result{Checker: p.Name(), Valid: harness.Valid}
	m, err := p.metric.measure(p, h)
	if errors.Is(err, errNothing) {
		r.Valid, r.Summary = harness.NotJudged, fmt.Sprintf("%s was promised, and there was nothing to measure: %s.", p.text, strings.TrimPrefix(err.Error(), errNothing.Error()+": "))
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Details = Details{Promise: p.text, Measured: m.value, Bound: p.bound}
	r.Summary = fmt.Sprintf("%s was promised, and it was %s%s.", p.text, p.metric.unit.text(m.value), m.text)
	if p.holds(m.value) {
		return r, nil
	}
	from, to := timeline.Load(h)
	if why := timeline.Overload(h, timeline.Stretch{From: from, To: to}); why != "" {
		r.Unproved(why)
		return r, nil
	}
	r.Valid = harness.Invalid
	r.Counterexample = &harness.Counterexample{Witness: []harness.Witness{}, Story: append(m.story,
		fmt.Sprintf("%s was promised.", p.text))}
	return r, nil
}

func (p Promise) holds(v float64) bool {
	switch p.operator {
	case "<":
		return v < p.bound
	case "<=":
		return v <= p.bound
	case ">":
		return v > p.bound
	default:
		return v >= p.bound
	}
}

// worst is the value that a quantile of a distribution has: the smallest one that at
// least that share of the values does not exceed (nearest rank).
func (p Promise) worst(sorted []time.Duration) time.Duration {
	rank := int(math.Ceil(p.quantile * float64(len(sorted))))
	return sorted[max(0, min(rank, len(sorted))-1)]
}

// unit is what a value is counted in.
type unit int

const (
	seconds unit = iota
	percent
	perSecond
	number
)

func (u unit) parse(s string) (float64, error) {
	switch u {
	case seconds:
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("%q is no length of time (e.g. 5s, 200ms)", s)
		}
		return d.Seconds(), nil
	case percent:
		f, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
		if err != nil || !strings.HasSuffix(s, "%") || f > 100 {
			return 0, fmt.Errorf("%q is no share (e.g. 99%%)", s)
		}
		return f / 100, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", s)
	}
	return f, nil
}

func (u unit) text(v float64) string {
	switch u {
	case seconds:
		return story.Seconds(time.Duration(v * float64(time.Second)))
	case percent:
		return fmt.Sprintf("%.2f%%", 100*v)
	case perSecond:
		return fmt.Sprintf("%.1f/s", v)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// sortDurations sorts in place and returns what it sorted.
func sortDurations(all []time.Duration) []time.Duration {
	slices.Sort(all)
	return all
}
