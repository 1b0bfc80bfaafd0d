package workloads_test

import (
	"context"
	"testing"
	"time"

	"coup/cluster"
	"coup/harness"
	"coup/workloads"
)

// Two looks that take long, or that fail after a while, are not followed by more before one has ended:
// each starts programs on nodes that are slow already.
func TestTwoLooksAtATime(t *testing.T) {
	w, err := workloads.Find("jobs")
	if err != nil {
		t.Fatal(err)
	}
	g, at, looks := w.Generator(workloads.Options{}), time.Duration(0), 0
	for range 200 {
		op, next := g.Next(harness.Moment{Time: at})
		g = next
		if op.F == "look" {
			looks++
		}
		at = max(at+10*time.Millisecond, op.Time)
	}
	if looks != 2 || at < 20*time.Second {
		t.Errorf("%d looks in %v, none of which ended", looks, at)
	}
	g = g.Update(harness.Moment{Time: at}, harness.Op{F: "look", Type: harness.Fail})
	if op, _ := g.Next(harness.Moment{Time: at}); op.F != "look" {
		t.Errorf("after a look that failed: %+v", op)
	}
}

// What the memory of the tests does with jobs: it runs each at once.

func (c conn) SubmitJob(_ context.Context, key string, job int64) error {
	wrong := c.wrong("submit")
	defer c.mu.Unlock()
	if wrong {
		return nil
	}
	c.lists[key] = append(c.lists[key], job)
	if c.broken == "run" && job%7 == 0 {
		c.lists[key] = append(c.lists[key], job)
	}
	return nil
}

func (c conn) LookAtJobs(_ context.Context, key string) (cluster.JobsSeen, error) {
	c.wrong("")
	defer c.mu.Unlock()
	seen := cluster.JobsSeen{Jobs: map[int64]cluster.JobSeen{}}
	for _, job := range c.lists[key] {
		seen.Jobs[job] = cluster.JobSeen{State: cluster.JobFinished, Effects: seen.Jobs[job].Effects + 1}
	}
	return seen, nil
}
