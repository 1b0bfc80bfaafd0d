// Package hdfs is HDFS of Apache Hadoop (hadoop.apache.org) as a system under test, in releases of
// version 3: name nodes, of which one is active, journal nodes that keep what it writes, failover
// controllers that choose it by ZooKeeper, and data nodes.
//
// Start with [System]. A client talks WebHDFS. A directory is a directory, an object a file. It is
// written under another name and renamed, so that it is there as a whole or not at all.
package hdfs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/images"
)

// System is HDFS; see the settings.
type System struct{}

var (
	_ cluster.System      = System{}
	_ cluster.Imaged      = System{}
	_ cluster.Timed       = System{}
	_ cluster.Grouped     = System{}
	_ cluster.Informer    = System{}
	_ cluster.Readiness   = System{}
	_ cluster.Initializer = System{}
)

const (
	webPort      = 9870
	namePort     = 8020
	dataWebPort  = 9864
	dataPort     = 9866
	dataIPC      = 9867
	journalPort  = 8485
	journalWeb   = 8480
	failoverPort = 8019
)

// The modes of reads. A name node that was replaced and does not know it answers reads.
const (
	linearizable = "linearizable" // the name node writes something first, which it can only do as the active one
	stale        = "stale"        // it answers from what it has
)

// settings are what can be set.
var settings = jvm.Settings{
	Defaults: map[string]string{
		"replication":     "2",    // data nodes that have each block (dfs.replication), at most as many as there are
		"session-timeout": "3000", // milliseconds until ZooKeeper takes a failover controller for dead that says nothing; HDFS's default is 10000
		// Milliseconds until a name node gives up, and ends, that most journal nodes do not answer
		// (dfs.qjournal.write-txns.timeout.ms). Until then it says that it is active.
		"journal-timeout": "20000",
	},
	Milliseconds: []string{"session-timeout", "journal-timeout"},
}

// Name implements cluster.System.
func (System) Name() string { return "hdfs" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if err := settings.Check("hdfs", o, linearizable, stale); err != nil {
		return err
	}
	_, err := s.Images(o)
	return err
}

// Roles implements cluster.Grouped: managers have a name node, workers a data node.
func (System) Roles(n int, _ cluster.Options) []cluster.Role { return jvm.Roles(n) }

const (
	image       = "hdfs"
	nameservice = "coup"
	libDir      = "/opt/hadoop/lib"
	classpath   = jvm.HadoopConf + ":" + libDir + "/*"
)

// files are the configuration of a node.
func files(node cluster.Node, all []cluster.Node, o cluster.Options) []cluster.File {
	core := jvm.HadoopCommon(all, o.Number("session-timeout", settings.Defaults))
	maps.Copy(core, map[string]string{
		"fs.defaultFS": "hdfs://" + nameservice, "ha.health-monitor.check-interval.ms": "500", "ha.health-monitor.rpc-timeout.ms": "5000",
		"ha.failover-controller.graceful-fence.rpc-timeout.ms": "2000", "ha.failover-controller.graceful-fence.connection.retries": "0",
	})
	if node.Role == jvm.Manager { // or a name node gives up journal nodes by this timeout
		delete(core, "ipc.client.rpc-timeout.ms")
	}
	var ids, journals []string
	workers := int64(len(jvm.Of(jvm.Worker, all)))
	site := map[string]string{
		"dfs.nameservices": nameservice, "dfs.ha.automatic-failover.enabled": "true",
		"dfs.client.failover.proxy.provider." + nameservice: "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider",
		"dfs.client.failover.sleep.base.millis":             "100", "dfs.client.failover.sleep.max.millis": "500",
		// Nothing fences a name node but the journal nodes, which take no more of what it writes.
		"dfs.ha.fencing.methods":             "shell(true)",
		"dfs.qjournal.write-txns.timeout.ms": o.Setting("journal-timeout", settings.Defaults),
		"dfs.journalnode.edits.dir":          "/data/journal", "dfs.namenode.name.dir": "/data/name", "dfs.datanode.data.dir": "/data/blocks",
		"dfs.replication": fmt.Sprint(max(1, min(o.Number("replication", settings.Defaults), workers))), "dfs.permissions.enabled": "false",
		"dfs.datanode.hostname": node.Host, "dfs.namenode.datanode.registration.ip-hostname-check": "false",
		"dfs.namenode.rpc-bind-host": "0.0.0.0", "dfs.namenode.http-bind-host": "0.0.0.0",
		"dfs.heartbeat.interval": "1", "dfs.namenode.heartbeat.recheck-interval": "5000", "dfs.namenode.stale.datanode.interval": "3000",
		"dfs.namenode.avoid.read.stale.datanode": "true", "dfs.namenode.avoid.write.stale.datanode": "true",
		"dfs.namenode.safemode.extension": "0", "dfs.ha.tail-edits.period": "1", "dfs.namenode.handler.count": "5",
		"dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
	}
	for i, n := range jvm.Of(jvm.Manager, all) {
		id := fmt.Sprint("nn", i+1)
		ids = append(ids, id)
		site["dfs.namenode.rpc-address."+nameservice+"."+id] = fmt.Sprintf("%s:%d", n.Host, namePort)
		site["dfs.namenode.http-address."+nameservice+"."+id] = fmt.Sprintf("%s:%d", n.Host, webPort)
		if n.Name == node.Name {
			site["dfs.ha.namenode.id"] = id
		}
	}
	for _, n := range jvm.Keepers(all) {
		journals = append(journals, fmt.Sprintf("%s:%d", n.Host, journalPort))
	}
	site["dfs.ha.namenodes."+nameservice] = strings.Join(ids, ",")
	site["dfs.namenode.shared.edits.dir"] = "qjournal://" + strings.Join(journals, ";") + "/" + nameservice
	made := []cluster.File{jvm.HadoopFile("core-site.xml", core), jvm.HadoopFile("hdfs-site.xml", site), jvm.HadoopLog(), {Path: "/data/tmp/made", Once: true}}
	for _, page := range []string{"hdfs", "journal", "datanode"} { // the jars have no web pages, which the servers look for
		made = append(made, cluster.File{Path: jvm.HadoopConf + "/webapps/" + page + "/made", Once: true})
	}
	return made
}

