// Package rqlite is rqlite (rqlite.io), SQLite replicated by raft, as a system under test,
// in any release of version 8.
//
// Start with [System]. Registers, sets, queues, counters and the lists of transactions are
// tables. What changes something is one request, whose statements are one transaction in
// one entry of raft's log.
//
// The client is plain HTTP: rqlite's own for Go sends a request to one node after another
// until one answers, writes too, so that a write can happen twice.
package rqlite

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"coup/cluster"
	"coup/images"
)

// System is rqlite. Its settings are the level of reads, which says it in rqlite's words,
// and flags of rqlited, by their names (see flags).
type System struct{}

var (
	_ cluster.System      = System{}
	_ cluster.Imaged      = System{}
	_ cluster.Timed       = System{}
	_ cluster.Informer    = System{}
	_ cluster.Initializer = System{}
	_ cluster.Digester    = System{}
)

const (
	httpPort = 4001
	raftPort = 4002
)

// flags are the settings that become flags of rqlited, with what coup sets if nobody
// else does: elections within half a second, as in one machine room.
var flags = map[string]string{
	"raft-timeout": "500ms", "raft-election-timeout": "500ms", "raft-leader-lease-timeout": "",
	"raft-snap": "", "raft-snap-int": "", "raft-log-level": "INFO", "raft-apply-timeout": "",
}

// level is the setting for rqlite's read consistency level, and levels are those that
// there are. What the modes of reads are called by rqlite stands in modes.
const level = "level"

var (
	levels = []string{"none", "weak", "strong", "linearizable"}
	modes  = map[string]string{"": "linearizable", "linearizable": "linearizable", "lease": "weak", "stale": "none"}
)

// levelOf is the level at which a client reads.
func levelOf(o cluster.Options) string {
	if l := o.Settings[level]; l != "" {
		return l
	}
	return modes[o.Reads]
}

func flag(o cluster.Options, name string) string { return o.Setting(name, flags) }

// Name implements cluster.System.
func (System) Name() string { return "rqlite" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if o.Bug != "" {
		return fmt.Errorf("rqlite has no planted bug %q, only its own: see --system-version", o.Bug)
	}
	if _, ok := modes[o.Reads]; !ok {
		return fmt.Errorf("unknown mode of reads %q; rqlite has linearizable, lease (its weak) and stale (its none)", o.Reads)
	}
	if err := o.CheckSettings("rqlite", append([]string{level}, slices.Sorted(maps.Keys(flags))...)...); err != nil {
		return err
	}
	if value, ok := o.Settings[level]; ok && !slices.Contains(levels, value) {
		return fmt.Errorf("level is one of %s, not %q", strings.Join(levels, ", "), value)
	}
	if l := o.Settings[level]; l != "" && o.Reads != "" && o.Reads != "linearizable" && modes[o.Reads] != l {
		return fmt.Errorf("reads %s are of level %s, not %s: leave one of them out", o.Reads, modes[o.Reads], l)
	}
	for _, name := range []string{"raft-timeout", "raft-election-timeout"} {
		if d, err := time.ParseDuration(flag(o, name)); err != nil || d < 5*time.Millisecond {
			return fmt.Errorf("%s is a duration of 5 ms or more, such as 500ms, not %q", name, flag(o, name))
		}
	}
	_, err := s.Images(o)
	return err
}

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	var peers []string
	for _, n := range all {
		peers = append(peers, fmt.Sprintf("%s:%d", n.Host, raftPort))
	}
	args := []string{
		"-node-id", node.Name,
		"-http-addr", fmt.Sprintf("0.0.0.0:%d", httpPort), "-http-adv-addr", fmt.Sprintf("%s:%d", node.Host, httpPort),
		"-raft-addr", fmt.Sprintf("0.0.0.0:%d", raftPort), "-raft-adv-addr", fmt.Sprintf("%s:%d", node.Host, raftPort),
		"-bootstrap-expect", strconv.Itoa(len(all)), "-join", strings.Join(peers, ","),
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if value := flag(o, name); value != "" {
			args = append(args, "-"+name, value)
		}
	}
	return cluster.Pod{
		Containers: []cluster.Container{{Name: "rqlite", Image: "rqlite", Entrypoint: []string{"rqlited"}, Args: append(args, "/data/rqlite")}},
		Ports:      []cluster.Port{{Name: "http", Number: httpPort}, {Name: "raft", Number: raftPort, Peers: true}},
		Data:       []cluster.Dir{{Path: "/data"}},
	}
}

// Timing implements cluster.Timed.
func (System) Timing(o cluster.Options) cluster.Timing {
	heartbeat, _ := time.ParseDuration(flag(o, "raft-timeout"))
	election, _ := time.ParseDuration(flag(o, "raft-election-timeout"))
	return cluster.Timing{
		Start: time.Minute, Restart: 3 * time.Second, Failover: 2 * (heartbeat + election), Election: 30 * (heartbeat + election),
	}
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "8.36.0"

// Images implements cluster.Imaged.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	version := strings.TrimPrefix(o.Version, "v")
	if version == "" {
		version = DefaultVersion
	}
	parts := strings.Split(version, ".")
	if _, err := strconv.Atoi(slices.Concat(parts, []string{"", ""})[1]); err != nil || len(parts) < 3 || parts[0] != "8" {
		return nil, fmt.Errorf("%q is no release of rqlite 8, such as %s", o.Version, DefaultVersion)
	}
	return []images.Recipe{{Name: "rqlite", Version: version, Official: "rqlite/rqlite:" + version, Programs: []images.GoProgram{{
		Path: "/usr/local/bin/rqlited", Module: "github.com/rqlite/rqlite/v8", Version: "v" + version,
		Package: "github.com/rqlite/rqlite/v8/cmd/rqlited",
		CGO:     true, Tags: "osusergo,netgo,sqlite_omit_load_extension", LDFlags: `-linkmode external -extldflags -static`,
		// Its raft asks for a module by a name that the module has no longer.
		Replace: []string{"github.com/armon/go-metrics=github.com/hashicorp/go-metrics@v0.5.1"},
	}}}}, nil
}
