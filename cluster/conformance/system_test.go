package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/conformance"
	"coup/cluster/docker"
	"coup/cluster/sim"
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
	"coup/harness"
	"coup/images"
	"coup/internal/testengine"
	"coup/internal/testnode"
)

// inContainers puts a system to the contract in containers, and sees that nothing
// of it stays on the engine.
func inContainers(t *testing.T, sys cluster.System, o cluster.Options) {
	t.Helper()
	testengine.Need(t)
	ctx := t.Context()
	e, err := docker.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	run := fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")))
	c, err := docker.Up(ctx, e, docker.Config{
		Run: run, Nodes: 3, System: sys, Options: o, Binary: testengine.Binary(t), Images: ensure(t, e, sys, o),
		Output: func(node string, line []byte) { t.Logf("%s %s", node, line) },
		Exited: func(node string, code int) { t.Errorf("%s ended by itself with code %d", node, code) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := conformance.CheckSystem(ctx, harness.NewRuntime(), sys, c, o, func(format string, args ...any) { t.Logf("CONTRACT "+format, args...) }); err != nil {
		t.Error(err)
	}
	if err := c.Close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
	e, err = docker.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if left := e.Left(context.Background(), run); len(left) > 0 {
		t.Errorf("left on the engine: %v", left)
	}
}

// ensure makes the images of a system, or skips the test where they can't be made.
func ensure(t *testing.T, e *docker.Engine, sys cluster.System, o cluster.Options) map[string]string {
	t.Helper()
	imaged, ok := sys.(cluster.Imaged)
	if !ok {
		return nil
	}
	recipes, err := imaged.Images(o)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, r := range recipes {
		begun := time.Now()
		id, how, err := images.Ensure(t.Context(), e, r, images.Options{Progress: func(line string) { t.Log(line) }})
		if err != nil {
			if os.Getenv("COUP_TEST_ENGINE") == testengine.Required {
				t.Fatal(err)
			}
			t.Skipf("SKIPPED, %s WAS NOT TESTED: %v", r, err)
		}
		t.Logf("%s, %v", how, time.Since(begun))
		ids[r.Name] = id
	}
	return ids
}

func TestSystemEtcd(t *testing.T) {
	for _, version := range strings.Fields(os.Getenv("COUP_TEST_ETCD")) {
		t.Run(version, func(t *testing.T) { inContainers(t, etcd.System{}, cluster.Options{Version: version}) })
	}
	t.Run("default", func(t *testing.T) { inContainers(t, etcd.System{}, cluster.Options{}) })
}

// chosen skips the test of a system whose image takes packages to make, unless
// COUP_TEST_SYSTEMS names it or says "all".
func chosen(t *testing.T, name string) {
	t.Helper()
	if of := os.Getenv("COUP_TEST_SYSTEMS"); of != "all" && !slices.Contains(strings.Fields(of), name) {
		t.Skipf("SKIPPED, %s WAS NOT TESTED: COUP_TEST_SYSTEMS=%s tests it (make systems)", name, name)
	}
}

func TestSystemRedis(t *testing.T) {
	chosen(t, "redis")
	inContainers(t, redis.System{}, cluster.Options{})
}

func TestSystemPostgres(t *testing.T) {
	chosen(t, "postgres")
	for name, settings := range map[string]map[string]string{"asynchronous": nil, "synchronous": {"synchronous": "true"}} {
		t.Run(name, func(t *testing.T) { inContainers(t, postgres.System{}, cluster.Options{Settings: settings}) })
	}
}

func TestSystemConsul(t *testing.T) {
	chosen(t, "consul")
	inContainers(t, consul.System{}, cluster.Options{})
}

func TestSystemNats(t *testing.T) {
	chosen(t, "nats")
	inContainers(t, nats.System{}, cluster.Options{})
}

func TestSystemRqlite(t *testing.T) {
	chosen(t, "rqlite")
	inContainers(t, rqlite.System{}, cluster.Options{})
}

func TestSystemRabbitmq(t *testing.T) {
	chosen(t, "rabbitmq")
	inContainers(t, rabbitmq.System{}, cluster.Options{})
}

func TestSystemKafka(t *testing.T) {
	chosen(t, "kafka")
	inContainers(t, kafka.System{}, cluster.Options{})
}

func TestSystemZookeeper(t *testing.T) {
	chosen(t, "zookeeper")
	inContainers(t, zookeeper.System{}, cluster.Options{})
}

func TestSystemSpark(t *testing.T) {
	chosen(t, "spark")
	inContainers(t, spark.System{}, cluster.Options{})
}

func TestSystemYarn(t *testing.T) {
	chosen(t, "yarn")
	inContainers(t, yarn.System{}, cluster.Options{})
}

func TestSystemHdfs(t *testing.T) {
	chosen(t, "hdfs")
	inContainers(t, hdfs.System{}, cluster.Options{})
}

func TestSystemRaft(t *testing.T) {
	inContainers(t, raft.System{}, cluster.Options{})
}

func TestSystemRaftSimulated(t *testing.T) { simulated(t, raft.System{}) }

func TestSystemPrimaryBackupSimulated(t *testing.T) { simulated(t, primarybackup.System{}) }

// simulated puts a system to the contract on simulated machines.
func simulated(t *testing.T, sys cluster.System) {
	w := sim.NewWorld(1)
	err := w.Run(func() error {
		ctx := context.Background()
		c, err := sim.Up(ctx, w, sim.Config{
			Program: testnode.Program(t, testnode.Node), Nodes: 3, System: sys,
			Output: func(string, []byte) {},
			Exited: func(node string, code int) { t.Errorf("%s ended by itself with code %d", node, code) },
			GaveUp: func(node, why string) { t.Errorf("%s gave up: %s", node, why) },
		})
		if err != nil {
			return err
		}
		return errors.Join(conformance.CheckSystem(ctx, w, sys, c, cluster.Options{}, t.Logf), c.Close(ctx))
	})
	if err != nil {
		t.Error(err)
	}
}
