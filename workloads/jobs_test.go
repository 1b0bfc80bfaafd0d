package workloads_test

import (
	"context"

	"coup/cluster"
)

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
