// Package jvm is what systems of several programs for the JVM have in common: managers of which
// one leads, the ZooKeeper that stands beside them, programs that are started again when they end, and
// jobs whose effect is a line in a file.
//
// Start with [Managers], [Settings], [ZooKeeper] and [Marks].
package jvm

import (
	"fmt"
	"slices"
	"strings"

	"coup/cluster"
)

// Flags are for all programs: less of everything than for a machine of its own.
var flags = []string{"-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}

// Java is the command that runs a class, with at most heap megabytes of heap. options are
// those of the JVM, in front of the class, and args come after it.
func Java(heap int, classpath string, options []string, class string, args ...string) []string {
	return slices.Concat([]string{"java", fmt.Sprintf("-Xmx%dm", heap)}, flags, options, []string{"-cp", classpath, class}, args)
}

// Restarted is the entrypoint of a container whose program is started again a second after it
// has ended by itself, as a supervisor of services does. The image needs a shell and sleep.
func Restarted(command []string) []string { return RestartedAfter("", command) }

// RestartedAfter is Restarted after commands of the shell; "": there are none.
func RestartedAfter(commands string, command []string) []string {
	return append([]string{"sh", "-c", `trap 'kill $p; wait $p; exit' TERM; ` + commands + `while :; do "$@" & p=$!; wait $p; sleep 1; done`, "sh"}, command...)
}

// The roles of nodes: those that decide, of which one leads, and those that do the work.
const (
	Manager = "manager"
	Worker  = "worker"
)

// Roles are those of n nodes: a third or more of them work, one in a cluster of three.
func Roles(n int) []cluster.Role {
	if n < 2 {
		return []cluster.Role{{Name: Manager, Nodes: n}}
	}
	workers := max(1, (n-1)/2)
	return []cluster.Role{{Name: Manager, Nodes: n - workers}, {Name: Worker, Nodes: workers}}
}

// Of are the nodes of a role.
func Of(role string, all []cluster.Node) []cluster.Node {
	return slices.DeleteFunc(slices.Clone(all), func(n cluster.Node) bool { return n.Role != role })
}

const (
	zkClientPort   = 2181
	zkPeerPort     = 2888
	zkElectionPort = 3888
	zkConfig       = "/data/zoo.cfg"
)

// Keepers are the nodes on which a server of ZooKeeper runs: the first three, or one.
func Keepers(all []cluster.Node) []cluster.Node {
	if len(all) < 3 {
		return all[:min(len(all), 1)]
	}
	return all[:3]
}

// Quorum is what clients of ZooKeeper are told: host:port,host:port.
func Quorum(all []cluster.Node) string {
	var at []string
	for _, n := range Keepers(all) {
		at = append(at, fmt.Sprintf("%s:%d", n.Host, zkClientPort))
	}
	return strings.Join(at, ",")
}

// ZooKeeper adds a server of ZooKeeper to the pod of a node, if it is one of those that have
// one. Its jars are in the image, on the classpath. session is the longest timeout of a session
// that it grants, in milliseconds; its servers give each other up after the same time, as a busy machine that
// delays the ones delays the others. The pod has a directory /data.
func ZooKeeper(pod *cluster.Pod, node cluster.Node, all []cluster.Node, image, classpath string, session int64) {
	at := slices.IndexFunc(Keepers(all), func(n cluster.Node) bool { return n.Name == node.Name })
	if at < 0 {
		return
	}
	config := []string{
		"dataDir=/data/zookeeper", "admin.enableServer=false", "4lw.commands.whitelist=*", "maxClientCnxns=0",
		fmt.Sprint("clientPort=", zkClientPort), fmt.Sprint("tickTime=", max(500, session/3)), "initLimit=8", "syncLimit=3", fmt.Sprint("maxSessionTimeout=", session),
	}
	if servers := Keepers(all); len(servers) > 1 {
		for i, n := range servers {
			config = append(config, fmt.Sprintf("server.%d=%s:%d:%d", i+1, n.Host, zkPeerPort, zkElectionPort))
		}
	}
	pod.Containers = slices.Insert(pod.Containers, 0, cluster.Container{
		Name: "zookeeper", Image: image, Memory: 256 << 20,
		Entrypoint: Java(96, classpath, []string{"-Dzookeeper.leaderConnectDelayDuringRetryMs=250"}, "org.apache.zookeeper.server.quorum.QuorumPeerMain", zkConfig),
		Args:       []string{},
	})
	pod.Ports = append(pod.Ports, cluster.Port{Name: "zookeeper", Number: zkClientPort, Peers: true},
		cluster.Port{Name: "zookeeper-peers", Number: zkPeerPort, Peers: true}, cluster.Port{Name: "zookeeper-elections", Number: zkElectionPort, Peers: true})
	pod.Files = append(pod.Files, cluster.File{Path: zkConfig, Content: []byte(strings.Join(config, "\n") + "\n")},
		cluster.File{Path: "/data/zookeeper/myid", Content: fmt.Append(nil, at+1, "\n")})
}
