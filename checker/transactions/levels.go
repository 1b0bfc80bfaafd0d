package transactions

import (
	"fmt"
	"slices"
	"strings"

	"coup/checker/graph"
)

// Isolation is a promise about transactions, a consistency model. The names and what
// each excludes are those of Elle (Kingsbury and Alvaro, VLDB 2020), which follows Adya
// ("Weak consistency", 1999), Cerone and Gotsman ("Analysing snapshot isolation", PODC
// 2016) and Daudjee and Salem ("Lazy database replication with snapshot isolation",
// VLDB 2006). With "strong-session-", the transactions of a process take effect in its
// order; with "strong-" (and strict-serializable), all do in the order of time.
type Isolation string

// The promises. Each one excludes what those before it exclude, but for
// repeatable-read and snapshot-isolation, of which neither excludes all that the other
// does, and for the order that they keep.
const (
	ReadUncommitted    Isolation = "read-uncommitted"
	ReadCommitted      Isolation = "read-committed"
	RepeatableRead     Isolation = "repeatable-read"
	SnapshotIsolation  Isolation = "snapshot-isolation"
	Serializable       Isolation = "serializable"
	StrictSerializable Isolation = "strict-serializable"

	StrongSessionReadUncommitted   Isolation = "strong-session-read-uncommitted"
	StrongSessionReadCommitted     Isolation = "strong-session-read-committed"
	StrongSessionSnapshotIsolation Isolation = "strong-session-snapshot-isolation"
	StrongSessionSerializable      Isolation = "strong-session-serializable"
	StrongReadUncommitted          Isolation = "strong-read-uncommitted"
	StrongReadCommitted            Isolation = "strong-read-committed"
	StrongSnapshotIsolation        Isolation = "strong-snapshot-isolation"
)

// Levels are all promises, weaker ones before stronger ones.
func Levels() []Isolation {
	return []Isolation{
		ReadUncommitted, StrongSessionReadUncommitted, StrongReadUncommitted,
		ReadCommitted, StrongSessionReadCommitted, StrongReadCommitted,
		RepeatableRead,
		SnapshotIsolation, StrongSessionSnapshotIsolation, StrongSnapshotIsolation,
		Serializable, StrongSessionSerializable, StrictSerializable,
	}
}

// ParseIsolation takes the name of a promise. Other names of the same that Elle and
// Adya use are taken, too.
func ParseIsolation(name string) (Isolation, error) {
	other := map[string]Isolation{
		"strong-serializable": StrictSerializable, "conflict-serializable": Serializable,
		"PL-1": ReadUncommitted, "PL-2": ReadCommitted, "PL-2.99": RepeatableRead, "PL-SI": SnapshotIsolation, "PL-3": Serializable, "PL-SS": StrictSerializable,
	}
	if i, known := other[name]; known {
		return i, nil
	}
	if i := Isolation(name); slices.Contains(Levels(), i) {
		return i, nil
	}
	var names []string
	for _, i := range Levels() {
		names = append(names, string(i))
	}
	return "", fmt.Errorf("no consistency level %q, only %s", name, strings.Join(names, ", "))
}

// parts are what a promise excludes without regard to order, and the order that it keeps.
func (i Isolation) parts() (base Isolation, order graph.Dependency) {
	if i == "" || i == StrictSerializable {
		return Serializable, graph.Process | graph.Realtime
	}
	if base, ok := strings.CutPrefix(string(i), "strong-session-"); ok {
		return Isolation(base), graph.Process
	}
	if base, ok := strings.CutPrefix(string(i), "strong-"); ok {
		return Isolation(base), graph.Process | graph.Realtime
	}
	return i, 0
}

// NeedsTime says whether the promise is about the order of time.
func (i Isolation) NeedsTime() bool {
	_, order := i.parts()
	return i != "" && order&graph.Realtime != 0
}

// implies says whether what keeps a promise keeps another one, too.
func (i Isolation) implies(other Isolation) bool {
	weaker := map[Isolation][]Isolation{
		ReadUncommitted:   {ReadUncommitted},
		ReadCommitted:     {ReadUncommitted, ReadCommitted},
		RepeatableRead:    {ReadUncommitted, ReadCommitted, RepeatableRead},
		SnapshotIsolation: {ReadUncommitted, ReadCommitted, SnapshotIsolation},
		Serializable:      {ReadUncommitted, ReadCommitted, RepeatableRead, SnapshotIsolation, Serializable},
	}
	a, orderA := i.parts()
	b, orderB := other.parts()
	return slices.Contains(weaker[a], b) && orderB&^orderA == 0
}

