// Package testengine gives tests coup's own binary, and a Docker engine or a
// loud skip.
package testengine

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"coup/cluster/docker"
	"coup/internal/testbuild"
)

// Required is the value of COUP_TEST_ENGINE that makes a missing engine a
// failure: CI must not stay green because it tested nothing.
const Required = "required"

// Need skips the test, loudly, unless a Docker engine answers.
func Need(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves out the container tests")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // one that is not there says so at once
	defer cancel()
	e, err := docker.Connect(ctx)
	if err == nil {
		e.Close()
		return
	}
	if os.Getenv("COUP_TEST_ENGINE") == Required {
		t.Fatalf("a Docker engine is required here: %v", err)
	}
	shout(t.Name(), err)
	t.Skipf("SKIPPED, NOTHING WAS TESTED AGAINST CONTAINERS: %v", err)
}

// shout says on the terminal, if there is one, what go test keeps to itself
// unless it is asked for it: that a test was skipped.
func shout(test string, err error) {
	tty, openErr := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if openErr != nil {
		return
	}
	defer tty.Close()
	fmt.Fprintf(tty, "\n!!! %s SKIPPED, NOTHING WAS TESTED AGAINST CONTAINERS: %v\n", test, err)
}

var build = sync.OnceValues(func() (string, error) {
	return testbuild.Build("coup/cmd/coup", "CGO_ENABLED=0")
})

// Binary builds coup as it is shipped, once per test process, and returns its
// path.
func Binary(t testing.TB) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}
