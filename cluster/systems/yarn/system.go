// Package yarn is YARN of Apache Hadoop (hadoop.apache.org) as a system under test, in releases
// of version 3: resource managers that keep in ZooKeeper what was submitted to them, of which one
// is active, and node managers, which run it.
//
// Start with [System]. A job is an application. It is submitted over HTTP, and consists of its
// master alone, which leaves a mark on the node that runs it.
package yarn

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"coup/checker/invariants"
	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/images"
)

// System is YARN; see the settings.
type System struct{}

var (
	_ cluster.System    = System{}
	_ cluster.Imaged    = System{}
	_ cluster.Timed     = System{}
	_ cluster.Lossy     = System{}
	_ cluster.Isolated  = System{}
	_ cluster.Grouped   = System{}
	_ cluster.Informer  = System{}
	_ cluster.Readiness = System{}
)

const (
	webPort     = 8088
	nodeWebPort = 8042
	nodePort    = 8041
)

// settings are what can be set.
var settings = jvm.Settings{
	Defaults: map[string]string{
		"submit":          "saved", // when a client takes an application for submitted: saved, by the manager in ZooKeeper, or accepted, with the answer 202
		"attempts":        "2",     // how often an application is tried (yarn.resourcemanager.am.max-attempts)
		"slots":           "2",     // applications that a node runs at a time
		"session-timeout": "3000",  // milliseconds until ZooKeeper takes a manager for dead that says nothing; YARN's default is 10000
		"node-timeout":    "10000", // milliseconds after which a node is lost that says nothing; YARN's default is 600000
		"attempt-timeout": "30000", // milliseconds after which an attempt is lost that says nothing, such as one that takes so long to start; YARN's default is 600000
	},
	Words:        map[string][]string{"submit": {"saved", "accepted"}},
	Milliseconds: []string{"session-timeout", "node-timeout", "attempt-timeout"},
}

func saved(o cluster.Options) bool { return o.Setting("submit", settings.Defaults) == "saved" }

// Name implements cluster.System.
func (System) Name() string { return "yarn" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if err := settings.Check("yarn", o, "linearizable"); err != nil {
		return err
	}
	_, err := s.Images(o)
	return err
}

// Loses implements cluster.Lossy.
func (System) Loses(o cluster.Options) string {
	if saved(o) {
		return ""
	}
	return "submit=accepted: a manager answers 202 before it has stored an application, and forgets it if another one takes over"
}

// Isolation implements cluster.Isolated: the level of the workload jobs. An attempt that is lost
// with its node is an attempt, whether it has left its mark or not.
func (System) Isolation(o cluster.Options) string {
	if o.Number("attempts", settings.Defaults) > 1 {
		return invariants.Accounted
	}
	return invariants.AtMostOnce
}

// Roles implements cluster.Grouped.
func (System) Roles(n int, _ cluster.Options) []cluster.Role { return jvm.Roles(n) }

