package postgres

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/images"
)

// Alone is one server of PostgreSQL, in any release since 12. Its clients talk to the
// first node, whatever others there are.
type Alone struct{}

var (
	_ cluster.System      = Alone{}
	_ cluster.Imaged      = Alone{}
	_ cluster.Timed       = Alone{}
	_ cluster.Isolated    = Alone{}
	_ cluster.Readiness   = Alone{}
	_ cluster.Initializer = Alone{}
)

// DefaultVersion is the release that is run alone if none is asked for.
const DefaultVersion = "17.11"

// numbered matches releases of PostgreSQL since 12.
var numbered = regexp.MustCompile(`^(1[2-9]|[2-9]\d)\.\d+$`)

// Name implements cluster.System.
func (Alone) Name() string { return "postgres-alone" }

// Check implements cluster.System.
func (y Alone) Check(o cluster.Options) error {
	if _, err := y.Images(o); err != nil {
		return err
	}
	return checkCommon(y.Name(), map[string]string{"isolation": ""}, []string{linearizable}, o)
}

// Isolation implements cluster.Isolated.
func (Alone) Isolation(o cluster.Options) string { return isolation(o) }

// Images implements cluster.Imaged. The programs are those that the project Embedded
// Postgres Binaries (github.com/zonkyio/embedded-postgres-binaries) gives to Maven.
func (Alone) Images(o cluster.Options) ([]images.Recipe, error) {
	version := o.Version
	if version == "" {
		version = DefaultVersion
	}
	if !numbered.MatchString(version) {
		return nil, fmt.Errorf("%q is no release of PostgreSQL since 12, such as %s", version, DefaultVersion)
	}
	artifact := func(arch string) string {
		return "io.zonky.test.postgres:embedded-postgres-binaries-linux-" + arch + ":" + version + ".0"
	}
	return []images.Recipe{{
		Name: "postgres-alone", Version: version, Debian: []string{"libc6", "libstdc++6", "coreutils", "dash"},
		Archives: []images.Archive{{Artifacts: map[string]string{"amd64": artifact("amd64"), "arm64": artifact("arm64v8")}, Dir: "/usr/local"}},
	}}, nil
}

// start makes the directory for data, whole or not at all, and becomes the server.
const start = `set -e
if [ ! -d /data/postgres ]; then
  rm -rf /data/new
  initdb --pgdata=/data/new --username=postgres --pwfile=/data/password --auth=scram-sha-256 --encoding=UTF8 --no-locale --data-checksums
  echo "host all all 0.0.0.0/0 scram-sha-256" >> /data/new/pg_hba.conf
  mv /data/new /data/postgres
fi
exec postgres -D /data/postgres -c listen_addresses=0.0.0.0 -c unix_socket_directories=/tmp -c max_connections=300 \
  -c shared_buffers=64MB -c jit=off -c deadlock_timeout=200ms -c password_encryption=scram-sha-256`

// Pod implements cluster.System.
func (Alone) Pod(_ cluster.Node, _ []cluster.Node, o cluster.Options) cluster.Pod {
	return cluster.Pod{
		Containers: []cluster.Container{{
			Name: "postgres", Image: "postgres-alone", User: fmt.Sprintf("%d:%d", user, user), Pids: 1024,
			Entrypoint: []string{"sh", "-c", start}, StopSignal: "SIGINT",
		}},
		Ports: []cluster.Port{{Name: "postgres", Number: serverPort}},
		Data:  []cluster.Dir{{Path: "/data", UID: user, GID: user}},
		Files: []cluster.File{{Path: "/data/password", Content: []byte(o.Secret("postgres") + "\n"), UID: user, GID: user, Mode: 0o600}},
	}
}

// Timing implements cluster.Timed.
func (Alone) Timing(cluster.Options) cluster.Timing {
	return cluster.Timing{Start: 2 * time.Minute, Restart: 3 * time.Second}
}

// Open implements cluster.System. The connection is made when it is used.
func (Alone) Open(a cluster.Access, _ string, o cluster.Options) (cluster.Conn, error) {
	first := a.Nodes()[0].Name
	return open(a, o, first, first), nil
}

// Ready implements cluster.Readiness.
func (Alone) Ready(ctx context.Context, a cluster.Access, o cluster.Options) error {
	return atPrimary(ctx, a, a.Nodes()[0].Name, o, func(context.Context, *session) error { return nil })
}

// Init implements cluster.Initializer.
func (Alone) Init(ctx context.Context, a cluster.Access, o cluster.Options) error {
	if err := atPrimary(ctx, a, a.Nodes()[0].Name, o, initialize); err != nil {
		return fmt.Errorf("%w: %w", harness.ErrFail, err) // what was made can be made again
	}
	return nil
}
