// Package zookeeper is Apache ZooKeeper (zookeeper.apache.org) as a system under test, in
// any release from 3.5 on, through the client github.com/go-zookeeper/zk.
//
// Start with [System]. What each operation is to ZooKeeper: a register is a znode, and its
// compare-and-set a write that names the version which was read; a set is a znode for each
// element, below one for the set; a queue is a sequential znode for each element; a lock is
// an ephemeral znode in a session of its own.
package zookeeper

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/images"
)

// System is ZooKeeper; see the settings.
type System struct{}

var (
	_ cluster.System      = System{}
	_ cluster.Imaged      = System{}
	_ cluster.Timed       = System{}
	_ cluster.Informer    = System{}
	_ cluster.EventReader = System{}
	_ cluster.Readiness   = System{}
	_ cluster.Initializer = System{}
)

const (
	clients      = "clients" // the name of the client port
	clientPort   = 2181
	peerPort     = 2888
	electionPort = 3888
)

// The modes of reads. A follower answers reads from what it has: other clients may have
// written since.
const (
	linearizable = "linearizable" // a write, which takes a majority, and then the read, at one node
	lease        = "lease"        // sync and then the read: a leader answers sync without asking anybody
	stale        = "stale"        // the read alone
)

// settings are what can be set, with its default, each a whole number above 0 but for
// txn-log-sync.
var settings = map[string]string{
	"tick":            "500",    // milliseconds: the unit of the others
	"init-limit":      "8",      // ticks that followers may take to find the leader and get what they lack
	"sync-limit":      "3",      // ticks without a word after which a follower and a leader give each other up
	"snap-count":      "100000", // transactions from one snapshot to the next
	"session-timeout": "3000",   // milliseconds after which a session is over that nobody hears of, and with it its locks
	txnLogSync:        "true",   // a leader may bring a follower up to date from its log on disk, as by default (zookeeper.snapshotSizeFactor)
}

const txnLogSync = "txn-log-sync"

// Name implements cluster.System.
func (System) Name() string { return "zookeeper" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if o.Bug != "" {
		return fmt.Errorf("zookeeper has no planted bug %q, only its own: see --version", o.Bug)
	}
	if !slices.Contains([]string{"", linearizable, lease, stale}, o.Reads) {
		return fmt.Errorf("unknown mode of reads %q; zookeeper has linearizable, lease and stale", o.Reads)
	}
	if err := o.CheckSettings("zookeeper", slices.Sorted(maps.Keys(settings))...); err != nil {
		return err
	}
	if v := o.Setting(txnLogSync, settings); v != "true" && v != "false" {
		return fmt.Errorf("%s is true or false, not %q", txnLogSync, v)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		if name == txnLogSync {
			continue
		}
		if err := cluster.PositiveSetting(name, o.Settings[name]); err != nil {
			return err
		}
	}
	if tick, session := o.Number("tick", settings), o.Number("session-timeout", settings); session < 2*tick || session > 20*tick {
		return fmt.Errorf("session-timeout (%d ms) is between 2 and 20 ticks (of %d ms)", session, tick)
	}
	_, err := s.Images(o)
	return err
}

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	config := []string{
		"dataDir=/data", "admin.enableServer=false", "4lw.commands.whitelist=*", "standaloneEnabled=false", "maxClientCnxns=0",
		fmt.Sprint("clientPort=", clientPort), fmt.Sprint("tickTime=", o.Number("tick", settings)), fmt.Sprint("initLimit=", o.Number("init-limit", settings)),
		fmt.Sprint("syncLimit=", o.Number("sync-limit", settings)), fmt.Sprint("snapCount=", o.Number("snap-count", settings)),
	}
	id := 0
	for i, n := range all {
		config = append(config, fmt.Sprintf("server.%d=%s:%d:%d", i+1, n.Host, peerPort, electionPort))
		if n.Name == node.Name {
			id = i + 1
		}
	}
	version := version(o)
	snapshotSizeFactor := "0.33" // ZooKeeper's default
	if o.Setting(txnLogSync, settings) == "false" {
		snapshotSizeFactor = "-1"
	}
	return cluster.Pod{
		Containers: []cluster.Container{{
			Name: "zookeeper", Image: "zookeeper", Entrypoint: []string{"java"},
			Args: []string{
				"-Xmx128m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
				// A follower tries five times to reach a leader, which may not listen yet on a
				// busy machine. Otherwise the leader waits in vain until init-limit is over.
				"-Dzookeeper.leaderConnectDelayDuringRetryMs=250",
				"-Dzookeeper.snapshotSizeFactor=" + snapshotSizeFactor,
				"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
				"-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.NIOServerCnxn=warn", // a line for each question of who leads
				// Where the image of coup and the official one have their jars.
				"-cp", libDir + "/*:/apache-zookeeper-" + version + "-bin/lib/*:/apache-zookeeper-" + version + "-bin/conf",
				"org.apache.zookeeper.server.quorum.QuorumPeerMain", "/data/zoo.cfg",
			},
			Memory: 384 << 20,
		}},
		Ports: []cluster.Port{{Name: clients, Number: clientPort}, {Name: "peers", Number: peerPort, Peers: true}, {Name: "elections", Number: electionPort, Peers: true}},
		Data:  []cluster.Dir{{Path: "/data"}},
		Files: []cluster.File{
			{Path: "/data/zoo.cfg", Content: []byte(strings.Join(config, "\n") + "\n")},
			{Path: "/data/myid", Content: fmt.Append(nil, id, "\n")},
		},
	}
}

// Timing implements cluster.Timed. Nothing is said of how long a leader may lead that
// hears of no majority: it looks only now and then.
func (System) Timing(o cluster.Options) cluster.Timing {
	limit := time.Duration(o.Number("tick", settings)*o.Number("sync-limit", settings)) * time.Millisecond
	return cluster.Timing{Start: 2 * time.Minute, Restart: 3 * time.Second, Failover: limit + time.Second, Election: 30*limit + 10*time.Second}
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "3.9.5"

const libDir = "/opt/zookeeper/lib"

func version(o cluster.Options) string {
	if o.Version == "" {
		return DefaultVersion
	}
	return strings.TrimPrefix(o.Version, "v")
}

// Images implements cluster.Imaged. From 3.6 on, the server needs a library that its
// project names as optional.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	v := version(o)
	var minor int
	if _, err := fmt.Sscanf(v, "3.%d.", &minor); err != nil || minor < 5 {
		return nil, fmt.Errorf("%q is no release of zookeeper from 3.5.5 on, such as %s", o.Version, DefaultVersion)
	}
	jars := []string{"org.apache.zookeeper:zookeeper:" + v}
	logging := "org.slf4j:slf4j-simple:1.7.36"
	if minor >= 6 {
		jars = append(jars, "io.dropwizard.metrics:metrics-core:4.1.12.1", "org.xerial.snappy:snappy-java:1.1.10.5")
	}
	if minor >= 9 {
		logging = "org.slf4j:slf4j-simple:2.0.13"
	}
	return []images.Recipe{{Name: "zookeeper", Version: v, Official: "zookeeper:" + v, Java: &images.Java{
		Dir: libDir, Jars: append(jars, logging),
		Without: []string{"*-osx-*.jar", "*-windows-*.jar", "*-aarch_64.jar", "netty-tcnative-*.jar", "logback-*.jar", "slf4j-log4j*.jar", "slf4j-reload4j*.jar"},
	}}}, nil
}
