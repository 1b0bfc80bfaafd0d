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
	"coup/cluster/systems"
	"coup/cluster/systems/primarybackup"
	"coup/cluster/systems/raft"
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

// variants are the settings beside its default ones in which a system is put to the contract.
func variants(name string) map[string]cluster.Options {
	all := map[string]cluster.Options{}
	switch name {
	case "etcd":
		for _, version := range strings.Fields(os.Getenv("COUP_TEST_ETCD")) {
			all[version] = cluster.Options{Version: version}
		}
	case "postgres":
		all["synchronous"] = cluster.Options{Settings: map[string]string{"synchronous": "true"}}
	}
	return all
}

// TestSystem puts every system that coup knows to the contract. One whose image takes many
// packages to make is left out, unless COUP_TEST_SYSTEMS names it or says "all".
func TestSystem(t *testing.T) {
	cheap, named := []string{"etcd", "primary-backup", "raft"}, strings.Fields(os.Getenv("COUP_TEST_SYSTEMS"))
	for _, name := range systems.Names() {
		t.Run(name, func(t *testing.T) {
			if !slices.Contains(append(named, cheap...), name) && !slices.Contains(named, "all") {
				t.Skipf("SKIPPED, %s WAS NOT TESTED: COUP_TEST_SYSTEMS=%s tests it (make contract)", name, name)
			}
			sys, err := systems.Find(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Run("default", func(t *testing.T) { inContainers(t, sys, cluster.Options{}) })
			for how, o := range variants(name) {
				t.Run(how, func(t *testing.T) { inContainers(t, sys, o) })
			}
		})
	}
}

func TestSystemSimulated(t *testing.T) {
	for name, sys := range map[string]cluster.System{"raft": raft.System{}, "primary-backup": primarybackup.System{}} {
		t.Run(name, func(t *testing.T) { simulated(t, sys) })
	}
}

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
