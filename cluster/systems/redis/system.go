// Package redis is Redis with Sentinel (redis.io) as a system under test, as Debian has
// it, through its official Go client.
//
// A node is two programs: redis-server, and redis-sentinel, which watches the masters
// together with those of the other nodes. A client asks the sentinel of its own node
// which node is the master, and talks to that one.
//
// Replication is asynchronous: what the master has acknowledged can be lost when
// another node takes its place, and for some seconds two nodes can take writes. That is
// not linearizable, by design. The settings min-replicas and wait lose less, not nothing.
//
// What each operation is to Redis: a register is a string, its compare-and-set a script;
// a set is a set; a queue is a list; a counter is a string with a number; a lock is a
// string with a random value and a time to live, which a script deletes. There is no
// fencing token.
package redis

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

// System is Redis with Sentinel; see the settings.
type System struct{}

var (
	_ cluster.System     = System{}
	_ cluster.Imaged     = System{}
	_ cluster.Timed      = System{}
	_ cluster.Lossy      = System{}
	_ cluster.Informer   = System{}
	_ cluster.Readiness  = System{}
	_ cluster.Transferer = System{}
)

const (
	serverPort   = 6379
	sentinelPort = 26379
	master       = "m" // what the sentinels call what they watch
)

// settings are what can be set, with its default.
var settings = map[string]string{
	"min-replicas":         "0",        // without so many replicas, the master refuses writes (min-replicas-to-write)
	"min-replicas-max-lag": "2",        // seconds after which a replica that says nothing does not count
	"wait":                 "0",        // after each write, a client waits until so many replicas have it (WAIT)
	"appendfsync":          "everysec", // when the log of writes is synced: always, everysec or no
	"down-after":           "1s",       // after which a sentinel takes a node that says nothing for dead
	"failover-timeout":     "3s",       // half the time until the sentinels try a failover again
	"lock-ttl":             "1s",       // after which a lock that is not renewed passes to others
}

func setting(o cluster.Options, name string) string { return o.Setting(name, settings) }

// number and duration are settings that Check has found good.
func number(o cluster.Options, name string) int {
	n, _ := strconv.Atoi(setting(o, name))
	return n
}

func duration(o cluster.Options, name string) time.Duration {
	d, _ := time.ParseDuration(setting(o, name))
	return d
}

// Name implements cluster.System.
func (System) Name() string { return "redis" }

// Loses implements cluster.Lossy.
func (System) Loses(cluster.Options) string {
	return "replication is asynchronous: a failover can lose acknowledged writes, and a master that was replaced answers for some seconds; not linearizable"
}

// Check implements cluster.System.
func (System) Check(o cluster.Options) error {
	switch {
	case o.Version != "":
		return fmt.Errorf("redis runs in the release that Debian has: leave out the version %q, or name an image of it with --image", o.Version)
	case o.Bug != "":
		return fmt.Errorf("redis has no planted bug %q", o.Bug)
	case o.Reads != "" && o.Reads != "linearizable":
		return fmt.Errorf("unknown mode of reads %q; clients of redis read from the master alone: linearizable", o.Reads)
	}
	if err := o.CheckSettings("redis", slices.Sorted(maps.Keys(settings))...); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		standard, value := settings[name], o.Settings[name]
		if name == "appendfsync" {
			if !slices.Contains([]string{"always", "everysec", "no"}, value) {
				return fmt.Errorf("appendfsync is always, everysec or no, not %q", value)
			}
		} else if _, err := strconv.Atoi(standard); err == nil {
			if n, err := strconv.Atoi(value); err != nil || n < 0 {
				return fmt.Errorf("%s is a whole number, not %q", name, value)
			}
		} else if d, err := time.ParseDuration(value); err != nil || d < time.Millisecond {
			return fmt.Errorf("%s is a duration of a millisecond or more, such as 500ms, not %q", name, value)
		}
	}
	return nil
}

// Images implements cluster.Imaged.
func (System) Images(cluster.Options) ([]images.Recipe, error) {
	return []images.Recipe{{Name: "redis", Official: "redis:7.0.15", Debian: []string{"redis-server", "redis-sentinel", "redis-tools", "bash", "coreutils", "dash"}}}, nil
}

// Pod implements cluster.System. Both programs rewrite their files, in which they keep
// who is the master: at the first start it is the first node.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	first := all[0]
	server := []string{
		fmt.Sprint("port ", serverPort), "bind 0.0.0.0", "protected-mode no", "dir /data", `save ""`,
		"appendonly yes", "appendfsync " + setting(o, "appendfsync"), "repl-diskless-sync-delay 0",
		"replica-announce-ip " + node.Host,
		"min-replicas-to-write " + setting(o, "min-replicas"), "min-replicas-max-lag " + setting(o, "min-replicas-max-lag"),
	}
	if node.Name != first.Name {
		server = append(server, fmt.Sprintf("replicaof %s %d", first.Host, serverPort))
	}
	sentinel := []string{
		fmt.Sprint("port ", sentinelPort), "bind 0.0.0.0", "protected-mode no", "dir /tmp",
		"sentinel announce-ip " + node.Host,
		fmt.Sprintf("sentinel monitor %s %s %d %d", master, first.Host, serverPort, len(all)/2+1),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", master, duration(o, "down-after").Milliseconds()),
		fmt.Sprintf("sentinel failover-timeout %s %d", master, duration(o, "failover-timeout").Milliseconds()),
		fmt.Sprintf("sentinel parallel-syncs %s %d", master, len(all)),
	}
	file := func(path string, lines []string) cluster.File {
		return cluster.File{Path: path, Content: []byte(strings.Join(lines, "\n") + "\n"), Once: true}
	}
	return cluster.Pod{
		Containers: []cluster.Container{
			{Name: "server", Image: "redis", Entrypoint: []string{"redis-server"}, Args: []string{"/data/redis.conf"}, Memory: 256 << 20},
			{Name: "sentinel", Image: "redis", Entrypoint: []string{"redis-sentinel"}, Args: []string{"/data/sentinel.conf"}, Memory: 128 << 20},
		},
		Ports: []cluster.Port{{Name: "redis", Number: serverPort}, {Name: "sentinel", Number: sentinelPort}},
		Data:  []cluster.Dir{{Path: "/data"}},
		Files: []cluster.File{file("/data/redis.conf", server), file("/data/sentinel.conf", sentinel)},
	}
}

// Timing implements cluster.Timed. A master that is started again takes itself for the
// master until a sentinel tells it otherwise, which takes 10 s.
func (System) Timing(o cluster.Options) cluster.Timing {
	down, failover := duration(o, "down-after"), duration(o, "failover-timeout")
	return cluster.Timing{
		Start: time.Minute, Restart: 10 * time.Second, Failover: down + 2*time.Second,
		Election: 5*down + 10*failover, // the failovers that fail are half as many
	}
}
