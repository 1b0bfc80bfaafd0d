package search

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"coup/checker/conduct"
	"coup/harness"
	"coup/harness/timeline"
	"coup/judge"
	"coup/workloads"
)

// Fingerprint says what went wrong in a few words without names and numbers, as close to
// its cause as can be told: runs that failed by the same defect shall have the same one,
// and those that failed by different ones shall not. It is "" for a run that is valid.
// dir is the directory of the run; without it, "", only the verdict is looked at.
//
// What clients were answered comes first: where a checker of answers found a violation,
// only that counts. It is told by the kind of the gravest anomaly (lost, duplicated, stale
// read, G1a, ...), by what the node that gave the contradicting answer was (the leader, one
// that was deposed and had not heard so, another one), and, for what was lost, by whether
// a fault was on at the node that acknowledged it. Otherwise the checker counts that is
// nearest to a cause: that a term went back before that two nodes led it, and that before
// that states differ. For what does not get done, such as operations that fail for good
// or a node that does not catch up, that says little: so the warnings and errors are
// added that the nodes' logs repeat at the end of the run, and what clients were told most
// often after everything was healed.
//
// So one defect has several fingerprints if clients saw several kinds of anomaly, and
// two defects have the same one if nothing told them apart, such as two ways in which an
// acknowledged write is lost in quiet.
func Fingerprint(v judge.Verdict, dir string) string {
	if v.Valid == harness.Valid {
		return ""
	}
	var worst []harness.Result
	for _, r := range v.Results {
		if r.Valid == v.Valid {
			worst = append(worst, r)
		}
	}
	slices.SortStableFunc(worst, func(a, b harness.Result) int { return nearness(a) - nearness(b) })
	if len(worst) == 0 {
		return v.Valid.String()
	}
	r := worst[0]
	h := historyOf(dir)
	if subjectOf(r) == harness.Answers && v.Valid == harness.Invalid {
		return answered(r, h)
	}
	// A promise that a person stated is broken by whatever breaks it: its name says it.
	if slices.Contains(evident, r.Checker) || strings.HasPrefix(r.Checker, "promise ") {
		return r.Checker
	}
	parts := []string{r.Checker + ": " + firstWords(r.Summary)}
	if r.Checker == (conduct.Liveness{}).Name() || r.Checker == (conduct.Finished{}).Name() {
		if told := toldMost(h); told != "" {
			parts = append(parts, "clients were told: "+told)
		}
	}
	if logged := complaints(dir, healedAt(h)); len(logged) > 0 {
		parts = append(parts, "the nodes' logs repeat: "+strings.Join(logged, " / "))
	}
	return strings.Join(parts, "; ")
}

// evident are the checkers whose name says it all, the nearest to a cause first.
var evident = []string{conduct.Terms{}.Name(), conduct.OneLeader{}.Name(), conduct.Deposed{}.Name(), conduct.Replicas{}.Name()}

// nearness puts what clients were answered first, and a checker of elements, which knows
// the kind of an anomaly, before the one that finds no order; sums tell less than
// elements. Then comes what is evident.
func nearness(r harness.Result) int {
	switch s := subjectOf(r); {
	case s == harness.Answers && baseOf(r) == "linearizable":
		return 2
	case s == harness.Answers && baseOf(r) == "counter":
		return 1
	case s == harness.Answers:
		return 0
	case s == harness.Conduct && r.Valid == harness.Invalid && slices.Contains(evident, r.Checker):
		return 3 + slices.Index(evident, r.Checker)
	case s == harness.Service:
		return 10
	case s == harness.Conduct:
		return 11
	default:
		return 12
	}
}

// baseOf is the name of the checker without the workload that it judges a part of: a
// defect is the same whether other workloads ran beside it.
func baseOf(r harness.Result) string {
	name, _ := workloads.Without(r.Checker)
	return name
}

