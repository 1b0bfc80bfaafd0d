package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"coup/checker/conduct"
)

// failoverStep is one line of a failover as it went.
type failoverStep struct {
	Number int           // of the five steps; 0: none of them
	At     time.Duration // -1: never
	After  string        // from the cause on, with its sign
	Text   string
}

// steps are a failover moment by moment, in the order in which they came. unheard and unaware
// tell of nodes that are missing among those that heard the old leader and learned of the new one.
func steps(f conduct.Failover, label string, unheard, unaware []string) (all []failoverStep) {
	add := func(number int, after time.Duration, format string, args ...any) {
		sign := "+"
		if after < 0 {
			sign = "−"
		}
		all = append(all, failoverStep{number, f.At + after, sign + millis(max(after, -after)), fmt.Sprintf(format, args...)})
	}
	term := func(t uint64) string {
		if t == 0 {
			return ""
		}
		return fmt.Sprintf(" in term %d", t)
	}
	switch cause := strings.ToUpper(label[:1]) + label[1:]; f.Cause {
	case conduct.CauseFault:
		add(0, 0, "%s: it hits %s, which leads%s", cause, f.Old, term(f.OldTerm))
	case conduct.CauseHeal:
		add(0, 0, "A node calls for an election after the %s, while %s leads%s", label, f.Old, term(f.OldTerm))
	}
	for _, b := range f.Heartbeats {
		add(1, b.After, "%s received the last heartbeat of %s%s%s", b.Node, f.Old, apart(b.Before), silent(b, f.New))
	}
	what := "a heartbeat of its leader"
	if len(f.Heartbeats) > 0 {
		what = "anything of its leader, a heartbeat or entries,"
	}
	told := map[string]bool{}
	for _, c := range f.Called {
		if c.Silence > 0 && c.Node != f.Old && !told[c.Node] { // that was its own leader
			add(1, c.After-c.Silence, "%s heard %s for the last time before it called for an election", c.Node, what)
		}
		told[c.Node] = true
		vain := ""
		if f.InVain(c) {
			vain = ", in vain"
		}
		add(2, c.After, "%s called for an election%s%s", c.Node, term(c.Term), vain)
	}
	add(3, max(f.Elected, 0), "%s was elected%s", f.New, term(f.Term)) // without a cause, times count from here
	for _, n := range f.Noticed {
		who := n.Node
		if who == f.Old {
			who += ", the old leader,"
		}
		add(4, n.After, "%s learned that %s leads", who, f.New)
	}
	switch {
	case f.Served >= 0 && f.Later:
		add(0, f.Served, "The first operation of a client succeeded, when yet another leader had been elected")
	case f.Served >= 0:
		add(0, f.Served, "The first operation of a client succeeded with the new leader")
	}
	if f.Handed >= 0 {
		add(5, f.Handed, "Work that another client had, or that waited in a queue, was first given out again")
	}
	if f.Drained >= 0 {
		add(5, f.Drained, "The last message that had waited was given to a client")
	}
	slices.SortStableFunc(all, func(a, b failoverStep) int { return int(a.At - b.At) })
	never := func(number int, texts []string) (missing []failoverStep) {
		for _, text := range texts {
			missing = append(missing, failoverStep{number, -1, "–", text})
		}
		return missing
	}
	return slices.Concat(never(1, unheard), all, never(4, unaware))
}
