// Package postgres is PostgreSQL (postgresql.org) as a system under test, through the Go
// client pgx: with Patroni, which makes a cluster of it ([System]), and alone, in any
// release since 12 ([Alone]).
//
// A node of a cluster is two programs: Patroni, which runs a server of PostgreSQL, and
// etcd, in which the Patronis of all nodes keep who is the primary. Clients look for the
// primary as those with several hosts and target_session_attrs=read-write do.
//
// Replication is asynchronous unless the setting synchronous says otherwise: what the
// primary has committed can be lost when another node takes its place.
//
// What each operation is to PostgreSQL: a register is a row, its compare-and-set an
// update of the row if it has the value; a set is a row for each element; a list is a row
// with an array; a bank is a row for each account.
package postgres

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"coup/cluster"
	"coup/images"
)

// System is PostgreSQL with Patroni and etcd; see the settings.
type System struct{}

var (
	_ cluster.System      = System{}
	_ cluster.Imaged      = System{}
	_ cluster.Timed       = System{}
	_ cluster.Lossy       = System{}
	_ cluster.Isolated    = System{}
	_ cluster.Informer    = System{}
	_ cluster.Readiness   = System{}
	_ cluster.Initializer = System{}
	_ cluster.Digester    = System{}
	_ cluster.Transferer  = System{}
)

const (
	serverPort  = 5432
	patroniPort = 8008
	etcdPort    = 2379
	peerPort    = 2380
	user        = 65534 // nobody, whom every image knows: PostgreSQL refuses root, and users without a name
	scope       = "coup"
)

// The modes of reads.
const (
	linearizable = "linearizable" // at the primary, which then shows that it still is the primary
	lease        = "lease"        // at the primary: one that does not know yet that it was replaced answers, too
	stale        = "stale"        // at the client's own node
)

// settings are what can be set, with its default. Those of Patroni are for its release
// 3.0.2, the last one that allows a failover within seconds.
var settings = map[string]string{
	"isolation":     "serializable", // of transactions: serializable, repeatable-read or read-committed
	"synchronous":   "false",        // a commit waits for another node (synchronous_mode)
	"failsafe":      "false",        // without etcd, a primary that reaches all others goes on (failsafe_mode)
	"ttl":           "5",            // seconds after which a primary that says nothing is replaced
	"loop-wait":     "1",            // seconds between two looks of a Patroni
	"retry-timeout": "2",            // seconds until a primary without etcd demotes itself
	"patroni":       "",             // a release of Patroni in place of the one that Debian has
}

// newer are the defaults of Patroni's newer releases: the least that they allow.
var newer = map[string]string{"ttl": "20", "loop-wait": "2", "retry-timeout": "3"}

func setting(o cluster.Options, name string) string {
	if _, ok := newer[name]; ok && o.Settings["patroni"] != "" {
		return o.Setting(name, newer)
	}
	return o.Setting(name, settings)
}

// number and enabled are settings that Check has found good.
func number(o cluster.Options, name string) int {
	n, _ := strconv.Atoi(setting(o, name))
	return n
}

func enabled(o cluster.Options, name string) bool { return setting(o, name) == "true" }

// levels are the isolation levels, as PostgreSQL calls them.
var levels = map[string]string{
	"serializable": "serializable", "repeatable-read": "repeatable read", "read-committed": "read committed",
}

// isolation is what PostgreSQL's documentation promises of a level. It does not say that
// the order of serializable transactions is that of time.
func isolation(o cluster.Options) string {
	if level := setting(o, "isolation"); level != "repeatable-read" {
		return level
	}
	return "snapshot-isolation"
}

// Isolation implements cluster.Isolated.
func (System) Isolation(o cluster.Options) string { return isolation(o) }

// release matches releases of Patroni.
var release = regexp.MustCompile(`^[1-9]\d*\.\d+\.\d+$`)

// Name implements cluster.System.
func (System) Name() string { return "postgres" }