const (
	image     = "yarn"
	libDir    = "/opt/hadoop/lib"
	classpath = jvm.HadoopConf + ":" + libDir + "/*"
	slot      = 256 // megabytes
)

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	core := jvm.HadoopCommon(all, o.Number("session-timeout", settings.Defaults))
	core["fs.defaultFS"] = "file:///"
	memory := fmt.Sprint(slot * o.Number("slots", settings.Defaults))
	site := map[string]string{
		"yarn.resourcemanager.ha.enabled": "true", "yarn.resourcemanager.cluster-id": "coup",
		"yarn.resourcemanager.recovery.enabled":                   "true",
		"yarn.resourcemanager.store.class":                        "org.apache.hadoop.yarn.server.resourcemanager.recovery.ZKRMStateStore",
		"yarn.resourcemanager.zk-state-store.parent-path":         "/rmstore",
		"yarn.resourcemanager.bind-host":                          "0.0.0.0",
		"yarn.resourcemanager.scheduler.class":                    "org.apache.hadoop.yarn.server.resourcemanager.scheduler.fifo.FifoScheduler",
		"yarn.scheduler.minimum-allocation-mb":                    "64",
		"yarn.resourcemanager.am.max-attempts":                    o.Setting("attempts", settings.Defaults),
		"yarn.am.liveness-monitor.expiry-interval-ms":             o.Setting("attempt-timeout", settings.Defaults),
		"yarn.nm.liveness-monitor.expiry-interval-ms":             o.Setting("node-timeout", settings.Defaults),
		"yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "500",
		// Whoever looks for the active manager asks one after the other.
		"yarn.client.failover-sleep-base-ms": "100", "yarn.client.failover-sleep-max-ms": "500", "yarn.resourcemanager.connect.retry-interval.ms": "500",
		"yarn.nodemanager.hostname": node.Host, "yarn.nodemanager.bind-host": "0.0.0.0", "yarn.nodemanager.address": fmt.Sprintf("%s:%d", node.Host, nodePort),
		"yarn.nodemanager.local-dirs": "/data/nm/local", "yarn.nodemanager.log-dirs": "/data/nm/log", "yarn.nodemanager.resource.memory-mb": memory,
		"yarn.nodemanager.resource.cpu-vcores": "8", "yarn.nodemanager.vmem-check-enabled": "false", "yarn.nodemanager.pmem-check-enabled": "false",
		"yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100", // the disk is the machine's
	}
	var ids []string
	for i, n := range jvm.Of(jvm.Manager, all) {
		id := fmt.Sprint("rm", i+1)
		ids = append(ids, id)
		site["yarn.resourcemanager.hostname."+id] = n.Host
		site["yarn.resourcemanager.webapp.address."+id] = fmt.Sprintf("%s:%d", n.Host, webPort)
		if n.Name == node.Name {
			site["yarn.resourcemanager.ha.id"] = id
		}
	}
	site["yarn.resourcemanager.ha.rm-ids"] = strings.Join(ids, ",")
	options := []string{"-Djava.net.preferIPv4Stack=true", "--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED"}
	program := cluster.Container{
		Image: image, Args: []string{}, Memory: 768 << 20, Pids: 1024,
		Env: []string{"JAVA_HOME=/opt/java", "LANG=C.UTF-8"},
	}
	pod := cluster.Pod{
		Data:  []cluster.Dir{{Path: "/data"}},
		Files: []cluster.File{jvm.HadoopFile("core-site.xml", core), jvm.HadoopFile("yarn-site.xml", site), jvm.HadoopLog(), {Path: "/data/tmp/made", Once: true}},
	}
	if node.Role == jvm.Worker {
		program.Name, program.Memory = "nodemanager", 1536<<20
		program.Entrypoint = jvm.Restarted(jvm.Java(128, classpath, options, "org.apache.hadoop.yarn.server.nodemanager.NodeManager"))
		pod.Ports = []cluster.Port{{Name: "web", Number: nodeWebPort}, {Name: "node", Number: nodePort, Peers: true}}
		pod.Files = append(pod.Files, jvm.Marked())
	} else {
		program.Name = "resourcemanager"
		program.Entrypoint = jvm.Restarted(jvm.Java(192, classpath, options, "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"))
		pod.Ports = []cluster.Port{{Name: "web", Number: webPort}}
	}
	pod.Containers = []cluster.Container{program}
	jvm.ZooKeeper(&pod, node, all, image, classpath, o.Number("session-timeout", settings.Defaults))
	return pod
}

// Timing implements cluster.Timed. A manager takes over when the session of the old one is over,
// and then reads what is stored.
func (System) Timing(o cluster.Options) cluster.Timing {
	return settings.Timing(o, 4*time.Minute, 15*time.Second, 4*time.Second)
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "3.4.2"

//go:embed Mark.java
var mark string

// Images implements cluster.Imaged. An application is started by a script of bash.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	version, err := jvm.Release("hadoop", o, DefaultVersion, 3, 3)
	if err != nil {
		return nil, err
	}
	var jars []string
	for _, name := range []string{"resourcemanager", "nodemanager", "timelineservice"} {
		jars = append(jars, "org.apache.hadoop:hadoop-yarn-server-"+name+":"+version)
	}
	r := jvm.Recipe(image, version, libDir, []string{"bash", "dash", "coreutils", "findutils"}, jars)
	r.Java.Sources = map[string]string{"Mark.java": mark}
	return []images.Recipe{r}, nil
}
