// Package etcd is etcd (etcd.io) as a system under test, in any release from 3.4 on,
// through its official client.
//
// Start with [System]. In etcd, a register is a key; a set is a key for each
// element; a queue is a key for each element, in the order in which they were
// created; a counter and the lists of transactions are keys that are read, and then
// written if nobody has written them since; a lock is a key with a lease.
package etcd

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"coup/cluster"
	"coup/images"
)

// System is etcd. Its settings are flags of etcd, by their names (see flags), and
// lock-ttl, the seconds after which a lock that is not renewed passes to others.
type System struct{}

var (
	_ cluster.System      = System{}
	_ cluster.Imaged      = System{}
	_ cluster.Timed       = System{}
	_ cluster.Informer    = System{}
	_ cluster.EventReader = System{}
	_ cluster.Digester    = System{}
	_ cluster.Transferer  = System{}
	_ cluster.Membership  = System{}
)

const (
	clients    = "clients" // the name of the client port
	clientPort = 2379
	peerPort   = 2380
	dataDir    = "/data"
)

// The modes of reads.
const (
	linearizable = "linearizable"
	stale        = "stale" // what etcd calls serializable: the node answers from what it has
)

// flags are the settings that become flags of etcd, with what coup sets if nobody
// else does: elections within half a second, as in one machine room.
var flags = map[string]string{
	"heartbeat-interval": "50", "election-timeout": "500", // milliseconds
	"snapshot-count": "", "pre-vote": "", "quota-backend-bytes": "", "max-request-bytes": "",
	"auto-compaction-mode": "", "auto-compaction-retention": "",
	"backend-batch-interval": "", "backend-batch-limit": "", "unsafe-no-fsync": "",
	"log-level": "", "strict-reconfig-check": "false", // true: within 5 s of a fault no member is added
}

const (
	lockTTL        = "lock-ttl"
	defaultLockTTL = 1 // seconds: less than a strike usually lasts
)

// Name implements cluster.System.
func (System) Name() string { return "etcd" }

// Check implements cluster.System.
func (s System) Check(o cluster.Options) error {
	if o.Bug != "" {
		return fmt.Errorf("etcd has no planted bug %q, only its own: see --version", o.Bug)
	}
	if o.Reads != "" && o.Reads != linearizable && o.Reads != stale {
		return fmt.Errorf("unknown mode of reads %q; etcd has linearizable and stale", o.Reads)
	}
	if err := o.CheckSettings("etcd", append(slices.Sorted(maps.Keys(flags)), lockTTL)...); err != nil {
		return err
	}
	for _, name := range []string{"heartbeat-interval", "election-timeout", lockTTL} {
		if _, err := number(o, name); err != nil {
			return err
		}
	}
	heartbeat, _ := number(o, "heartbeat-interval")
	election, _ := number(o, "election-timeout")
	if election < 5*heartbeat {
		return fmt.Errorf("election-timeout (%d ms) must be at least five times heartbeat-interval (%d ms)", election, heartbeat)
	}
	_, err := s.Images(o)
	return err
}

// number is a setting that is a whole number above zero.
func number(o cluster.Options, name string) (int64, error) {
	value, ok := o.Settings[name]
	if !ok {
		if name == lockTTL {
			return defaultLockTTL, nil
		}
		value = flags[name]
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%s is a whole number above 0, not %q", name, value)
	}
	return n, nil
}

func peerURL(n cluster.Node) string { return fmt.Sprintf("http://%s:%d", n.Host, peerPort) }

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	var peers []string
	for _, n := range all {
		peers = append(peers, n.Name+"="+peerURL(n))
	}
	args := []string{
		"--name=" + node.Name, "--data-dir=" + dataDir + "/etcd",
		"--initial-cluster=" + strings.Join(peers, ","), "--initial-cluster-state=new",
		fmt.Sprintf("--listen-peer-urls=http://0.0.0.0:%d", peerPort),
		"--initial-advertise-peer-urls=" + peerURL(node),
		fmt.Sprintf("--listen-client-urls=http://0.0.0.0:%d", clientPort),
		fmt.Sprintf("--advertise-client-urls=http://%s:%d", node.Host, clientPort),
		"--logger=zap", "--log-outputs=stderr",
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if value := o.Setting(name, flags); value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	return cluster.Pod{
		Containers: []cluster.Container{{Name: "etcd", Image: "etcd", Entrypoint: []string{"etcd"}, Args: args}},
		Ports:      []cluster.Port{{Name: clients, Number: clientPort}, {Name: "peers", Number: peerPort, Peers: true}},
		Data:       []cluster.Dir{{Path: dataDir}},
		Sealed:     []string{"etcd/member/wal/*.wal", "etcd/member/snap/*.snap"},
	}
}

// Timing implements cluster.Timed. A leader looks once in each election-timeout
// whether a majority has answered it since the last time.
func (System) Timing(o cluster.Options) cluster.Timing {
	election, _ := number(o, "election-timeout")
	timeout := time.Duration(election) * time.Millisecond
	return cluster.Timing{Lease: 2 * timeout, Election: 60 * timeout}
}

// DefaultVersion is the release that is run if none is asked for.
const DefaultVersion = "3.7.3"

// pseudo are the releases of 3.4 that can be had as a Go module, by the names that
// the go command gives to commits: their tags do not fit the module's path.
var pseudo = map[string]string{
	"3.4.9":  "v0.5.0-alpha.5.0.20200520232829-54ba9589114f",
	"3.4.13": "v0.5.0-alpha.5.0.20200910180754-dd1b699fc489",
	"3.4.14": "v0.5.0-alpha.5.0.20201125193152-8a03d2e9614b",
}

// keeper is the program that starts etcd: see package keeper.
//
//go:embed keeper/keeper.go
var keeper string

// Images implements cluster.Imaged.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	version := strings.TrimPrefix(o.Version, "v")
	if version == "" {
		version = DefaultVersion
	}
	program := images.GoProgram{
		Path: "/usr/local/bin/etcd", Module: "go.etcd.io/etcd/server/v3", Version: "v" + version,
		Main: "package main\n\nimport (\n\t\"os\"\n\n\t\"go.etcd.io/etcd/server/v3/etcdmain\"\n)\n\nfunc etcd() { etcdmain.Main(os.Args) }\n",
		More: []string{keeper},
	}
	parts := strings.Split(version, ".")
	switch minor, err := strconv.Atoi(slices.Concat(parts, []string{"", ""})[1]); {
	case len(parts) < 3 || parts[0] != "3" || err != nil || minor < 4:
		return nil, fmt.Errorf("%q is no release of etcd from 3.4.0 on, such as %s", o.Version, DefaultVersion)
	case minor == 4:
		module, ok := pseudo[version]
		if !ok {
			return nil, fmt.Errorf("of etcd 3.4 only the releases %s are to be had as a Go module, not %s", strings.Join(slices.Sorted(maps.Keys(pseudo)), ", "), version)
		}
		program.Module, program.Version = "go.etcd.io/etcd", module
		program.Main = "package main\n\nimport \"go.etcd.io/etcd/etcdmain\"\n\nfunc etcd() { etcdmain.Main() }\n"
		// Its client is written for the gRPC of its time.
		program.Replace = []string{"google.golang.org/grpc=google.golang.org/grpc@v1.26.0"}
	}
	return []images.Recipe{{Name: "etcd", Version: version, Programs: []images.GoProgram{program}}}, nil
}