// Check implements cluster.System.
func (System) Check(o cluster.Options) error {
	if o.Version != "" {
		return fmt.Errorf("postgres runs in the release that Debian has: leave out the version %q, or take --system postgres-alone@%[1]s, one server without Patroni", o.Version)
	}
	if err := checkCommon("postgres", settings, []string{linearizable, lease, stale}, o); err != nil {
		return err
	}
	for _, name := range []string{"synchronous", "failsafe"} {
		if v := setting(o, name); v != "true" && v != "false" {
			return fmt.Errorf("%s is true or false, not %q", name, v)
		}
	}
	patroni := setting(o, "patroni")
	if patroni != "" && !release.MatchString(patroni) {
		return fmt.Errorf("patroni is a release such as 4.1.5, not %q", patroni)
	}
	for name, least := range map[string]string{"ttl": "3", "loop-wait": "1", "retry-timeout": "1"} {
		if patroni != "" {
			least = newer[name]
		}
		lo, _ := strconv.Atoi(least)
		if n, err := strconv.Atoi(setting(o, name)); err != nil || n < lo || n > 3600 {
			return fmt.Errorf("%s is a number of seconds of at least %d, not %q", name, lo, setting(o, name))
		}
	}
	if ttl, least := number(o, "ttl"), number(o, "loop-wait")+2*number(o, "retry-timeout"); ttl < least {
		return fmt.Errorf("ttl (%d s) must be at least loop-wait and twice retry-timeout (%d s), so that a primary demotes itself before another one takes over", ttl, least)
	}
	return nil
}

// checkCommon says what is wrong with what is common to both systems.
func checkCommon(name string, known map[string]string, modes []string, o cluster.Options) error {
	if o.Bug != "" {
		return fmt.Errorf("%s has no planted bug %q", name, o.Bug)
	}
	if err := o.CheckSettings(name, slices.Sorted(maps.Keys(known))...); err != nil {
		return err
	}
	if _, ok := levels[setting(o, "isolation")]; !ok {
		return fmt.Errorf("isolation is %s, not %q", strings.Join(slices.Sorted(maps.Keys(levels)), ", "), setting(o, "isolation"))
	}
	if o.Reads != "" && !slices.Contains(modes, o.Reads) {
		return fmt.Errorf("unknown mode of reads %q; %s has %s", o.Reads, name, strings.Join(modes, ", "))
	}
	return nil
}

// Loses implements cluster.Lossy.
func (System) Loses(o cluster.Options) string {
	if enabled(o, "synchronous") {
		return ""
	}
	return "replication is asynchronous: a failover can lose what was committed; synchronous=true loses nothing"
}

// Images implements cluster.Imaged.
func (System) Images(o cluster.Options) ([]images.Recipe, error) {
	r := images.Recipe{Name: "postgres", Debian: []string{"postgresql-15", "etcd-server", "python3-etcd", "bash", "coreutils", "dash"}}
	if patroni := setting(o, "patroni"); patroni != "" {
		r.Wheels = []string{"patroni==" + patroni}
		r.Debian = append(r.Debian, "python3", "python3-click", "python3-dateutil", "python3-prettytable", "python3-psutil", "python3-psycopg2", "python3-urllib3", "python3-yaml")
	} else {
		r.Debian = append(r.Debian, "patroni")
	}
	return []images.Recipe{r}, nil
}

// object is a part of Patroni's file. YAML contains JSON.
type object = map[string]any

