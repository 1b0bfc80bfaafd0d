package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"coup/cluster/sim"
	"coup/internal/testnode"
)

// The command line on simulated machines.
func TestSimScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out whole runs")
	}
	node := testnode.File(t, testnode.Node)
	tls := testnode.File(t, testnode.Node, "GOFLAGS=-tags=tls")
	stuck := testnode.File(t, "coup/cluster/sim/testdata/misbehave")
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/sim", RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv(sim.NodeVariable, node)
			e.Setenv("STUCK_NODE", stuck)
			e.Setenv("TLS_NODE", tls)
			e.Setenv("XDG_CACHE_HOME", cache)
			e.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
			return nil
		},
	})
}
