package report

import (
	"fmt"
	"strings"
	"time"

	"coup/checker/conduct"
	"coup/harness"
)

// heartbeatTable is how the heartbeats of its leaders reached each node.
type heartbeatTable struct {
	Due  string
	Rows []heartbeatRow // the last one is of all nodes, if there are several
}

type heartbeatRow struct {
	Who string
	conduct.Beats
}

func (t *heartbeatTable) fill(results []harness.Result) {
	var d conduct.HeartbeatDetails
	if !details(results, conduct.Heartbeats{}.Name(), &d) {
		return
	}
	t.Due = millis(d.Due)
	for _, n := range d.Nodes {
		t.Rows = append(t.Rows, heartbeatRow{n.Node + ofShard(n.Shard), n.Beats})
	}
	if len(t.Rows) > 1 {
		t.Rows = append(t.Rows, heartbeatRow{"all", d.All})
	}
}

// apart says how far apart heartbeats came.
func apart(before []time.Duration) string {
	if len(before) == 0 {
		return ""
	}
	var each []string
	for _, d := range before {
		each = append(each, strings.TrimSuffix(millis(d), " ms"))
	}
	return fmt.Sprintf(" (those before came %s ms apart)", strings.Join(each, ", "))
}

// silent says how long a node then waited for the new leader.
func silent(b conduct.LastHeartbeat, leader string) string {
	var said string
	if b.Late > 0 {
		said = fmt.Sprintf("; one more came at +%s, when there was a new leader: the old one, or %s itself, had been frozen", millis(b.Late), b.Node)
	}
	if b.Silent <= 0 {
		return said
	}
	was := "were"
	if b.Missed == 1 {
		was = "was"
	}
	return fmt.Sprintf(", and the first one of %s %s later: %d %s missed%s", leader, millis(b.Silent), b.Missed, was, said)
}
