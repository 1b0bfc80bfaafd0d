// Package systems is the catalogue of the systems under test that coup knows. There is a
// folder for each, which describes its nodes, its client, and what its nodes tell. Start
// with [Find].
package systems

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"coup/cluster"
	"coup/cluster/systems/consul"
	"coup/cluster/systems/etcd"
	"coup/cluster/systems/hdfs"
	"coup/cluster/systems/kafka"
	"coup/cluster/systems/nats"
	"coup/cluster/systems/postgres"
	"coup/cluster/systems/primarybackup"
	"coup/cluster/systems/rabbitmq"
	"coup/cluster/systems/raft"
	"coup/cluster/systems/redis"
	"coup/cluster/systems/rqlite"
	"coup/cluster/systems/spark"
	"coup/cluster/systems/yarn"
	"coup/cluster/systems/zookeeper"
)

var all = map[string]cluster.System{
	"consul":         consul.System{},
	"etcd":           etcd.System{},
	"hdfs":           hdfs.System{},
	"kafka":          kafka.System{},
	"nats":           nats.System{},
	"primary-backup": primarybackup.System{},
	"postgres":       postgres.System{},
	"postgres-alone": postgres.Alone{},
	"raft":           raft.System{},
	"redis":          redis.System{},
	"rabbitmq":       rabbitmq.System{},
	"rqlite":         rqlite.System{},
	"spark":          spark.System{},
	"yarn":           yarn.System{},
	"zookeeper":      zookeeper.System{},
}

// Names lists the systems, sorted.
func Names() []string { return slices.Sorted(maps.Keys(all)) }

// Find returns the system of that name; its error says which there are.
func Find(name string) (cluster.System, error) {
	s, ok := all[name]
	if !ok {
		return nil, fmt.Errorf("there is no system %q (there is %s)", name, strings.Join(Names(), ", "))
	}
	return s, nil
}
