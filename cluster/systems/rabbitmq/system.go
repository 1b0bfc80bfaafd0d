// Package rabbitmq is RabbitMQ (rabbitmq.com) as a system under test, as Debian has it,
// through its official Go client.
//
// Start with [System]. A queue of coup is a queue of RabbitMQ by the same name. A message
// is sent persistent and with a publisher confirm; it is taken by basic.get and then
// acknowledged. Each queue has a leader of its own.
//
// RabbitMQ hands out every confirmed message at least once. A message whose
// acknowledgement is lost is handed out again, at another place in the queue. So its
// queues are judged by the workload messages, and not as first-in first-out queues.
package rabbitmq

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"coup/cluster"
	"coup/images"
)

// System is RabbitMQ; see the settings.
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
	brokerPort     = 5672
	managementPort = 15672
)

// The settings, with what each can be; the first is the default.
var settings = map[string][]string{
	// quorum: replicated by Raft; classic: on one node; mirrored: classic, mirrored to all nodes
	"queue": {"quorum", "classic", "mirrored"},
	// what nodes do that find themselves cut off: cluster_partition_handling
	"partition-handling": {"pause_minority", "autoheal", "ignore"},
	// whether messages are to outlive their node
	"persistent": {"true", "false"},
}

func setting(o cluster.Options, name string) string {
	if v, ok := o.Settings[name]; ok {
		return v
	}
	return settings[name][0]
}

// Name implements cluster.System.
func (System) Name() string { return "rabbitmq" }

// Loses implements cluster.Lossy.
func (System) Loses(o cluster.Options) string {
	switch {
	case setting(o, "queue") == "mirrored":
		return "a mirror that was cut off forgets what it has, and may be the one that stays; a mirror that lags may take over"
	case setting(o, "queue") == "classic" && setting(o, "persistent") == "false":
		return "a classic queue forgets messages that are not persistent when its node ends"
	}
	return ""
}

// Check implements cluster.System.
func (System) Check(o cluster.Options) error {
	switch {
	case o.Version != "":
		return fmt.Errorf("rabbitmq runs in the release that Debian has: leave out the version %q, or name an image of it with --image", o.Version)
	case o.Bug != "":
		return fmt.Errorf("rabbitmq has no planted bug %q", o.Bug)
	case o.Reads != "" && o.Reads != "linearizable":
		return fmt.Errorf("rabbitmq has no mode of reads %q", o.Reads)
	}
	if err := o.CheckSettings("rabbitmq", slices.Sorted(maps.Keys(settings))...); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		values := settings[name]
		if !slices.Contains(values, o.Settings[name]) {
			return fmt.Errorf("%s is one of %s, not %q", name, strings.Join(values, ", "), o.Settings[name])
		}
	}
	return nil
}

// Images implements cluster.Imaged.
func (System) Images(cluster.Options) ([]images.Recipe, error) {
	return []images.Recipe{{Name: "rabbitmq", Debian: []string{
		"rabbitmq-server", "bash", "dash", "coreutils", "grep", "sed", "procps", "hostname", "util-linux",
	}}}, nil
}

// nodeName is what RabbitMQ calls a node. An address serves as its host: there is no DNS.
func nodeName(n cluster.Node) string { return "rabbit@" + n.Host }

// Pod implements cluster.System. Nodes form a cluster at their first start by the list in
// their configuration.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	conf := []string{
		fmt.Sprint("listeners.tcp.default = ", brokerPort), fmt.Sprint("management.tcp.port = ", managementPort),
		"loopback_users.guest = false", "log.console = true", "log.console.level = info", "log.file = false",
		"cluster_partition_handling = " + setting(o, "partition-handling"),
		"disk_free_limit.absolute = 50MB", "vm_memory_high_watermark.absolute = 512MB",
		"cluster_formation.peer_discovery_backend = classic_config",
	}
	for i, n := range all {
		conf = append(conf, fmt.Sprintf("cluster_formation.classic_config.nodes.%d = %s", i+1, nodeName(n)))
	}
	file := func(name, content string) cluster.File {
		return cluster.File{Path: "/data/" + name, Content: []byte(content + "\n")}
	}
	cookie := file(".erlang.cookie", o.Secret("erlang-cookie"))
	cookie.Mode = 0o400
	return cluster.Pod{
		Containers: []cluster.Container{{
			Name: "rabbitmq", Image: "rabbitmq",
			// Debian's rabbitmq-server in PATH is one that changes the user first.
			Entrypoint: []string{"sh", "-c", `PATH="/usr/lib/rabbitmq/bin:$PATH" exec rabbitmq-server`},
			Args:       []string{},
			Env: []string{
				"HOME=/data", "RABBITMQ_NODENAME=" + nodeName(node), "RABBITMQ_USE_LONGNAME=true",
				"RABBITMQ_MNESIA_BASE=/data/mnesia", "RABBITMQ_LOG_BASE=/data/log", "RABBITMQ_LOGS=-",
				"RABBITMQ_CONFIG_FILE=/data/rabbitmq.conf", "RABBITMQ_ENABLED_PLUGINS_FILE=/data/enabled_plugins",
				"RABBITMQ_GENERATED_CONFIG_DIR=/data/config", "RABBITMQ_PID_FILE=/data/pid",
				"RABBITMQ_FEATURE_FLAGS_FILE=/data/feature_flags",
				// Two schedulers that do not spin, and peers that are missed after 8 s instead of 60.
				"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel net_ticktime 8",
			},
		}},
		Ports: []cluster.Port{
			{Name: "amqp", Number: brokerPort}, {Name: "management", Number: managementPort},
			{Name: "epmd", Number: 4369, Peers: true}, {Name: "distribution", Number: 25672, Peers: true},
		},
		Data:  []cluster.Dir{{Path: "/data"}},
		Files: []cluster.File{file("rabbitmq.conf", strings.Join(conf, "\n")), file("enabled_plugins", "[rabbitmq_management]."), cookie},
	}
}

// Timing implements cluster.Timed. Nodes miss a peer that is cut off or frozen after up to
// ten seconds, and those that found themselves in a minority start anew.
func (System) Timing(cluster.Options) cluster.Timing {
	return cluster.Timing{Start: 3 * time.Minute, Restart: 20 * time.Second, Failover: 6 * time.Second, Election: 2 * time.Minute}
}