// Pod implements cluster.System.
func (System) Pod(node cluster.Node, all []cluster.Node, o cluster.Options) cluster.Pod {
	var peers, stores []string
	for _, n := range all {
		peers = append(peers, fmt.Sprintf("%s=http://%s:%d", n.Name, n.Host, peerPort))
		stores = append(stores, fmt.Sprintf("%s:%d", n.Host, etcdPort))
	}
	account := func(name string) object { return object{"username": name, "password": o.Secret(name)} }
	config := object{
		"scope": scope, "name": node.Name,
		"restapi": object{"listen": fmt.Sprintf("0.0.0.0:%d", patroniPort), "connect_address": fmt.Sprintf("%s:%d", node.Host, patroniPort)},
		"etcd3":   object{"hosts": stores},
		"bootstrap": object{
			"dcs": object{
				"ttl": number(o, "ttl"), "loop_wait": number(o, "loop-wait"), "retry_timeout": number(o, "retry-timeout"),
				"synchronous_mode": enabled(o, "synchronous"), "failsafe_mode": enabled(o, "failsafe"),
				"postgresql": object{"use_pg_rewind": true, "use_slots": true, "parameters": object{"max_connections": 300, "wal_log_hints": "on"}},
			},
			"initdb": []any{object{"encoding": "UTF8"}, object{"locale": "C.UTF-8"}, "data-checksums"},
		},
		"postgresql": object{
			"listen": fmt.Sprintf("0.0.0.0:%d", serverPort), "connect_address": fmt.Sprintf("%s:%d", node.Host, serverPort),
			"data_dir": "/data/postgres", "pgpass": "/tmp/pgpass", "basebackup": []any{object{"checkpoint": "fast"}},
			// Or a node stays away for good whose source ends in the middle of a pg_rewind.
			"remove_data_directory_on_rewind_failure": true, "remove_data_directory_on_diverged_timelines": true,
			"authentication": object{"superuser": account("postgres"), "replication": account("replicator"), "rewind": account("rewinder")},
			"pg_hba":         []string{"host all all 0.0.0.0/0 scram-sha-256", "host replication replicator 0.0.0.0/0 scram-sha-256"},
			// The timeouts are a minute by default: so long could a primary that is cut off take to end.
			"parameters": object{
				"unix_socket_directories": "/tmp", "shared_buffers": "32MB", "jit": "off", "password_encryption": "scram-sha-256",
				"deadlock_timeout": "200ms", "idle_in_transaction_session_timeout": "5s",
				"wal_sender_timeout": "5s", "wal_receiver_timeout": "5s", "wal_retrieve_retry_interval": "500ms",
			},
		},
	}
	text, err := json.MarshalIndent(config, "", " ")
	if err != nil {
		panic(err) // it has nothing that can't be written
	}
	who := fmt.Sprintf("%d:%d", user, user)
	path := []string{"PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"}
	return cluster.Pod{
		Containers: []cluster.Container{
			{Name: "etcd", Image: "postgres", User: who, Memory: 256 << 20, Entrypoint: []string{"etcd"}, Args: []string{
				"--name=" + node.Name, "--data-dir=/data/etcd", "--initial-cluster-state=new", "--initial-cluster=" + strings.Join(peers, ","),
				fmt.Sprintf("--listen-peer-urls=http://0.0.0.0:%d", peerPort), fmt.Sprintf("--initial-advertise-peer-urls=http://%s:%d", node.Host, peerPort),
				fmt.Sprintf("--listen-client-urls=http://0.0.0.0:%d", etcdPort), fmt.Sprintf("--advertise-client-urls=http://%s:%d", node.Host, etcdPort),
				"--heartbeat-interval=200", "--election-timeout=2000", // on a busy machine a leader is late
				"--logger=zap", "--log-outputs=stderr",
			}},
			{Name: "patroni", Image: "postgres", User: who, Env: path, Pids: 1024, Entrypoint: []string{"python3"}, Args: []string{"-m", "patroni", "/data/patroni.yml"}},
		},
		Ports: []cluster.Port{
			{Name: "postgres", Number: serverPort}, {Name: "patroni", Number: patroniPort},
			{Name: "etcd", Number: etcdPort}, {Name: "peers", Number: peerPort, Peers: true},
		},
		Data:  []cluster.Dir{{Path: "/data", UID: user, GID: user}},
		Files: []cluster.File{{Path: "/data/patroni.yml", Content: text, UID: user, GID: user, Mode: 0o600}},
	}
}

// Timing implements cluster.Timed. After the ttl of the old primary, the others look who is the
// furthest, and one is promoted. A node that is started again takes part when it has
// rewound what the new primary lacks.
func (System) Timing(o cluster.Options) cluster.Timing {
	ttl := time.Duration(number(o, "ttl")) * time.Second
	return cluster.Timing{Start: 4 * time.Minute, Restart: 12 * time.Second, Failover: ttl + 3*time.Second, Election: time.Minute + 2*ttl}
}
