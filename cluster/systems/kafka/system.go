// Package kafka is Apache Kafka (kafka.apache.org) with KRaft as a system under test, in
// releases from 3.9 on, through the client github.com/twmb/franz-go.
//
// Start with [System]. All nodes are brokers and controllers. There is one topic, whose
// partitions have the same nodes as replicas in the same order, so that one node usually
// leads all of them. An object is the records with its key, in a partition of which other
// objects are, too: a set are the values of these records, a log the records themselves.
package kafka

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/images"
)

// System is Kafka; see the settings.
type System struct{}

var (
	_ cluster.System      = System{}
	_ cluster.Imaged      = System{}
	_ cluster.Timed       = System{}
	_ cluster.Lossy       = System{}
	_ cluster.Informer    = System{}
	_ cluster.Readiness   = System{}
	_ cluster.Initializer = System{}
)

const (
	clients        = "clients" // the name of the client port
	clientPort     = 9092
	controllerPort = 9093
	topic          = "coup"
	partitions     = 16
)

// The modes of reads.
const (
	linearizable = "linearizable" // a record is written, and then everything up to it is read
	stale        = "stale"        // what is there is read, from the node that takes itself for the leader
)

// settings are what can be set, with its default.
var settings = map[string]string{
	"acks":            "all",   // who must have a record before it is acknowledged: all replicas in sync, or 1, the leader
	"min-isr":         "2",     // without so many replicas in sync, a record with acks=all is refused (min.insync.replicas)
	"transactions":    "false", // each record is written in a transaction of its own, and what is read was committed
	"unclean":         "false", // a replica that was not in sync may become leader (unclean.leader.election.enable)
	"session-timeout": "1500",  // milliseconds after which a broker that says nothing is taken for dead, Kafka's default is 9000; controllers' timeouts follow
	"replica-lag":     "2000",  // milliseconds after which a replica that lags is no longer in sync; Kafka's default is 30000
}

func setting(o cluster.Options, name string) string { return o.Setting(name, settings) }

// transactionTimeout is how long a transaction may take; the brokers end it then.
const transactionTimeout = 3 * time.Second

// Name implements cluster.System.
func (System) Name() string { return "kafka" }

// Loses implements cluster.Lossy.
func (System) Loses(o cluster.Options) string {
	switch {
	case setting(o, "acks") != "all":
		return "acks=1: the leader alone acknowledges, and what no other replica has yet is lost with it"
	case setting(o, "unclean") == "true":
		return "unclean=true: a replica that lacks acknowledged records may become leader"
	}
	return ""
}

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if o.Bug != "" {
		return fmt.Errorf("kafka has no planted bug %q, only its own: see --version", o.Bug)
	}
	if !slices.Contains([]string{"", linearizable, stale}, o.Reads) {
		return fmt.Errorf("unknown mode of reads %q; kafka has linearizable and stale", o.Reads)
	}
	if err := o.CheckSettings("kafka", slices.Sorted(maps.Keys(settings))...); err != nil {
		return err
	}
	words := map[string][]string{"acks": {"all", "1"}, "unclean": {"true", "false"}, "transactions": {"true", "false"}}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		value := o.Settings[name]
		if of, ok := words[name]; ok {
			if !slices.Contains(of, value) {
				return fmt.Errorf("%s is %s, not %q", name, strings.Join(of, " or "), value)
			}
		} else if err := cluster.PositiveSetting(name, value); err != nil {
			return err
		}
	}
	if setting(o, "transactions") == "true" && setting(o, "acks") != "all" {
		return fmt.Errorf("transactions need acks=all")
	}
	if o.Number("session-timeout", settings) < 300 {
		return fmt.Errorf("session-timeout is at least 300 (milliseconds), not %d", o.Number("session-timeout", settings))
	}
	_, err := s.Images(o)
	return err
}

