// Package spark is Apache Spark (spark.apache.org) as a system under test, in releases of
// version 4: its own cluster manager ("standalone"), with masters that keep in ZooKeeper what
// was handed to them, of which one leads.
//
// Start with [System]. A job is a driver in cluster mode, which the masters let a worker run. It
// is handed over at the REST port, and leaves a mark on the worker that runs it.
package spark

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"coup/checker/invariants"
	"coup/cluster"
	"coup/cluster/systems/jvm"
	"coup/images"
)

// System is Spark; see the settings.
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
	masterPort    = 7077
	workerPort    = 7078
	masterWebPort = 8080
	workerWebPort = 8081
	restPort      = 6066
)

// settings are what can be set.
var settings = jvm.Settings{
	Defaults: map[string]string{
		"supervise":       "true", // a driver that is lost is run again (--supervise); Spark's default is false
		"cores":           "2",    // drivers that a worker runs at a time
		"session-timeout": "3000", // milliseconds until ZooKeeper takes a master for dead that says nothing; Spark asks for 60000
		"worker-timeout":  "10",   // seconds after which a worker is lost that says nothing (spark.worker.timeout); Spark's default is 60
	},
	Words:        map[string][]string{"supervise": {"true", "false"}},
	Milliseconds: []string{"session-timeout"},
}

func supervised(o cluster.Options) bool { return o.Setting("supervise", settings.Defaults) == "true" }

// Name implements cluster.System.
func (System) Name() string { return "spark" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if err := settings.Check("spark", o, "linearizable"); err != nil {
		return err
	}
	_, err := s.Images(o)
	return err
}

// Loses implements cluster.Lossy.
func (System) Loses(o cluster.Options) string {
	if supervised(o) {
		return ""
	}
	return "supervise=false: a driver that still waits for a worker when another master takes over is given up"
}

// Isolation implements cluster.Isolated: the level of the workload jobs. A driver that has ended
// while no master led is run again.
func (System) Isolation(o cluster.Options) string {
	if supervised(o) {
		return invariants.AtLeastOnce
	}
	return ""
}

// Roles implements cluster.Grouped.
func (System) Roles(n int, _ cluster.Options) []cluster.Role { return jvm.Roles(n) }

// opened are the packages of the JDK that Spark looks into.
var opened = []string{
	"java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util", "java.util.concurrent",
	"java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar",
}

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	var masters []string
	for _, n := range jvm.Of(jvm.Manager, all) {
		masters = append(masters, fmt.Sprintf("%s:%d", n.Host, masterPort))
	}
	// Masters take a worker for lost after this, and workers send four heartbeats meanwhile.
	options := []string{"-Dspark.worker.timeout=" + o.Setting("worker-timeout", settings.Defaults)}
	for _, name := range opened {
		options = append(options, "--add-opens=java.base/"+name+"=ALL-UNNAMED")
	}
	program := cluster.Container{
		Image: "spark", Args: []string{}, Memory: 512 << 20,
		Env: []string{
			"SPARK_HOME=" + home, "JAVA_HOME=/opt/java", "SPARK_LOCAL_IP=" + node.Host, "SPARK_LOCAL_DIRS=/data/tmp",
			"SPARK_SCALA_VERSION=2.13", // or it looks for a directory of its sources before each driver
			"LANG=C.UTF-8",
		},
	}
	pod := cluster.Pod{Data: []cluster.Dir{{Path: "/data"}}, Files: []cluster.File{{Path: "/data/tmp/made", Once: true}}}
	if node.Role == jvm.Worker {
		program.Name, program.Memory = "worker", 1<<30
		// A worker goes on asking the master that it knows. If another one leads by now, which has
		// not heard of the worker, it must end and begin anew to find it, by default after 16 attempts.
		options = append(options, "-Dspark.worker.initialRegistrationRetries=2", "-Dspark.worker.maxRegistrationRetries=2")
		program.Entrypoint = jvm.Restarted(jvm.Java(192, libDir+"/*", options, "org.apache.spark.deploy.worker.Worker",
			"--host", node.Host, "--port", strconv.Itoa(workerPort), "--webui-port", strconv.Itoa(workerWebPort),
			"-c", o.Setting("cores", settings.Defaults), "-m", "2g", "-d", "/data/work", "spark://"+strings.Join(masters, ",")))
		pod.Ports = []cluster.Port{{Name: "web", Number: workerWebPort}, {Name: "worker", Number: workerPort, Peers: true}}
		pod.Files = append(pod.Files, jvm.Marked())
	} else {
		program.Name = "master"
		options = append(options, "-Dspark.deploy.recoveryMode=ZOOKEEPER", "-Dspark.deploy.zookeeper.url="+jvm.Quorum(all), "-Dspark.deploy.zookeeper.dir=/spark",
			"-Dspark.master.rest.enabled=true", "-Dspark.master.rest.host=0.0.0.0")
		program.Entrypoint = jvm.Restarted(jvm.Java(192, libDir+"/*", options, "org.apache.spark.deploy.master.Master",
			"--host", node.Host, "--port", strconv.Itoa(masterPort), "--webui-port", strconv.Itoa(masterWebPort)))
		pod.Ports = []cluster.Port{{Name: "web", Number: masterWebPort}, {Name: "rest", Number: restPort}, {Name: "master", Number: masterPort, Peers: true}}
	}
	pod.Containers = []cluster.Container{program}
	jvm.ZooKeeper(&pod, node, all, "spark", libDir+"/*", o.Number("session-timeout", settings.Defaults))
	return pod
}

// Timing implements cluster.Timed. A master takes over when the session of the old one is over,
// and waits for the workers to come to it.
func (System) Timing(o cluster.Options) cluster.Timing {
	return settings.Timing(o, 4*time.Minute, 12*time.Second, 4*time.Second)
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "4.0.1"

// Where the image has Spark, and its jars.
const (
	home   = "/opt/spark"
	libDir = home + "/jars"
)

//go:embed Mark.java
var mark string

// Images implements cluster.Imaged.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	version, err := jvm.Release("spark", o, DefaultVersion, 4, 0)
	if err != nil {
		return nil, err
	}
	r := jvm.Recipe("spark", version, libDir, []string{"dash", "coreutils"}, []string{"org.apache.spark:spark-core_2.13:" + version},
		"rocksdbjni-*.jar", "icu4j-*.jar", "leveldbjni-*.jar", "avro-ipc-*.jar", "avro-mapred-*.jar")
	r.Java.Modules, r.Java.Sources = []string{"jdk.incubator.vector"}, map[string]string{"Mark.java": mark}
	return []images.Recipe{r}, nil
}