// subjectOf is what the checker judges, also in verdicts that do not say so yet.
func subjectOf(r harness.Result) harness.Subject {
	switch {
	case r.Judges != "":
		return r.Judges
	case slices.Contains([]string{"liveness", "availability", "failovers"}, r.Checker):
		return harness.Service
	case slices.Contains([]string{"finished", "ran"}, r.Checker):
		return harness.TheTest
	case slices.Contains([]string{"deposed", "steady", "catch-up", "one-leader", "terms", "replicas", "alive"}, r.Checker):
		return harness.Conduct
	default:
		return harness.Answers
	}
}

func historyOf(dir string) *harness.History {
	if dir == "" {
		return nil
	}
	_, h, _, err := judge.Read(dir)
	if err != nil {
		return nil // what is there has to do
	}
	return h
}

// answered tells of what clients were answered.
func answered(r harness.Result, h *harness.History) string {
	kind := kindOf(r)
	c := r.Counterexample
	if c == nil || len(c.Witness) == 0 || h == nil {
		return baseOf(r) + ": " + kind
	}
	// Attempts that failed are only told of for the sake of completeness.
	witnesses := slices.DeleteFunc(slices.Clone(c.Witness), func(w harness.Witness) bool { return w.Type == harness.Fail })
	if len(witnesses) == 0 {
		return baseOf(r) + ": " + kind
	}
	// What contradicts the others was answered last.
	last := slices.MaxFunc(witnesses, func(a, b harness.Witness) int { return cmp.Compare(a.End, b.End) })
	parts := []string{baseOf(r) + ": " + kind}
	if role := roleAt(h, last.Node, time.Duration(last.End)); role != "" {
		parts = append(parts, "answered by "+role)
	}
	if strings.HasPrefix(kind, "lost") {
		parts = append(parts, "acknowledged "+underFault(h, witnesses))
	}
	return strings.Join(parts, ", ")
}

// kinds are the anomalies that the stories of histories without an order tell, by words of
// the claims of package story.
var kinds = []struct{ words, kind string }{
	{"Nobody had begun to", "read of what nobody had written"},
	{" both replaced ", "replaced twice"},
	{" both found ", "replaced twice"},
	{"more than once in what", "duplicated"},
	{" had come out ", "duplicated"},
	{" still there when ", "disordered"},
	{" found it empty", "hidden"},
	{"is missing in its answer", "lost or stale"},
	{" was gone", "stale"},
	{" no longer empty", "stale"},
}

// kindOf is the kind of the gravest anomaly.
func kindOf(r harness.Result) string {
	if what, counts, ok := strings.Cut(r.Summary, " went wrong: "); ok && (what == "Elements" || what == "Reads") {
		first, _, _ := strings.Cut(strings.TrimSuffix(gravestOf(counts), "."), " and ")
		return first
	}
	if _, names, ok := strings.Cut(r.Summary, ": "); ok && strings.HasPrefix(r.Summary, "Not ") && baseOf(r) == "transactions" {
		first, _, _ := strings.Cut(names, ",")
		first, _, _ = strings.Cut(first, ". ")
		first, _, _ = strings.Cut(strings.TrimSuffix(first, "."), " (")
		return generalise(first)
	}
	if c := r.Counterexample; c != nil {
		for _, k := range kinds {
			if slices.ContainsFunc(c.Story, func(line string) bool { return strings.Contains(line, k.words) }) {
				return k.kind
			}
		}
		if staleRead(c.Witness) {
			return "stale"
		}
		var did []string
		for _, w := range c.Witness {
			did = append(did, w.F)
		}
		if slices.Sort(did); len(did) > 0 {
			return "no order of " + strings.Join(slices.Compact(did), ", ")
		}
	}
	return firstWords(r.Summary)
}

