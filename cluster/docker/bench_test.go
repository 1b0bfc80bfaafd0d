package docker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"coup/cluster"
	"coup/cluster/docker"
	"coup/cluster/systems/raft"
	"coup/harness"
	"coup/internal/testengine"
	"coup/nemesis"
)

func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}

// BenchmarkStart measures the way from nothing to the first acknowledged write
// of a cluster of five nodes (ten containers), beside ten containers of the
// same image that have nothing but a process, started at the same time. Both
// are measured in turns, and the medians compared.
func BenchmarkStart(b *testing.B) {
	testengine.Need(b)
	ctx := context.Background()
	const rounds = 5
	for b.Loop() {
		var clusters, bare []time.Duration
		for i := range rounds {
			e, err := docker.Connect(ctx)
			if err != nil {
				b.Fatal(err)
			}
			begun := time.Now()
			c, err := docker.Up(ctx, e, docker.Config{
				Run: fmt.Sprintf("bench-%d-%d", os.Getpid(), i), Nodes: 5, System: raft.System{},
				Binary: testengine.Binary(b), Output: func(string, []byte) {},
			})
			if err != nil {
				b.Fatal(err)
			}
			firstWrite(b, c)
			if i > 0 { // the first one makes the image
				clusters = append(clusters, time.Since(begun))
			}
			if err := c.Close(ctx); err != nil {
				b.Fatal(err)
			}
			took, err := docker.StartBare(ctx, testengine.Binary(b), 10)
			if err != nil {
				b.Fatal(err)
			}
			if i > 0 {
				bare = append(bare, took)
			}
		}
		b.ReportMetric(median(clusters).Seconds(), "s-cluster")
		b.ReportMetric(median(bare).Seconds(), "s-bare")
		b.ReportMetric(median(clusters).Seconds()/median(bare).Seconds(), "ratio")
	}
}

func firstWrite(b *testing.B, c *docker.Cluster) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := raft.System{}.Open(c, "n1", cluster.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		err := conn.(cluster.Register).Write(try, "k", 1)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			b.Fatal(errors.Join(err, ctx.Err()))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// BenchmarkPartition measures how long a partition of five nodes into halves
// takes to apply, to prove on every link, and to heal.
func BenchmarkPartition(b *testing.B) {
	c, _ := up(b, 5)
	ctx := context.Background()
	var cuts []cluster.Cut
	for _, from := range []string{"n1", "n2"} {
		for _, to := range []string{"n3", "n4", "n5"} {
			cuts = append(cuts, cluster.Cut{From: from, To: to, Loss: 1}, cluster.Cut{From: to, To: from, Loss: 1})
		}
	}
	timed := func(f func() error) time.Duration {
		begun := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return time.Since(begun)
	}
	for b.Loop() {
		var apply, heal, strike []time.Duration
		for range 20 {
			apply = append(apply, timed(func() error { return c.SetCuts(ctx, cuts) }))
			heal = append(heal, timed(func() error { return c.SetCuts(ctx, nil) }))
		}
		n := &nemesis.Nemesis{Cluster: c, System: raft.System{}, Runtime: harness.NewRuntime()}
		var start time.Duration
		n.Record = func(e harness.Event) {
			switch e.Kind {
			case harness.FaultStart:
				start = e.Time
			case harness.FaultHold:
				strike = append(strike, e.Time-start)
			case harness.FaultMiss:
				b.Errorf("a partition did not bite: %s", e.Message)
			}
		}
		for i := range uint64(5) {
			n.Run(ctx, []nemesis.Entry{{For: 10 * time.Millisecond, Fault: "partition", Target: nemesis.Halves, Seed: i}})
		}
		b.ReportMetric(float64(median(apply).Microseconds())/1000, "ms-apply")
		b.ReportMetric(float64(median(strike).Microseconds())/1000, "ms-apply+proof")
		b.ReportMetric(float64(median(heal).Microseconds())/1000, "ms-heal")
	}
}