// excludes says whether the promise rules an anomaly out. Over registers, which of
// two versions came first follows only where dirty reads are ruled out, too: a
// transaction that read one and wrote the other may have had its write put in front.
func (i Isolation) excludes(kind string, registers bool) bool {
	name, needs := kindOf(kind)
	base, order := i.parts()
	if map[string]graph.Dependency{"": 0, orderOfProcess: graph.Process, orderOfTime: graph.Process | graph.Realtime}[needs]&^order != 0 {
		return false
	}
	switch name {
	case Garbage, DuplicateElements:
		return true
	case G0, CyclicVersions:
		return base != ReadUncommitted || !registers
	case IncompatibleOrder, DirtyUpdate, G1a, G1b, G1c:
		return base != ReadUncommitted
	case LostUpdate, GSingle, GNonadjacent:
		return base != ReadUncommitted && base != ReadCommitted
	case Internal:
		return base == SnapshotIsolation || base == Serializable
	case NoSnapshots: // then no order of the transactions explains it either
		return base == RepeatableRead || base == SnapshotIsolation || base == Serializable
	default:
		return base == RepeatableRead || base == Serializable
	}
}

// ParseAnomalies takes the names of anomalies, separated by commas. G1 stands for G1a,
// G1b and G1c, G2 for G2-item.
func ParseAnomalies(names string) (kinds []string, err error) {
	for _, name := range strings.Split(names, ",") {
		name = strings.TrimSpace(name)
		base, order := kindOf(name)
		switch {
		case name == "":
		case base == "G1":
			suffix := strings.TrimPrefix(name, base)
			kinds = append(kinds, G1a, G1b, G1c+suffix)
		case base == "G2":
			kinds = append(kinds, G2Item+strings.TrimPrefix(name, base))
		case !slices.Contains(gravities, base) || order != "" && !isCycle(base):
			return nil, fmt.Errorf("no anomaly %q, only %s; those of cycles also with -process and -realtime", name, strings.Join(gravities, ", "))
		default:
			kinds = append(kinds, name)
		}
	}
	return kinds, nil
}

func isCycle(base string) bool {
	return slices.Contains([]string{G0, G1c, GSingle, GNonadjacent, G2Item, Unserializable, NoSnapshots}, base)
}

// means says whether an anomaly is one of a kind that was asked for: itself, or one of
// a special form (Elle's implied anomalies).
func means(kind, asked string) bool {
	special := map[string][]string{
		G1a: {IncompatibleOrder, DirtyUpdate}, G1c: {G0}, GNonadjacent: {GSingle},
		G2Item: {GSingle, GNonadjacent, LostUpdate, Unserializable, NoSnapshots}, Unserializable: {NoSnapshots},
	}
	base, order := kindOf(kind)
	wanted, most := kindOf(asked)
	if order != "" && order != most && most != orderOfTime {
		return false
	}
	return base == wanted || slices.Contains(special[wanted], base)
}

// judged is what a checker excludes.
type judged struct {
	Checker
	level Isolation
}

func (j judged) excludes(kind string) bool {
	if (j.Level != "" || len(j.Anomalies) == 0) && j.level.excludes(kind, j.Registers) {
		return true
	}
	return slices.ContainsFunc(j.Anomalies, func(asked string) bool { return means(kind, asked) })
}

// plainly says whether only what a checker without options excludes counts.
func (j judged) plainly() bool { return j.Level == "" && len(j.Anomalies) == 0 }

// mayBe are the strongest promises that exclude none of some anomalies.
func (j judged) mayBe(anomalies []Anomaly) (strongest []Isolation) {
	for _, i := range slices.Backward(Levels()) {
		if slices.ContainsFunc(anomalies, func(a Anomaly) bool { return i.excludes(a.Kind, j.Registers) }) ||
			slices.ContainsFunc(strongest, func(s Isolation) bool { return s.implies(i) }) {
			continue
		}
		strongest = append(strongest, i)
	}
	return strongest
}

// named names what is promised, in a sentence that begins with "Not".
func (j judged) named() string {
	if j.Level == "" && len(j.Anomalies) > 0 {
		return "free of " + strings.Join(j.Anomalies, ", ")
	}
	if len(j.Anomalies) > 0 {
		return string(j.level) + " and free of " + strings.Join(j.Anomalies, ", ")
	}
	return string(j.level)
}
