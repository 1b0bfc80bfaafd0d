package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"time"

	"coup/cluster"
	"coup/harness"
)

// Tells implements cluster.Informer.
func (System) Tells() harness.Facts {
	return harness.Facts{harness.Leader, harness.Term, harness.Position}
}

// srvr matches the answer to the command srvr.
var srvr = regexp.MustCompile(`(?s)Zxid: 0x([0-9a-f]+)\n.*Mode: (\w+)\n`)

// ask performs the command srvr at a node. The upper half of a position is the leader's
// term (its epoch), the lower one counts within it.
func command(ctx context.Context, a cluster.Access, node string) (role string, zxid uint64, err error) {
	conn, err := a.Dial(ctx, node, clients)
	if err != nil {
		return "", 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, "srvr"); err != nil {
		return "", 0, err
	}
	b, err := io.ReadAll(io.LimitReader(conn, 1<<16))
	m := srvr.FindSubmatch(b)
	switch {
	case m == nil && err != nil:
		return "", 0, err
	case m == nil && len(b) > 0: // "This ZooKeeper instance is not currently serving requests"
		return "candidate", 0, nil
	case m == nil:
		return "", 0, errors.New("it hung up")
	}
	zxid, err = strconv.ParseUint(string(m[1]), 16, 64)
	return string(m[2]), zxid, err
}

// Status implements cluster.Informer. A follower does not say whom it follows: it is taken
// to be the newest of the nodes that say that they lead, unless the follower has seen a
// newer term. Until a node has seen the first transaction of a term, it tells the term before.
func (System) Status(ctx context.Context, a cluster.Access, node string) (cluster.Status, error) {
	role, zxid, err := command(ctx, a, node)
	if err != nil {
		return cluster.Status{}, fmt.Errorf("status of %s: %w", node, err)
	}
	s := cluster.Status{Node: node, Role: role, Term: zxid >> 32, Applied: zxid}
	switch role {
	case "leader":
		s.Leader = node
	case "follower":
		newest := s.Term
		for _, n := range a.Nodes() {
			if n.Name == node {
				continue
			}
			if role, at, err := command(ctx, a, n.Name); err == nil && role == "leader" && at>>32 >= newest {
				s.Leader, newest = n.Name, at>>32
			}
		}
	}
	return s, nil
}

// Ready implements cluster.Readiness: all nodes serve, and one of them leads.
func (y System) Ready(ctx context.Context, a cluster.Access, _ cluster.Options) error {
	leaders := 0
	for _, n := range a.Nodes() {
		role, _, err := command(ctx, a, n.Name)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", n.Name, err)
		case role == "leader":
			leaders++
		case role != "follower":
			return fmt.Errorf("%s is a %s", n.Name, role)
		}
	}
	if leaders != 1 {
		return fmt.Errorf("%d nodes lead", leaders)
	}
	return nil
}

// What ZooKeeper logs about its role. A leader leads when it says where it starts.
var (
	role    = regexp.MustCompile(` - (LOOKING|FOLLOWING|LEADING)\s*$`)
	leading = regexp.MustCompile(`Have quorum of supporters, .*; starting up and setting last processed zxid: 0x([0-9a-f]+)`)
	boot    = regexp.MustCompile(`Server environment:zookeeper\.version=([^,\s]+)`)
)

// times are how lines begin: those of coup's image, and those of the official one.
var times = []struct{ layout, example string }{
	{"2006-01-02T15:04:05.000Z07:00", "2026-01-02T15:04:05.000Z"},
	{"2006-01-02 15:04:05,000", "2026-01-02 15:04:05,000"},
}

// when is the time at which a line was written, in UTC where it names no zone, as in
// containers.
func when(line []byte) (time.Time, bool) {
	for _, t := range times {
		word := line[:min(len(line), len(t.example))]
		if end := len("2026-01-02T15:04:05.000+00:00"); len(line) >= end && len(word) > 0 {
			if at, err := time.Parse(t.layout, string(line[:end])); err == nil {
				return at, true
			}
		}
		if at, err := time.Parse(t.layout, string(word)); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// Event implements cluster.EventReader.
func (System) Event(node string, line []byte) (harness.Event, time.Time, bool) {
	at, ok := when(line)
	if !ok {
		return harness.Event{}, at, false
	}
	e := harness.Event{Node: node, Kind: harness.RoleEvent}
	if m := leading.FindSubmatch(line); m != nil {
		zxid, err := strconv.ParseUint(string(m[1]), 16, 64)
		e.Role, e.Term = "leader", zxid>>32
		return e, at, err == nil
	}
	if m := boot.FindSubmatch(line); m != nil {
		e.Kind, e.Message = harness.BootEvent, string(m[1])
		return e, at, true
	}
	m := role.FindSubmatch(line)
	if m == nil {
		return harness.Event{}, at, false
	}
	switch string(m[1]) {
	case "LOOKING":
		e.Role = "candidate"
	case "FOLLOWING":
		e.Role = "follower"
	default: // it asks the others whether they follow
		return harness.Event{}, at, false
	}
	return e, at, true
}