// staleRead says that what was answered last was a read of a register that got an old
// value: whatever brought the value had ended before the read began. So it is, though no
// claim says it, where it takes a compare-and-set to know that another value came later.
func staleRead(ws []harness.Witness) bool {
	if len(ws) == 0 {
		return false
	}
	last := slices.MaxFunc(ws, func(a, b harness.Witness) int { return cmp.Compare(a.End, b.End) })
	got := string(last.Output)
	if last.F != "read" || got == "" || got[0] == '[' {
		return false
	}
	brought := false
	for _, w := range ws {
		to := string(w.Input)
		if w.F == "cas" {
			var cas []json.RawMessage
			if json.Unmarshal(w.Input, &cas) != nil || len(cas) != 2 {
				continue
			}
			to = string(cas[1])
		}
		if (w.F == "write" || w.F == "cas") && to == got {
			if w.End < 0 || w.End >= last.Start {
				return false
			}
			brought = true
		}
	}
	return brought
}

// gravestOf picks of "4 lost, 10 duplicated" the gravest: what is there too often shows
// more of its cause than what is missing.
func gravestOf(counts string) string {
	for _, kind := range []string{"unexpected", "duplicated", "disordered", "high", "low", "backward", "hidden", "lost", "stale"} {
		if strings.Contains(counts, kind) {
			return kind
		}
	}
	return generalise(counts)
}

// roleAt says what a node was at a moment: the leader of the newest term, one that led and
// had not heard of a newer leader, or another one; "" if nobody knows who led.
func roleAt(h *harness.History, node string, at time.Duration) string {
	if h.ShardOf != nil {
		return "" // each shard has a leader
	}
	var newest timeline.Reign
	led := time.Duration(-1) // when its last reign began
	for _, r := range timeline.Reigns(h) {
		if r.From > at {
			continue
		}
		if r.Term >= newest.Term {
			newest = r
		}
		if r.Node == node {
			led = r.From
		}
	}
	switch {
	case newest.Node == "" || node == "":
		return ""
	case newest.Node == node:
		return "the leader"
	case led < 0:
		return "another node than the leader"
	}
	for _, e := range h.Events {
		if e.Node == node && e.Time > led && e.Time <= at && (e.Kind == harness.BootEvent || e.Kind == harness.LeaderEvent && e.Leader != "" && e.Leader != node) {
			return "another node than the leader"
		}
	}
	return "a deposed leader"
}

// underFault says whether what the first write of a counterexample was acknowledged by a
// node that a fault had hit.
func underFault(h *harness.History, ws []harness.Witness) string {
	first := slices.MinFunc(ws, func(a, b harness.Witness) int { return cmp.Compare(a.Start, b.Start) })
	for _, f := range timeline.Faults(h, timeline.LastEvent(h)) {
		if f.Missed == "" && f.Touches(first.Node) && int64(f.Start) <= first.End && int64(f.End) >= first.Start {
			return "under a fault"
		}
	}
	return "in quiet"
}

// healedAt is when everything was healed; -1 if that never was.
func healedAt(h *harness.History) time.Duration {
	if h != nil {
		for _, e := range h.Events {
			if e.Enters(harness.PhaseServe) {
				return e.Time
			}
		}
	}
	return -1
}

// toldMost is what clients were told most often after everything was healed, or "".
func toldMost(h *harness.History) string {
	if h == nil {
		return ""
	}
	healed := healedAt(h)
	n := map[string]int{}
	for i := range h.Operations {
		if op := &h.Operations[i]; healed >= 0 && op.Start >= healed && op.Error != "" {
			n[generaliseError(op.Error)]++
		}
	}
	return mostOf(n)
}

// generaliseError takes what an error was wrapped in away: the name of the node, and what
// became of the operation.
func generaliseError(s string) string {
	if i := strings.LastIndex(s, ": "); i >= 0 {
		s = s[i+2:]
	}
	return generalise(quotes.ReplaceAllString(s, "#"))
}

func mostOf(n map[string]int) string {
	if len(n) == 0 {
		return ""
	}
	return slices.MaxFunc(slices.Sorted(maps.Keys(n)), func(a, b string) int { return n[a] - n[b] })
}

// How the logs of the nodes are read.
const (
	logTail     = 256 << 10        // of each log, in bytes
	logWindow   = 10 * time.Second // before the last line, if nobody knows when all was healed
	logSettles  = 3 * time.Second  // after healing, in which complaints of before may go on
	logRepeats  = 8                // less often is no complaint that repeats
	logMost     = 2                // complaints that are told
	logSharePer = 4                // a complaint that is rarer than the first by this is left out
)