func java(heap int, class string, args ...string) []string {
	options := []string{"-Djava.net.preferIPv4Stack=true", "--add-opens=java.base/java.lang=ALL-UNNAMED"}
	return jvm.Java(heap, classpath, options, "org.apache.hadoop.hdfs."+class, args...)
}

// once is a command that is carried out until it succeeds, and never again: done is the file
// that says so. It fails with the code fine if somebody has done it before.
func once(done, fine string, command []string) string {
	return fmt.Sprintf("[ -e %s ] || { until %s; do [ $? = %s ] && break; sleep 1; done; : > %[1]s; }; ", done, quoted(command), fine)
}

func quoted(command []string) string {
	var words []string
	for _, w := range command {
		words = append(words, "'"+w+"'")
	}
	return strings.Join(words, " ")
}

// Pod implements cluster.System. The first name node makes the file system, and the others copy it.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	pod := cluster.Pod{Data: []cluster.Dir{{Path: "/data"}}, Files: files(node, all, o)}
	add := func(name string, memory int64, entrypoint []string) {
		pod.Containers = append(pod.Containers, cluster.Container{
			Name: name, Image: image, Entrypoint: entrypoint, Args: []string{}, Memory: memory << 20, Env: []string{"JAVA_HOME=/opt/java", "LANG=C.UTF-8"},
		})
	}
	if node.Role == jvm.Worker {
		pod.Ports = []cluster.Port{{Name: "web", Number: dataWebPort}, {Name: "data", Number: dataPort, Peers: true}, {Name: "data-ipc", Number: dataIPC, Peers: true}}
	} else {
		pod.Ports = []cluster.Port{{Name: "web", Number: webPort}, {Name: "name", Number: namePort, Peers: true}, {Name: "failover", Number: failoverPort, Peers: true}}
	}
	if slices.ContainsFunc(jvm.Keepers(all), func(n cluster.Node) bool { return n.Name == node.Name }) {
		add("journalnode", 320, jvm.Restarted(java(64, "qjournal.server.JournalNode")))
		pod.Ports = append(pod.Ports, cluster.Port{Name: "journal", Number: journalPort, Peers: true}, cluster.Port{Name: "journal-web", Number: journalWeb, Peers: true})
	}
	if node.Role == jvm.Worker {
		add("datanode", 512, jvm.Restarted(java(96, "server.datanode.DataNode")))
	} else {
		first := jvm.Of(jvm.Manager, all)[0]
		// The others wait for the first one: each JVM that tries in vain makes it start later.
		prepare := fmt.Sprintf("[ -e /data/prepared ] || until bash -c ': < /dev/tcp/%s/%d' 2> /dev/null; do sleep 0.5; done; ", first.Host, namePort) +
			once("/data/prepared", "x", java(128, "server.namenode.NameNode", "-bootstrapStandby", "-force", "-nonInteractive"))
		zookeeper := "until [ -e /data/prepared ]; do sleep 0.5; done; "
		if first.Name == node.Name {
			prepare = once("/data/prepared", "x", java(128, "server.namenode.NameNode", "-format", "-force", "-nonInteractive"))
			zookeeper = once("/data/prepared-zookeeper", "2", java(64, "tools.DFSZKFailoverController", "-formatZK", "-nonInteractive"))
		}
		add("namenode", 640, jvm.RestartedAfter(prepare, java(128, "server.namenode.NameNode")))
		add("failover", 320, jvm.RestartedAfter(zookeeper, java(64, "tools.DFSZKFailoverController")))
	}
	jvm.ZooKeeper(&pod, node, all, image, classpath, o.Number("session-timeout", settings.Defaults))
	return pod
}

// Timing implements cluster.Timed. Measured on a busy machine: all serve 61 to 80 s after their
// first start; a name node that is started again is of use after about 12 s.
func (System) Timing(o cluster.Options) cluster.Timing {
	return settings.Timing(o, 6*time.Minute, 20*time.Second, 5*time.Second)
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "3.4.2"

// Images implements cluster.Imaged.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	version, err := jvm.Release("hadoop", o, DefaultVersion, 3, 3)
	if err != nil {
		return nil, err
	}
	var jars []string
	for _, name := range []string{"common", "hdfs", "hdfs-client"} {
		jars = append(jars, "org.apache.hadoop:hadoop-"+name+":"+version)
	}
	return []images.Recipe{jvm.Recipe(image, version, libDir, []string{"bash", "dash", "coreutils"}, jars)}, nil
}
