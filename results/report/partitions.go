package report

import (
	"strings"

	"coup/checker/conduct"
	"coup/harness"
)

// partitionTable is what each side of each partition kept.
type partitionTable struct {
	Summary string
	Rows    []partitionRow
}

// partitionRow is one side of a partition.
type partitionRow struct {
	conduct.Partition
	conduct.Side
	Label         string
	First         bool // of its partition
	Span          int  // sides of its partition
	Who           string
	CanRead       conduct.Kept
	CanUpdate     conduct.Kept
	Read, Updated string // counts
	Wrong         bool
}

func (t *partitionTable) fill(results []harness.Result) {
	var d conduct.PartitionDetails
	name := conduct.Partitions{}.Name()
	details(results, name, &d)
	for _, r := range results {
		if r.Checker == name {
			t.Summary = r.Summary
		}
	}
	for _, p := range d.Partitions {
		for i, s := range p.Sides {
			who := "minority"
			if s.Majority {
				who = "majority"
			}
			t.Rows = append(t.Rows, partitionRow{
				Partition: p, Side: s, Label: label(p.Fault, p.Target), First: i == 0, Span: len(p.Sides), Who: who,
				CanRead: s.Reads.Kept(p), CanUpdate: s.Updates.Kept(p), Read: attempts(s.Reads), Updated: attempts(s.Updates),
				Wrong: s.Agrees == conduct.Contradicts,
			})
		}
	}
}

// attempts says how many operations were answered: "12 of 30 ok, 10 fail, 6 info, 2 ok later".
func attempts(a conduct.Attempts) string {
	if a.All() == 0 {
		return ""
	}
	said := []string{count(a.OK) + " of " + count(a.All()) + " ok"}
	for _, other := range []struct {
		n    int
		what string
	}{{a.Fail, "fail"}, {a.Info, "info"}, {a.Late, "ok after the healing"}} {
		if other.n > 0 {
			said = append(said, count(other.n)+" "+other.what)
		}
	}
	return strings.Join(said, " · ")
}