var (
	logLine  = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-][\d:]+))\s+\[(WARN|ERROR|INFO|DEBUG|TRACE)\]\s+(?:\S+?:\s+)?(.*)$`)
	logField = regexp.MustCompile(`\s*\b[\w -]*=("[^"]*"|\S*).*$`)
	quotes   = regexp.MustCompile(`"[^"]*"`)
)

// complaints are the warnings and errors that the logs of the nodes repeat after healing,
// without what differs from line to line; in the order of the alphabet. The first line of
// all logs is taken for the start of the run.
func complaints(dir string, healed time.Duration) []string {
	if dir == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "nodes", "*.log"))
	if err != nil {
		return nil
	}
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	var start, end time.Time
	for _, name := range files {
		head, tail := endsOf(name)
		for text := range strings.Lines(head) {
			if m := logLine.FindStringSubmatch(strings.TrimSpace(text)); m != nil {
				if at, err := time.Parse(time.RFC3339Nano, m[1]); err == nil && (start.IsZero() || at.Before(start)) {
					start = at
				}
				break
			}
		}
		for text := range strings.Lines(tail) {
			m := logLine.FindStringSubmatch(strings.TrimSpace(text))
			if m == nil {
				continue
			}
			at, err := time.Parse(time.RFC3339Nano, m[1])
			if err != nil {
				continue
			}
			if at.After(end) {
				end = at
			}
			if m[2] == "WARN" || m[2] == "ERROR" {
				words := strings.TrimSuffix(strings.TrimSpace(logField.ReplaceAllString(m[3], "")), ":")
				lines = append(lines, line{at, generalise(quotes.ReplaceAllString(words, "#"))})
			}
		}
	}
	from := end.Add(-logWindow)
	if healed >= 0 {
		from = start.Add(healed + logSettles)
	}
	n := map[string]int{}
	for _, l := range lines {
		if !l.at.Before(from) {
			n[l.text]++
		}
	}
	most := n[mostOf(n)]
	var told []string
	for _, text := range slices.SortedFunc(maps.Keys(n), func(a, b string) int { return cmp.Or(n[b]-n[a], strings.Compare(a, b)) }) {
		if n[text] >= logRepeats && n[text]*logSharePer >= most && len(told) < logMost {
			told = append(told, text)
		}
	}
	slices.Sort(told)
	return told
}

// endsOf are the first bytes of a file and its end, from the beginning of a line on;
// "" if it can't be read.
func endsOf(name string) (head, tail string) {
	f, err := os.Open(name)
	if err != nil {
		return "", ""
	}
	defer f.Close()
	begin := make([]byte, 4<<10)
	n, err := io.ReadFull(f, begin)
	if err != nil && err != io.ErrUnexpectedEOF {
		return "", ""
	}
	at := int64(0)
	if info, err := f.Stat(); err == nil {
		at = max(0, info.Size()-logTail)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, at, logTail))
	if err != nil {
		return "", ""
	}
	tail = string(b)
	if at > 0 {
		_, tail, _ = strings.Cut(tail, "\n")
	}
	return string(begin[:n]), tail
}

func firstWords(summary string) string {
	summary, _, _ = strings.Cut(summary, ". ")
	summary, _, _ = strings.Cut(summary, ": ")
	return generalise(strings.TrimSuffix(summary, "."))
}

var (
	lists   = regexp.MustCompile(`#(, #)+( and #)?|# and #`)
	figures = regexp.MustCompile(`\b[a-z]{0,2}\d[\w.,%]*|\b\d[\w.,%]*`)
)

// generalise puts # for everything with a digit in it, and for lists of them.
func generalise(s string) string {
	return lists.ReplaceAllString(figures.ReplaceAllStringFunc(s, func(f string) string {
		return "#" + f[len(strings.TrimRight(f, ",.")):]
	}), "#")
}