// Pod implements cluster.System. The first file makes formatting needless.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	var voters []string
	for _, n := range all {
		voters = append(voters, fmt.Sprintf("%d@%s:%d", idOf(n.Name, all), n.Host, controllerPort))
	}
	id, replicas, session := idOf(node.Name, all), min(len(all), 3), o.Number("session-timeout", settings)
	config := []string{
		"process.roles=broker,controller", fmt.Sprint("node.id=", id), "controller.quorum.voters=" + strings.Join(voters, ","),
		fmt.Sprintf("listeners=PLAINTEXT://0.0.0.0:%d,CONTROLLER://0.0.0.0:%d", clientPort, controllerPort),
		fmt.Sprintf("advertised.listeners=PLAINTEXT://%s:%d,CONTROLLER://%s:%d", node.Host, clientPort, node.Host, controllerPort),
		"controller.listener.names=CONTROLLER", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name=PLAINTEXT", "log.dirs=/data/k", "auto.create.topics.enable=false", "auto.leader.rebalance.enable=false",
		fmt.Sprint("default.replication.factor=", replicas), fmt.Sprint("offsets.topic.replication.factor=", replicas),
		"offsets.topic.num.partitions=4", fmt.Sprint("transaction.state.log.replication.factor=", replicas),
		"transaction.state.log.num.partitions=4", "transaction.state.log.min.isr=2",
		// A client that is gone leaves a transaction open, and nobody reads past that.
		"transaction.abort.timed.out.transaction.cleanup.interval.ms=500", "group.initial.rebalance.delay.ms=0",
		// Less of everything than for a machine of its own.
		"num.network.threads=2", "num.io.threads=4", "background.threads=2", "log.cleaner.dedupe.buffer.size=4194304",
		// Failovers within seconds, as in one machine room.
		fmt.Sprint("broker.session.timeout.ms=", session), fmt.Sprint("broker.heartbeat.interval.ms=", session/6),
		fmt.Sprint("controller.quorum.election.timeout.ms=", session/3), fmt.Sprint("controller.quorum.fetch.timeout.ms=", session*2/3),
		fmt.Sprint("controller.quorum.election.backoff.max.ms=", session/6), fmt.Sprint("controller.quorum.request.timeout.ms=", session*2/3),
		"initial.broker.registration.timeout.ms=180000", // a broker that gets no leader of the controllers ends
		fmt.Sprint("replica.lag.time.max.ms=", o.Number("replica-lag", settings)), "replica.fetch.wait.max.ms=200",
	}
	meta := []string{"version=1", "cluster.id=" + clusterID, fmt.Sprint("node.id=", id)}
	file := func(path string, lines []string, once bool) cluster.File {
		return cluster.File{Path: path, Content: []byte(strings.Join(lines, "\n") + "\n"), Once: once}
	}
	return cluster.Pod{
		Containers: []cluster.Container{{
			Name: "kafka", Image: "kafka", Entrypoint: []string{"java"}, User: "0",
			Args: []string{
				"-Xmx256m", "-Xss512k", "-XX:MaxDirectMemorySize=64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
				"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.log.kafka=info", "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller=info",
				"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
				"-cp", libDir + "/*", "kafka.Kafka", "/data/server.properties",
			},
			Memory: 640 << 20,
		}},
		Ports: []cluster.Port{{Name: clients, Number: clientPort}, {Name: "controllers", Number: controllerPort, Peers: true}},
		Data:  []cluster.Dir{{Path: "/data"}},
		Files: []cluster.File{file("/data/k/meta.properties", meta, true), file("/data/server.properties", config, false)},
	}
}

// clusterID is what a cluster calls itself: 22 characters of base64.
const clusterID = "Y291cC1rYWZrYS1jbHVzdA"

// idOf is the number by which Kafka knows a node, and nameOf the node of a number.
func idOf(name string, all []cluster.Node) int32 {
	return int32(1 + slices.IndexFunc(all, func(n cluster.Node) bool { return n.Name == name }))
}

func nameOf(id int32, all []cluster.Node) string {
	if id < 1 || int(id) > len(all) {
		return ""
	}
	return all[id-1].Name
}

// Timing implements cluster.Timed. Measured: a node is among the replicas in sync 7 to 11 s
// after its start.
func (System) Timing(o cluster.Options) cluster.Timing {
	session := time.Duration(o.Number("session-timeout", settings)) * time.Millisecond
	return cluster.Timing{Start: 4 * time.Minute, Restart: 10 * time.Second, Failover: session + 2*time.Second, Election: 4*session + 20*time.Second}
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "4.4.0"

// libDir is where the image has its jars, as the official one.
const libDir = "/opt/kafka/libs"

// Images implements cluster.Imaged.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	version := strings.TrimPrefix(o.Version, "v")
	if version == "" {
		version = DefaultVersion
	}
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d.", &major, &minor); err != nil || major < 3 || major == 3 && minor < 9 {
		return nil, fmt.Errorf("%q is no release of kafka from 3.9.0 on, such as %s", o.Version, DefaultVersion)
	}
	return []images.Recipe{{Name: "kafka", Version: version, Official: "apache/kafka:" + version, Java: &images.Java{
		Dir: libDir, Jars: []string{"org.apache.kafka:kafka_2.13:" + version, "org.slf4j:slf4j-simple:1.7.36"},
	}}}, nil
}
